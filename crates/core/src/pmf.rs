use crate::Mask;
use serde::{Deserialize, Serialize};

/// Probabilities over the rungs of a ladder: 0 on forbidden rungs, summing to 1.
///
/// First the whole distribution, then one draw from it: the logged propensity is read off this very vector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pmf(Vec<f64>);

/// One draw from a [`Pmf`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draw {
    /// The drawn rung.
    pub rung: usize,
    /// The probability that it had.
    pub propensity: f64,
}

/// Why scores cannot become probabilities.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PmfError {
    /// The mask allows none of the rungs.
    #[error("the guardrails allow none of the {0} rungs")]
    NothingAllowed(usize),
    /// A score at an allowed rung is NaN or infinite, or a weight negative.
    #[error("the score of rung {0} is not a finite number in its range")]
    NotFinite(usize),
    /// Weights that are all 0 at the allowed rungs.
    #[error("all allowed rungs have weight 0")]
    NoWeight,
}

impl Pmf {
    /// Softmax of `logits` over the allowed rungs, mixed with the uniform distribution:
    /// `(1 - floor) softmax + floor / allowed`. `floor` in [0, 1] is the share of pure exploration.
    ///
    /// # Errors
    /// When nothing is allowed or an allowed logit is not finite.
    pub fn from_logits(logits: &[f32], allowed: Mask, floor: f64) -> Result<Self, PmfError> {
        let allowed = allowed.and(Mask::all(logits.len()));
        if allowed.is_empty() {
            return Err(PmfError::NothingAllowed(logits.len()));
        }
        if let Some(rung) = allowed.iter().find(|&rung| !logits[rung].is_finite()) {
            return Err(PmfError::NotFinite(rung));
        }
        let largest = allowed
            .iter()
            .map(|rung| f64::from(logits[rung]))
            .fold(f64::NEG_INFINITY, f64::max);
        let mut p = vec![0.0; logits.len()];
        for rung in allowed.iter() {
            p[rung] = (f64::from(logits[rung]) - largest).exp();
        }
        Ok(Self::mixed(p, allowed, floor))
    }

    /// Weights in proportion, mixed with the uniform distribution over the allowed rungs as in [`Pmf::from_logits`].
    /// What stands at forbidden rungs is passed over.
    ///
    /// # Errors
    /// When nothing is allowed, or an allowed weight is negative or not finite, or all of them are 0.
    pub fn from_weights(mut weights: Vec<f64>, allowed: Mask, floor: f64) -> Result<Self, PmfError> {
        let allowed = allowed.and(Mask::all(weights.len()));
        if allowed.is_empty() {
            return Err(PmfError::NothingAllowed(weights.len()));
        }
        let mut largest = 0.0f64;
        for (rung, weight) in weights.iter_mut().enumerate() {
            if !allowed.allows(rung) {
                *weight = 0.0;
            } else if !(weight.is_finite() && *weight >= 0.0) {
                return Err(PmfError::NotFinite(rung));
            }
            largest = largest.max(*weight);
        }
        if largest == 0.0 {
            return Err(PmfError::NoWeight);
        }
        for weight in &mut weights {
            *weight /= largest; // so that no sum overflows
        }
        Ok(Self::mixed(weights, allowed, floor))
    }

    fn mixed(mut weights: Vec<f64>, allowed: Mask, floor: f64) -> Self {
        let total: f64 = weights.iter().sum();
        let uniform = floor / allowed.count() as f64;
        for rung in allowed.iter() {
            weights[rung] = (1.0 - floor) * weights[rung] / total + uniform;
        }
        Self(weights)
    }

    /// All mass on one rung.
    ///
    /// # Panics
    /// When `rung` is not below `rungs`.
    #[must_use]
    pub fn certain(rungs: usize, rung: usize) -> Self {
        let mut p = vec![0.0; rungs];
        p[rung] = 1.0;
        Self(p)
    }

    /// The same distribution over a ladder with more rungs, which it never draws.
    ///
    /// # Panics
    /// When `rungs` are fewer than there are.
    #[must_use]
    pub fn widened(mut self, rungs: usize) -> Self {
        assert!(rungs >= self.0.len(), "a distribution is not cut short");
        self.0.resize(rungs, 0.0);
        self
    }

