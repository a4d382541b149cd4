use super::{Bandit, BanditError, Context, Rule};
use haggle_core::Mask;

/// Fairness across segments: for a while, every price lies within a share of one reference price.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Corridor {
    /// The reference price.
    pub reference: f64,
    /// The rungs inside the corridor.
    pub allowed: Mask,
}

impl Bandit {
    /// The corridor of half-width `share` around the reference price that earns most under one posterior draw (the first of
    /// the state), when each segment gets its own best price inside. `weights` are the segments' shares of the visits, `x`
    /// the context at which they are judged. A new corridor opens the next period; inside one, the mask does the rest.
    ///
    /// # Errors
    /// When the share or the weights are none, the context does not fit, or the rule is not Thompson sampling.
    pub fn corridor(&self, share: f64, weights: &[f64], x: &[f64]) -> Result<Corridor, BanditError> {
        let sound = (0.0..1.0).contains(&share);
        super::config::setting("corridor.share", share, sound, "a share in [0, 1)")?;
        let segments = self.config.pooling.segments();
        let sound =
            weights.len() == segments && weights.iter().all(|weight| weight.is_finite() && *weight >= 0.0);
        super::config::setting(
            "corridor.weights",
            format!("{weights:?}"),
            sound,
            "one share per segment",
        )?;
        if !matches!(self.config.rule, Rule::Thompson { .. }) {
            return Err(BanditError::Setting {
                name: "rule",
                got: format!("{:?}", self.config.rule),
                expected: "Thompson sampling: a corridor is chosen under one posterior draw",
            });
        }
        let mut rewards = Vec::with_capacity(segments);
        for segment in 0..segments {
            let context = Context { segment, x };
            self.check(context)?;
            let (model, own) = self.route(segment);
            let mut first = None;
            self.models[model].for_each_draw(own, x, |demand| {
                first.get_or_insert_with(|| -> Vec<f64> {
                    demand
                        .iter()
                        .enumerate()
                        .map(|(rung, demand)| self.reward(rung, *demand))
                        .collect()
                });
            });
            rewards.push(first.unwrap_or_default());
        }
        let value = |corridor: &Corridor| -> f64 {
            let best = |rewards: &Vec<f64>| {
                corridor
                    .allowed
                    .iter()
                    .map(|rung| rewards[rung])
                    .fold(f64::NEG_INFINITY, f64::max)
            };
            weights
                .iter()
                .zip(&rewards)
                .map(|(weight, rewards)| weight * best(rewards))
                .sum()
        };
        let mut best: Option<(Corridor, f64)> = None;
        for corridor in self.corridors(share) {
            let value = value(&corridor);
            if best.is_none_or(|(_, most)| value > most) {
                best = Some((corridor, value));
            }
        }
        // The ladder has a rung, and the corridor that begins at it holds it.
        best.map(|(corridor, _)| corridor)
            .ok_or(BanditError::Pmf(haggle_core::PmfError::NothingAllowed(0)))
    }

    /// Every different corridor: the set of rungs inside changes only where its lower end passes a price.
    fn corridors(&self, share: f64) -> impl Iterator<Item = Corridor> {
        let prices = &self.config.prices;
        prices.iter().map(move |lowest| {
            let reference = lowest / (1.0 - share);
            let mut allowed = Mask::NONE;
            for (rung, price) in prices.iter().enumerate() {
                // The lowest price itself is inside, whatever the division has rounded.
                if price >= lowest && *price <= reference * (1.0 + share) {
                    allowed = allowed.with(rung);
                }
            }
            Corridor { reference, allowed }
        })
    }
}
