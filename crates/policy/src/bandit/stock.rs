use super::config::setting;
use super::{Bandit, BanditError, Context, Rule};
use haggle_core::{LADDER_RUNGS_MAX, Mask, Pmf};
use serde::{Deserialize, Serialize};

/// What is left to sell, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stock {
    /// Units left.
    pub units_left: u32,
    /// Visits left until the season ends, this one included.
    pub visits_left: u32,
}

impl Bandit {
    /// Whether it can price for a stock: only the draws of Thompson sampling can be held against one.
    #[must_use]
    pub fn minds_stock(&self) -> bool {
        matches!(self.config.rule, Rule::Thompson { .. })
    }

    /// Thompson sampling with an inventory constraint (Ferreira, Simchi-Levi and Wang 2018, TS-update): under each posterior
    /// draw, the mix of prices that earns most if every visit left were like this one and at most `units_left / visits_left`
    /// were sold per visit; the mean of the mixes is the pmf. It has one rung more than the ladder: the last one is "no
    /// offer". With nothing left, no offer is certain.
    ///
    /// # Errors
    /// As [`Bandit::pmf`]; and when the rule is not Thompson sampling, no visits are left, or there are 64 prices already.
    pub fn pmf_for_stock(
        &self,
        context: Context<'_>,
        allowed: Mask,
        stock: Stock,
    ) -> Result<Pmf, BanditError> {
        let rungs = self.config.prices.len();
        let room = rungs < LADDER_RUNGS_MAX;
        setting(
            "prices",
            rungs,
            room,
            "at most 63 prices, so that no offer is one more",
        )?;
        let allowed = self.allowed(context, allowed)?;
        let weights = self.mixes(context, allowed, stock)?;
        if stock.units_left == 0 {
            return Ok(Pmf::certain(rungs + 1, rungs));
        }
        let floor = self.exploration(context.segment);
        Ok(Pmf::from_weights(weights, allowed.with(rungs), floor)?)
    }

    /// As [`Bandit::pmf_for_stock`], over the ladder alone, for a shop that always shows a price: the dearest allowed one
    /// stands in for "no offer".
    ///
    /// That costs nothing in the linear programme. A price earns `price - cost` per unit, most at the dearest one, so the
    /// best mix holds "no offer" only beside the dearest price, and only where even that sells faster than the stock lasts:
    /// then every unit is sold at it, with or without pauses. Without pauses the stock ends before the season.
    ///
    /// # Errors
    /// As [`Bandit::pmf`]; and when the rule is not Thompson sampling or no visits are left.
    pub fn pmf_selling(&self, context: Context<'_>, allowed: Mask, stock: Stock) -> Result<Pmf, BanditError> {
        let allowed = self.allowed(context, allowed)?;
        let mut weights = self.mixes(context, allowed, stock)?;
        let no_offer = weights.pop().unwrap_or_default();
        let dearer = |a: &usize, b: &usize| self.config.prices[*a].total_cmp(&self.config.prices[*b]);
        if let Some(dearest) = allowed.iter().max_by(dearer) {
            weights[dearest] += no_offer;
        }
        Ok(Pmf::from_weights(
            weights,
            allowed,
            self.exploration(context.segment),
        )?)
    }

    /// The sum of the best mixes under all posterior draws; the last weight is that of "no offer".
    fn mixes(&self, context: Context<'_>, allowed: Mask, stock: Stock) -> Result<Vec<f64>, BanditError> {
        if !self.minds_stock() {
            return Err(BanditError::Setting {
                name: "rule",
                got: format!("{:?}", self.config.rule),
                expected: "Thompson sampling: only its draws can be held against a stock",
            });
        }
        let visits = stock.visits_left;
        setting("stock.visits_left", visits, visits > 0, "at least 1 visit")?;
        let rungs = self.config.prices.len();
        let supply = f64::from(stock.units_left) / f64::from(visits);
        let (model, segment) = self.route(context.segment);
        let mut weights = vec![0.0; rungs + 1];
        let mut offers = Vec::with_capacity(rungs);
        self.models[model].for_each_draw(segment, context.x, |demand| {
            offers.clear();
            offers.extend(
                allowed
                    .iter()
                    .map(|rung| (rung, demand[rung], self.reward(rung, demand[rung]))),
            );
            let mut idle = 1.0;
            for (rung, share) in best_mix(&offers, supply) {
                weights[rung] += share;
                idle -= share;
            }
            weights[rungs] += idle.max(0.0);
        });
        Ok(weights)
    }
}

/// `max sum x reward` for offers of (rung, demand, reward), over shares of time `x` with `sum x <= 1` and `sum x demand <= supply`. A basic solution of a linear
/// programme with two constraints has at most two offers; with one above and one below the supply, it sells out exactly.
fn best_mix(offers: &[(usize, f64, f64)], supply: f64) -> [(usize, f64); 2] {
    let mut best = ([(0, 0.0), (0, 0.0)], 0.0);
    let mut consider = |mix: [(usize, f64); 2], value: f64| {
        if value > best.1 {
            best = (mix, value);
        }
    };
    for &(rung, demand, reward) in offers {
        let share = if demand > supply { supply / demand } else { 1.0 };
        consider([(rung, share), (rung, 0.0)], share * reward);
        if demand <= supply {
            continue;
        }
        for &(other, less, other_reward) in offers.iter().filter(|(_, less, _)| *less < supply) {
            let share = (supply - less) / (demand - less);
            let value = share * reward + (1.0 - share) * other_reward;
            consider([(rung, share), (other, 1.0 - share)], value);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_linear_programme() {
        // Ferreira et al. 2018, alpha = 0.25: 3/4 of the time at 39.9, 1/4 at 44.9, 10.1 per period.
        let offers = [
            (0, 0.8, 29.9 * 0.8),
            (1, 0.6, 34.9 * 0.6),
            (2, 0.3, 39.9 * 0.3),
            (3, 0.1, 44.9 * 0.1),
        ];
        let mix = best_mix(&offers, 0.25);
        let value: f64 = mix.iter().map(|(rung, share)| share * offers[*rung].2).sum();
        assert!((value - 10.1).abs() < 1e-9);
        assert!(
            mix.iter()
                .any(|(rung, share)| *rung == 2 && (share - 0.75).abs() < 1e-9)
        );
        // alpha = 0.5: 17.95.
        let mix = best_mix(&offers, 0.5);
        let value: f64 = mix.iter().map(|(rung, share)| share * offers[*rung].2).sum();
        assert!((value - 17.95).abs() < 1e-9);
        // Plenty: the best single price, 29.9 x 0.8.
        assert_eq!(best_mix(&offers, 1.0)[0], (0, 1.0));
    }
}