    /// The probability of each rung.
    #[must_use]
    pub fn probabilities(&self) -> &[f64] {
        &self.0
    }

    /// The rung with the largest probability; the lowest of several.
    #[must_use]
    pub fn mode(&self) -> usize {
        let mut best = 0;
        for (rung, p) in self.0.iter().enumerate() {
            if *p > self.0[best] {
                best = rung;
            }
        }
        best
    }

    /// The mean of `value(rung)` under the distribution.
    pub fn mean(&self, value: impl Fn(usize) -> f64) -> f64 {
        self.0
            .iter()
            .enumerate()
            .filter(|(_, p)| **p > 0.0)
            .map(|(rung, p)| p * value(rung))
            .sum()
    }

    /// The rung at which the cumulative probability passes `uniform` in [0, 1): one number, one draw.
    #[must_use]
    pub fn draw(&self, uniform: f64) -> Draw {
        let mut left = uniform;
        let mut drawn = 0;
        // Rounding can leave a crumb past the last rung: then that one is drawn.
        for (rung, p) in self.0.iter().enumerate().filter(|(_, p)| **p > 0.0) {
            drawn = rung;
            if left < *p {
                break;
            }
            left -= p;
        }
        Draw {
            rung: drawn,
            propensity: self.0[drawn],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_masked_rung_has_probability_exactly_zero() {
        let pmf = Pmf::from_logits(&[0.0, 50.0, 0.0], Mask(0b101), 0.1).expect("a pmf");
        assert_eq!(pmf.probabilities(), &[0.5, 0.0, 0.5]);
        assert_eq!(pmf.draw(0.49).rung, 0);
        assert_eq!(
            pmf.draw(0.51),
            Draw {
                rung: 2,
                propensity: 0.5
            }
        );
    }

    #[test]
    fn forbidden_nan_is_ignored_and_allowed_nan_refused() {
        assert!(Pmf::from_logits(&[0.0, f32::NAN], Mask(0b01), 0.0).is_ok());
        assert_eq!(
            Pmf::from_logits(&[0.0, f32::NAN], Mask(0b11), 0.0),
            Err(PmfError::NotFinite(1))
        );
        assert_eq!(
            Pmf::from_logits(&[0.0, 0.0], Mask(0b100), 0.0),
            Err(PmfError::NothingAllowed(2))
        );
    }

    #[test]
    fn weights_are_shares_of_the_allowed() {
        let pmf = Pmf::from_weights(vec![3.0, f64::NAN, 1.0], Mask(0b101), 0.2).expect("a pmf");
        assert_eq!(pmf.probabilities(), &[0.8 * 0.75 + 0.1, 0.0, 0.8 * 0.25 + 0.1]);
        let refused = |weights: &[f64]| Pmf::from_weights(weights.to_vec(), Mask::all(2), 0.0);
        assert_eq!(refused(&[1.0, -1.0]), Err(PmfError::NotFinite(1)));
        assert_eq!(refused(&[0.0, 0.0]), Err(PmfError::NoWeight));
        let huge = refused(&[f64::MAX, f64::MAX]).expect("a pmf");
        assert_eq!(huge.probabilities(), &[0.5, 0.5]);
    }

    proptest! {
        #[test]
        fn sums_to_one_and_keeps_the_floor(
            logits in prop::collection::vec(-40f32..40.0, 1..20), bits in 1u64..1 << 20, floor in 0f64..0.5, u in 0f64..1.0,
        ) {
            let mask = Mask(bits).and(Mask::all(logits.len()));
            prop_assume!(!mask.is_empty());
            let pmf = Pmf::from_logits(&logits, mask, floor).expect("a pmf");
            let total: f64 = pmf.probabilities().iter().sum();
            prop_assert!((total - 1.0).abs() < 1e-12);
            for (rung, p) in pmf.probabilities().iter().enumerate() {
                if mask.allows(rung) {
                    prop_assert!(*p >= floor / mask.count() as f64 * (1.0 - 1e-12));
                } else {
                    prop_assert!(*p == 0.0);
                }
            }
            let draw = pmf.draw(u);
            prop_assert!(mask.allows(draw.rung) && draw.propensity > 0.0);
        }
    }
}
