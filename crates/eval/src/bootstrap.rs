//! Intervals over seeds: the stratified percentile bootstrap of rliable. Each replicate draws, task by task and
//! independently, as many runs as there were, with replacement; the interval lies between the quantiles 2.5 % and 97.5 %
//! of the replicates.

use crate::Interval;
use crate::scores::{Aggregate, Scores, ScoresError};
use haggle_core::Seeds;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Replicates behind an interval over seeds: enough for its ends to repeat to about 1 % of its width.
pub const REPLICATES: usize = 20_000;

/// How an interval is drawn.
#[derive(Clone, Debug)]
pub struct Bootstrap {
    /// Resamples to draw.
    pub replicates: usize,
    /// Where they are drawn from.
    pub seeds: Seeds,
}

impl Default for Bootstrap {
    /// The same resamples in every report.
    fn default() -> Self {
        Self {
            replicates: REPLICATES,
            seeds: Seeds::new(0).named("bootstrap over runs"),
        }
    }
}

impl Bootstrap {
    /// An aggregate of the scores with its interval.
    #[must_use]
    pub fn aggregate(&self, scores: &Scores, how: Aggregate) -> Interval {
        let (mut rng, mut again) = (self.seeds.rng(), scores.clone());
        self.interval(scores.aggregate(how), || {
            resample(scores, &mut again, &mut rng);
            again.aggregate(how)
        })
    }

    /// The probability of improvement with its interval; both matrices are resampled.
    ///
    /// # Errors
    /// When the two have different tasks.
    pub fn improvement(&self, scores: &Scores, over: &Scores) -> Result<Interval, ScoresError> {
        let chance = scores.probability_of_improvement(over)?;
        let (mut rng, mut left, mut right) = (self.seeds.rng(), scores.clone(), over.clone());
        Ok(self.interval(chance, || {
            resample(scores, &mut left, &mut rng);
            resample(over, &mut right, &mut rng);
            left.chance_above(&right)
        }))
    }

    /// A performance profile with its pointwise intervals.
    #[must_use]
    pub fn profile(&self, scores: &Scores, thresholds: &[f64]) -> Vec<Interval> {
        let above = |threshold: &f64| {
            let (mut rng, mut again) = (self.seeds.rng(), scores.clone());
            self.interval(scores.share_above(*threshold), || {
                resample(scores, &mut again, &mut rng);
                again.share_above(*threshold)
            })
        };
        thresholds.iter().map(above).collect()
    }

    fn interval(&self, value: f64, mut replicate: impl FnMut() -> f64) -> Interval {
        let mut replicates: Vec<f64> = (0..self.replicates.max(1)).map(|_| replicate()).collect();
        replicates.sort_by(f64::total_cmp);
        Interval {
            value,
            low: quantile(&replicates, 0.025),
            high: quantile(&replicates, 0.975),
        }
    }
}

fn resample(from: &Scores, into: &mut Scores, rng: &mut ChaCha8Rng) {
    into.refill(|_, task| from.at(rng.random_range(0..from.runs()), task));
}

/// The quantile of rising numbers, interpolated between neighbours as numpy does.
fn quantile(rising: &[f64], probability: f64) -> f64 {
    let place = probability * (rising.len() - 1) as f64;
    let (low, share) = (rising[place as usize], place.fract());
    let high = rising[(place as usize + 1).min(rising.len() - 1)];
    low + share * (high - low)
}
