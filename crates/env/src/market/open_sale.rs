//! Market A2 where any price between the ends of its ladder may be asked, as a multiple of `price_scale`: stepped, not tabled.

use super::checks::field;
use super::oracle::{Oracle, OracleError};
use super::perishable::{SingleArrivals, fluid_price};
use super::place::Place;
use super::search::peak;
use super::season::Season;
use crate::StepEnd;
use std::cell::Cell;
use std::collections::BTreeMap;

/// A stock, at most one shopper per period, any price.
#[derive(Clone, Debug)]
pub(crate) struct OpenSale {
    market: SingleArrivals,
    /// The same market on its ladder: what is seen is the same.
    pub(crate) season: Season,
    /// Lowest and highest multiplier.
    pub(crate) multipliers: Vec<[f32; 2]>,
}

impl SingleArrivals {
    /// The market without its ladder.
    pub(crate) fn open_sale(&self) -> Result<OpenSale, OracleError> {
        let [low, high] = self.ends()?;
        Ok(OpenSale {
            season: self.season()?,
            multipliers: vec![[low, high].map(|price| (price / self.price_scale) as f32)],
            market: self.clone(),
        })
    }

    /// The lowest and the highest price.
    pub(super) fn ends(&self) -> Result<[f64; 2], OracleError> {
        let guardrail = self.rungs_per_period_max;
        field(
            "rungs_per_period_max",
            guardrail.unwrap_or_default(),
            guardrail.is_none(),
            "nothing, where action = \"multiplier\": it counts rungs",
        )?;
        match self.prices[..] {
            [low, .., high] => Ok([low, high]),
            _ => Err(OracleError::Field {
                field: "prices",
                value: format!("{:?}", self.prices),
                expected: "a lowest and a highest price, where action = \"multiplier\",".to_owned(),
            }),
        }
    }

    /// What is known of any price between the ends of the ladder. What a shopper brings beyond what the unit is worth otherwise,
    /// `exp(-price / price_scale) (price - worth)`, rises up to `price_scale + worth` and falls from there on.
    pub(super) fn any_price_oracle(&self) -> Result<Oracle, OracleError> {
        let season = self.season()?;
        let [low, high] = self.ends()?;
        let first = Cell::new(0.0);
        let v_star = self.any_price(|_, stock, worth| {
            let price = (self.price_scale + worth).clamp(low, high);
            if stock == self.stock {
                first.set(price); // the last full stock that is looked at is the first of the season
            }
            price
        });
        let fixed = |price: f64| self.any_price(|_, _, _| price);
        let fixed_price = peak(low, high, fixed);
        let fluid = self.any_price(|left, stock, _| {
            let demand = self.arrival_rate * left as f64;
            fluid_price(demand, self.price_scale, stock as f64).clamp(low, high)
        });
        Ok(Oracle {
            v_star,
            v_fixed: fixed(fixed_price),
            fixed_price,
            first_action: Some(first.get()),
            references: BTreeMap::from([
                ("fluid_resolve", fluid),
                ("ladder", season.optimum().0),
                ("myopic", fixed(self.price_scale.clamp(low, high))),
            ]),
            ..Oracle::default()
        })
    }
}

impl OpenSale {
    /// What the multiplier multiplies.
    pub(crate) fn base(&self) -> f64 {
        self.market.price_scale
    }

    pub(crate) fn observe(&self, place: Place, obs: &mut [f32], mask: &mut u64) {
        self.season.observe(place, obs, mask);
        *mask = 1;
    }

    #[inline]
    pub(crate) fn step(
        &self,
        place: Place,
        multipliers: &[f32],
        draw: u32,
        reward: &mut [f32],
    ) -> (Place, StepEnd) {
        let price = self.market.price_scale * f64::from(multipliers[0]);
        let uniform = (f64::from(draw) + 0.5) / 2f64.powi(32);
        let sold = u32::from(uniform < self.market.chance(price));
        let next = Place {
            left: place.left - 1,
            state: place.state - sold,
            last: place.last,
        };
        reward[0] = (price * f64::from(sold)) as f32;
        let over = next.left == 0 || next.state == 0;
        (next, if over { StepEnd::Terminated } else { StepEnd::Go })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::Market;

    fn market(change: impl FnOnce(&mut SingleArrivals)) -> SingleArrivals {
        let file = include_str!("../../../../envs/a2-continuous.toml");
        let Market::SingleArrivals(mut market) = toml::from_str(file).expect("a market") else {
            panic!("another market");
        };
        change(&mut market);
        market
    }

    #[test]
    fn the_best_of_any_price_is_the_known_number() {
        // Wider ends than any price that is worth asking: the values of A2 "with continuous price".
        for (stock, value) in [(5, 549.796_136), (10, 825.381_907), (25, 1_094.314_648)] {
            let known = market(|market| {
                market.stock = stock;
                market.prices = vec![1.0, 1000.0];
            });
            let oracle = known.oracle().expect("solved");
            assert!((oracle.v_star - value).abs() < 1e-6, "{stock}: {}", oracle.v_star);
            assert!(oracle.v_fixed < oracle.v_star);
        }
    }

    #[test]
    fn short_periods_are_continuous_time() {
        // A1: J(10, 100) = 819.453267; the error is of the order of one period.
        let fine = |periods: usize| {
            let fine = market(|market| {
                market.prices = vec![1.0, 1000.0];
                market.arrival_rate = 60.0 / periods as f64;
                market.periods = periods;
            });
            fine.oracle().expect("solved").v_star - 819.453_267
        };
        let (coarse, fine) = (fine(1_000), fine(10_000));
        assert!(fine > 0.0 && fine < 0.1, "{fine}");
        assert!((coarse / fine - 10.0).abs() < 0.2, "{coarse} and {fine}");
    }

    #[test]
    fn a_season_of_any_price_earns_what_the_oracle_says() {
        // 40,000 seasons at the best single price, within four standard errors.
        let market = market(|_| ());
        let oracle = market.oracle().expect("solved");
        let sale = market.open_sale().expect("a game");
        let asked = [(oracle.fixed_price / market.price_scale) as f32];
        let mut rng = haggle_core::Seeds::new(3).rng();
        let seasons: Vec<f64> = (0..40_000)
            .map(|_| {
                let (mut place, mut earned) = (sale.season.start(), 0.0);
                loop {
                    let mut reward = [0.0];
                    let (next, end) = sale.step(place, &asked, rand::Rng::next_u32(&mut rng), &mut reward);
                    earned += f64::from(reward[0]);
                    place = next;
                    if end != StepEnd::Go {
                        return earned;
                    }
                }
            })
            .collect();
        let count = seasons.len() as f64;
        let mean = seasons.iter().sum::<f64>() / count;
        let variance = seasons.iter().map(|season| (season - mean).powi(2)).sum::<f64>() / count;
        let error = (variance / count).sqrt();
        assert!(
            (mean - oracle.v_fixed).abs() < 4.0 * error,
            "{mean} and {}",
            oracle.v_fixed
        );
    }

    #[test]
    fn what_any_price_leaves_no_room_for_is_refused() {
        let guarded = market(|market| market.rungs_per_period_max = Some(1));
        let error = guarded.open_sale().expect_err("rungs").to_string();
        assert!(
            error.contains("rungs_per_period_max = 1: nothing, where action"),
            "{error}"
        );
        let one = market(|market| market.prices = vec![50.0]);
        let error = one.oracle().expect_err("one price").to_string();
        assert!(error.contains("a lowest and a highest price"), "{error}");
    }
}
