//! Off-policy estimators. Per occasion, with `w` the probability ratio of all its prices under the evaluated policy and
//! under the one that drew them, `r` what it brought, and `q` the reward model:
//!
//! | estimator | mean of | source |
//! |---|---|---|
//! | direct | `q_pi` | Beygelzimer & Langford 2009 |
//! | ipw | `w r` | Horvitz & Thompson 1952 |
//! | snips | `w r / mean(w)` | Swaminathan & Joachims 2015 |
//! | doubly robust | `q_pi + w (r - q)` | Dudik, Langford & Li 2011 |
//!
//! Weights are never clipped or shrunk: that would trade the bias, which a bet cannot see, for width, which it can.

use crate::OffPolicyError;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// One occasion as an estimator sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// What it brought.
    pub reward: f64,
    /// Probability of its prices under the evaluated policy / under the policy that drew them.
    pub weight: f64,
    /// The reward model at the prices that were shown.
    pub q: f64,
    /// The reward model's mean under the evaluated policy.
    pub q_pi: f64,
}

/// How a value is estimated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Estimator {
    /// The reward model alone: no variance from weights, all the bias of the model.
    Direct,
    /// Weighted rewards: unbiased, wide.
    Ipw,
    /// Weighted rewards over the mean weight: biased in small logs, narrower.
    Snips,
    /// The reward model, corrected by weighted residuals: unbiased for any cross-fitted model.
    DoublyRobust,
}

/// A mean with its standard error and interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// Its standard error, clustered.
    pub std_error: f64,
    /// Lower end of the two-sided 95 % interval.
    pub low: f64,
    /// Upper end of the two-sided 95 % interval.
    pub high: f64,
    /// Skewness of the error: third over second central moment to the power 3/2, of the sums of clusters.
    pub skewness: f64,
    /// Number of clusters behind it; the interval uses Student's t with one degree of freedom less.
    pub clusters: usize,
}

impl Estimator {
    /// One number per row whose mean is the estimate and whose spread is its (linearised) error.
    #[must_use]
    pub fn contributions(self, rows: &[Row]) -> Vec<f64> {
        let each = |of: &dyn Fn(&Row) -> f64| rows.iter().map(of).collect();
        match self {
            Self::Direct => each(&|row| row.q_pi),
            Self::Ipw => each(&|row| row.weight * row.reward),
            Self::Snips => {
                let ones: Vec<(f64, f64)> = rows
                    .iter()
                    .map(|row| (row.weight * row.reward, row.weight))
                    .collect();
                ratio_contributions(&ones)
            }
            Self::DoublyRobust => each(&|row| row.q_pi + row.weight * (row.reward - row.q)),
        }
    }
}

/// Contributions of a ratio of sums: their mean is `sum(numerators) / sum(denominators)`, their spread its error to
/// first order. All 0 when the denominators sum to 0.
#[must_use]
pub fn ratio_contributions(pairs: &[(f64, f64)]) -> Vec<f64> {
    let (top, bottom) = pairs
        .iter()
        .fold((0.0, 0.0), |(top, bottom), pair| (top + pair.0, bottom + pair.1));
    if bottom == 0.0 {
        return vec![0.0; pairs.len()];
    }
    let (ratio, mean) = (top / bottom, bottom / pairs.len() as f64);
    pairs
        .iter()
        .map(|(top, bottom)| ratio + (top - ratio * bottom) / mean)
        .collect()
}

impl Estimate {
    /// The mean of contributions with a standard error that lets contributions of one cluster depend on each other:
    /// `C / (C - 1) sum_c (sum_{i in c} (x_i - mean))^2 / n^2`. `clusters[i]` numbers the cluster of contribution `i`.
    ///
    /// # Errors
    /// When there are fewer than two clusters.
    pub fn clustered(contributions: &[f64], clusters: &[usize]) -> Result<Self, OffPolicyError> {
        let n = contributions.len() as f64;
        let count = clusters.iter().max().map_or(0, |last| last + 1);
        if count < 2 {
            return Err(OffPolicyError::Clusters(count));
        }
        let value = contributions.iter().sum::<f64>() / n;
        let mut sums = vec![0.0; count];
        for (contribution, cluster) in contributions.iter().zip(clusters) {
            sums[*cluster] += contribution - value;
        }
        let squares: f64 = sums.iter().map(|sum| sum * sum).sum();
        let cubes: f64 = sums.iter().map(|sum| sum.powi(3)).sum();
        let std_error = (count as f64 / (count as f64 - 1.0) * squares).sqrt() / n;
        let mut estimate = Self {
            value,
            std_error,
            low: value,
            high: value,
            skewness: if squares > 0.0 {
                cubes / squares.powf(1.5)
            } else {
                0.0
            },
            clusters: count,
        };
        let reach = estimate.quantile(0.975) * std_error;
        estimate.low -= reach;
        estimate.high += reach;
        Ok(estimate)
    }

    /// The value that the truth exceeds with probability `confidence` in (0.5, 1), one-sided. An error skewed to the
    /// left makes Student's t too sure of gains; its first Edgeworth term, `skewness (2 t^2 + 1) / 6` (Hall 1992,
    /// section 3.4), is added then. A skew to the right would raise the bound and is left alone.
    #[must_use]
    pub fn lower_bound(&self, confidence: f64) -> f64 {
        let t = self.quantile(confidence);
        let correction = (-self.skewness).max(0.0) * (2.0 * t * t + 1.0) / 6.0;
        self.value - (t + correction) * self.std_error
    }

