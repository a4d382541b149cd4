use haggle_core::Logged;
use nalgebra::{DMatrix, DVector, SymmetricEigen};
use serde::{Deserialize, Serialize};
use statrs::distribution::{ChiSquared, ContinuousCDF, Normal};

/// Cells of the chi-square test with fewer expected draws are pooled, then left out.
const EXPECTED_MIN: f64 = 5.0;

/// Whether rungs were drawn as often as the logged probabilities say. Small p-values speak against it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// How often each rung was drawn against the sum of its probabilities: chi-square, with the exact covariance of
    /// draws from unequal distributions.
    pub frequency_p: f64,
    /// The mean probability of the drawn rung against its expectation: finds draws that were flatter or sharper than
    /// logged, or made from the distribution of another offer.
    pub sharpness_p: f64,
}

impl Calibration {
    /// Tests the draws of a log.
    #[must_use]
    pub fn of<'a>(draws: impl Iterator<Item = &'a Logged> + Clone) -> Self {
        Self {
            frequency_p: frequency_p(draws.clone()),
            sharpness_p: sharpness_p(draws),
        }
    }

    /// One p-value of both tests (Bonferroni).
    #[must_use]
    pub fn p_value(&self) -> f64 {
        (2.0 * self.frequency_p.min(self.sharpness_p)).min(1.0)
    }
}

fn frequency_p<'a>(draws: impl Iterator<Item = &'a Logged> + Clone) -> f64 {
    let width = |logged: &Logged| logged.pmf.probabilities().len();
    let rungs = draws.clone().map(width).max().unwrap_or(0);
    let mut expected = vec![0.0; rungs];
    for logged in draws.clone() {
        for (sum, p) in expected.iter_mut().zip(logged.pmf.probabilities()) {
            *sum += p;
        }
    }
    let cells = Cells::of(&expected);
    if cells.count < 2 {
        return 1.0;
    }
    let mut excess = DVector::zeros(cells.count);
    let mut covariance = DMatrix::zeros(cells.count, cells.count);
    let mut p = DVector::zeros(cells.count);
    for logged in draws {
        p.fill(0.0);
        for (rung, probability) in logged.pmf.probabilities().iter().enumerate() {
            if let Some(cell) = cells.of_rung[rung] {
                p[cell] += probability;
            }
        }
        if let Some(cell) = cells.of_rung.get(usize::from(logged.rung)).copied().flatten() {
            excess[cell] += 1.0;
        }
        excess -= &p;
        covariance.ger(-1.0, &p, &p, 1.0);
        for cell in 0..cells.count {
            covariance[(cell, cell)] += p[cell];
        }
    }
    let eigen = SymmetricEigen::new(covariance);
    let along = eigen.eigenvectors.tr_mul(&excess);
    let least = 1e-9 * eigen.eigenvalues.iter().copied().fold(0.0, f64::max);
    let (mut statistic, mut freedom) = (0.0, 0.0);
    for (value, along) in eigen
        .eigenvalues
        .iter()
        .zip(&along)
        .filter(|(value, _)| **value > least)
    {
        statistic += along * along / value;
        freedom += 1.0;
    }
    ChiSquared::new(freedom).map_or(1.0, |chi| chi.sf(statistic))
}

/// Which cell of the test a rung counts in.
struct Cells {
    of_rung: Vec<Option<usize>>,
    count: usize,
}

impl Cells {
    fn of(expected: &[f64]) -> Self {
        let rare = |expected: &&f64| **expected < EXPECTED_MIN;
        let pooled: f64 = expected.iter().filter(rare).sum();
        let own = expected.len() - expected.iter().filter(rare).count();
        let pool = (pooled >= EXPECTED_MIN).then_some(own);
        let mut next = 0;
        let mut cell = |expected: &f64| {
            if rare(&expected) {
                return pool;
            }
            next += 1;
            Some(next - 1)
        };
        Self {
            of_rung: expected.iter().map(&mut cell).collect(),
            count: own + usize::from(pool.is_some()),
        }
    }
}

fn sharpness_p<'a>(draws: impl Iterator<Item = &'a Logged>) -> f64 {
    let (mut excess, mut variance) = (0.0, 0.0);
    for logged in draws {
        let power = |n: i32| -> f64 { logged.pmf.probabilities().iter().map(|p| p.powi(n)).sum() };
        let mean = power(2);
        excess += logged.propensity() - mean;
        variance += power(3) - mean * mean;
    }
    if variance <= f64::EPSILON {
        return 1.0;
    }
    2.0 * Normal::standard().sf(excess.abs() / variance.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use haggle_core::{DecisionId, Digest, Mask, Pmf, Seeds};

    /// `count` draws; `logits(n)` are logged, `truth(n)` are drawn from.
    fn log(
        count: usize,
        logits: impl Fn(usize) -> [f32; 3],
        truth: impl Fn(usize) -> [f32; 3],
    ) -> Vec<Logged> {
        let seeds = Seeds::new(5).named("draws");
        let pmf = |logits: [f32; 3]| Pmf::from_logits(&logits, Mask::all(3), 0.0).expect("a pmf");
        let logged = |n: usize| Logged {
            decision: DecisionId(n.to_string()),
            policy: Digest::of(b"p"),
            mask: Mask::all(3),
            rung: pmf(truth(n)).draw(seeds.uniform_of(&n.to_le_bytes())).rung as u8,
            pmf: pmf(logits(n)),
            features: Vec::new(),
        };
        (0..count).map(logged).collect()
    }

    fn varied(n: usize) -> [f32; 3] {
        [0.0, (n % 5) as f32 / 2.0, (n % 3) as f32]
    }

    #[test]
    fn honest_draws_have_uniform_p_values() {
        let log = log(40_000, varied, varied);
        let p: Vec<Calibration> = log.chunks(100).map(|part| Calibration::of(part.iter())).collect();
        let share = |of: fn(&Calibration) -> f64| p.iter().filter(|p| of(p) < 0.1).count() as f64 / 400.0;
        for share in [share(|p| p.frequency_p), share(|p| p.sharpness_p)] {
            assert!(
                (share - 0.1).abs() < 0.045,
                "{share} of the p-values are below .1"
            ); // 3 standard errors
        }
    }

    #[test]
    fn other_frequencies_are_found() {
        let p = Calibration::of(log(4_000, varied, |n| [0.3, varied(n)[1], varied(n)[2]]).iter());
        assert!(p.frequency_p < 1e-4, "{p:?}");
    }

    #[test]
    fn the_distribution_of_another_offer_is_found_although_frequencies_agree() {
        let p = Calibration::of(log(4_000, varied, |n| varied(n + 7)).iter());
        assert!(p.frequency_p > 0.01 && p.sharpness_p < 1e-4, "{p:?}");
    }

    #[test]
    fn certain_draws_say_nothing() {
        let p = Calibration::of(log(10, |_| [0.0, 900.0, 0.0], |_| [0.0, 900.0, 0.0]).iter());
        assert_eq!((p.frequency_p, p.sharpness_p), (1.0, 1.0));
        assert_eq!(Calibration::of(std::iter::empty()).p_value(), 1.0);
    }
}
