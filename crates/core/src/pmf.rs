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
    /// A score at an allowed rung is NaN or infinite.
    #[error("the score of rung {0} is not finite")]
    NotFinite(usize),
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
        let total: f64 = p.iter().sum();
        let uniform = floor / allowed.count() as f64;
        for rung in allowed.iter() {
            p[rung] = (1.0 - floor) * p[rung] / total + uniform;
        }
        Ok(Self(p))
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
        let mut drawn = self.mode(); // rounding can leave a crumb past the last rung
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