    /// Student's t for this many clusters.
    pub(crate) fn quantile(&self, probability: f64) -> f64 {
        let freedom = (self.clusters - 1) as f64;
        StudentsT::new(0.0, 1.0, freedom).map_or(f64::INFINITY, |t| t.inverse_cdf(probability))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four rows whose every estimate is a short sum.
    const ROWS: [Row; 4] = [
        Row {
            reward: 1.0,
            weight: 2.0,
            q: 0.5,
            q_pi: 0.6,
        },
        Row {
            reward: 0.0,
            weight: 0.5,
            q: 0.4,
            q_pi: 0.2,
        },
        Row {
            reward: 3.0,
            weight: 1.0,
            q: 2.0,
            q_pi: 2.5,
        },
        Row {
            reward: 2.0,
            weight: 0.5,
            q: 1.0,
            q_pi: 0.7,
        },
    ];

    fn value(estimator: Estimator) -> Estimate {
        Estimate::clustered(&estimator.contributions(&ROWS), &[0, 1, 2, 3]).expect("an estimate")
    }

    #[test]
    fn each_estimator_by_hand() {
        let expected = [
            (Estimator::Direct, 4.0 / 4.0), // .6 + .2 + 2.5 + .7
            (Estimator::Ipw, 6.0 / 4.0),    // 2 + 0 + 3 + 1
            (Estimator::Snips, 6.0 / 4.0),  // the mean weight is 1
            (Estimator::DoublyRobust, (4.0 + 1.0 - 0.2 + 1.0 + 0.5) / 4.0), // residuals 2*.5, .5*-.4, 1*1, .5*1
        ];
        for (estimator, by_hand) in expected {
            let got = value(estimator).value;
            assert!(
                (got - by_hand).abs() < 1e-12,
                "{estimator:?}: {got} instead of {by_hand}"
            );
        }
        let doubled = ROWS.map(|row| Row {
            weight: 2.0 * row.weight,
            ..row
        });
        let contributions = Estimator::Snips.contributions(&doubled);
        assert!(
            (contributions.iter().sum::<f64>() / 4.0 - 1.5).abs() < 1e-12,
            "weights of mean 2 change nothing"
        );
    }

    #[test]
    fn the_standard_error_of_singles_is_the_textbook_one() {
        // Direct: deviations -.4, -.8, 1.5, -.3 from 1; squares sum to 3.14; sd^2 = 3.14 / 3; se^2 = sd^2 / 4.
        let direct = value(Estimator::Direct);
        assert!((direct.std_error - (314.0f64 / 1200.0).sqrt()).abs() < 1e-12);
        let t_of_three = 3.182_446_305;
        assert!((direct.high - direct.value - t_of_three * direct.std_error).abs() < 1e-6);
        assert!((direct.lower_bound(0.975) - direct.low).abs() < 1e-12);
    }

    #[test]
    fn a_skew_to_the_left_lowers_the_bound() {
        let bound = |sign: f64| {
            let contributions = [-0.4, -0.8, 1.5, -0.3].map(|x| sign * x);
            let estimate = Estimate::clustered(&contributions, &[0, 1, 2, 3]).expect("an estimate");
            (estimate.skewness, estimate.lower_bound(0.95) / estimate.std_error)
        };
        let (t, skewness) = (2.353_363, 2.772 / (314.0f64 / 100.0).powf(1.5)); // cubes: -.064 - .512 + 3.375 - .027
        let (right, left) = (bound(1.0), bound(-1.0));
        assert!(
            (right.0 - skewness).abs() < 1e-9 && (right.1 + t).abs() < 1e-5,
            "{right:?}"
        );
        assert!(
            (left.1 + t + skewness * (2.0 * t * t + 1.0) / 6.0).abs() < 1e-5,
            "{left:?}"
        );
    }

    #[test]
    fn rows_of_one_cluster_count_once() {
        let singles = Estimate::clustered(&[1.0, 3.0, 2.0, 6.0], &[0, 1, 2, 3]).expect("an estimate");
        let copies = [1.0, 3.0, 2.0, 6.0, 1.0, 3.0, 2.0, 6.0];
        let twice = Estimate::clustered(&copies, &[0, 1, 2, 3, 0, 1, 2, 3]).expect("an estimate");
        assert!((twice.std_error - singles.std_error).abs() < 1e-12);
        assert!(matches!(
            Estimate::clustered(&copies, &[0; 8]),
            Err(OffPolicyError::Clusters(1))
        ));
    }

    #[test]
    fn a_ratio_is_the_ratio_of_sums() {
        let pairs = [(1.0, 2.0), (0.0, 0.0), (5.0, 4.0)];
        let contributions = ratio_contributions(&pairs);
        assert!((contributions.iter().sum::<f64>() / 3.0 - 1.0).abs() < 1e-12); // 6 / 6
        assert_eq!(ratio_contributions(&[(1.0, 0.0)]), [0.0]);
    }
}
