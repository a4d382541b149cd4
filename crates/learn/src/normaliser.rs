use serde::{Deserialize, Serialize};

/// Normalised observations are clamped to this many standard deviations, in training as in a bundle's forward pass.
const CLAMP: f32 = 10.0;
/// Keeps features that never move from being blown up.
const VARIANCE_MIN: f64 = 1e-4;
/// Returns move while the policy learns: what was seen so far weighs at most as much as this many newest roll-outs.
const RETURN_MEMORY: f64 = 8.0;

/// Running mean and variance per feature (Chan, Golub and LeVeque 1979), in float64.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RowNormaliser {
    count: f64,
    mean: Vec<f64>,
    variance: Vec<f64>,
}

impl RowNormaliser {
    pub(crate) fn new(width: usize) -> Self {
        Self {
            count: 0.0,
            mean: vec![0.0; width],
            variance: vec![1.0; width],
        }
    }

    pub(crate) fn width(&self) -> usize {
        self.mean.len()
    }

    /// Takes in rows (whole rows of this width, one after another).
    pub(crate) fn update(&mut self, rows: &[f32]) {
        let width = self.width();
        if width == 0 || rows.is_empty() {
            return;
        }
        let count = (rows.len() / width) as f64;
        let (mut mean, mut square) = (vec![0.0; width], vec![0.0; width]);
        for row in rows.chunks_exact(width) {
            for (sum, value) in mean.iter_mut().zip(row) {
                *sum += f64::from(*value);
            }
        }
        mean.iter_mut().for_each(|sum| *sum /= count);
        for row in rows.chunks_exact(width) {
            for ((sum, value), mean) in square.iter_mut().zip(row).zip(&mean) {
                *sum += (f64::from(*value) - mean).powi(2);
            }
        }
        let total = self.count + count;
        for n in 0..width {
            let delta = mean[n] - self.mean[n];
            let between = delta * delta * self.count * count / total;
            self.variance[n] = (self.variance[n] * self.count + square[n] + between) / total;
            self.mean[n] += delta * count / total;
        }
        self.count = total;
    }

    /// The statistics as they stand, in the form in which a bundle carries them.
    pub(crate) fn frozen(&self) -> Frozen {
        Frozen {
            mean: self.mean.iter().map(|mean| *mean as f32).collect(),
            std: self
                .variance
                .iter()
                .map(|v| (v + VARIANCE_MIN).sqrt() as f32)
                .collect(),
        }
    }
}

/// Statistics that stay the same for a roll-out (or for a bundle's life).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Frozen {
    pub(crate) mean: Vec<f32>,
    pub(crate) std: Vec<f32>,
}

impl Frozen {
    /// Appends the normalised row to `out`.
    pub(crate) fn push(&self, row: &[f32], out: &mut Vec<f32>) {
        let statistics = self.mean.iter().zip(&self.std);
        let normalised = row
            .iter()
            .zip(statistics)
            .map(|(x, (mean, std))| ((x - mean) / std).clamp(-CLAMP, CLAMP));
        out.extend(normalised);
    }
}

/// Mean and deviation of returns: the critic learns in these units, advantages are taken in money.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ValueNormaliser {
    weight: f64,
    mean: f64,
    variance: f64,
}

impl ValueNormaliser {
    pub(crate) fn new() -> Self {
        Self {
            weight: 0.0,
            mean: 0.0,
            variance: 1.0,
        }
    }

    /// Takes in the returns of one roll-out.
    pub(crate) fn update(&mut self, returns: &[f32]) {
        if returns.is_empty() {
            return;
        }
        let count = returns.len() as f64;
        let mean = returns.iter().map(|x| f64::from(*x)).sum::<f64>() / count;
        let variance = returns
            .iter()
            .map(|x| (f64::from(*x) - mean).powi(2))
            .sum::<f64>()
            / count;
        let old = self.weight.min(RETURN_MEMORY);
        let (total, delta) = (old + 1.0, mean - self.mean);
        self.variance = (self.variance * old + variance) / total + delta * delta * old / (total * total);
        self.mean += delta / total;
        self.weight = total;
    }

    pub(crate) fn std(&self) -> f64 {
        self.variance.sqrt().max(1e-6)
    }

    pub(crate) fn mean(&self) -> f64 {
        self.mean
    }

    /// From money to the critic's units.
    pub(crate) fn normalise(&self, value: f32) -> f32 {
        ((f64::from(value) - self.mean) / self.std()) as f32
    }

    /// From the critic's units to money.
    pub(crate) fn restore(&self, value: f32) -> f32 {
        (f64::from(value) * self.std() + self.mean) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_halves_give_the_statistics_of_the_whole() {
        let mut whole = RowNormaliser::new(2);
        whole.update(&[1.0, 10.0, 2.0, 10.0, 3.0, 10.0, 6.0, 10.0]);
        let mut halves = RowNormaliser::new(2);
        halves.update(&[1.0, 10.0, 2.0, 10.0]);
        halves.update(&[3.0, 10.0, 6.0, 10.0]);
        assert_eq!(whole.frozen().mean, [3.0, 10.0]);
        for n in 0..2 {
            assert!((whole.frozen().std[n] - halves.frozen().std[n]).abs() < 1e-6);
        }
        assert!((whole.frozen().std[0] - 3.5f32.sqrt()).abs() < 1e-4); // ((-2)^2 + (-1)^2 + 0 + 3^2) / 4
        assert!((whole.frozen().std[1] - 0.01).abs() < 1e-6);
    }

    #[test]
    fn far_away_values_are_clamped() {
        let mut rows = RowNormaliser::new(1);
        rows.update(&[-1.0, 1.0]);
        let mut out = Vec::new();
        rows.frozen().push(&[0.0], &mut out);
        rows.frozen().push(&[1e9], &mut out);
        assert_eq!(out, [0.0, 10.0]);
    }

    #[test]
    fn values_come_back_in_money() {
        let mut values = ValueNormaliser::new();
        values.update(&[2.0, 4.0]);
        assert_eq!((values.mean(), values.std()), (3.0, 1.0));
        assert_eq!(values.normalise(4.0), 1.0);
        assert_eq!(values.restore(-1.0), 2.0);
    }

    #[test]
    fn old_returns_fade() {
        let mut values = ValueNormaliser::new();
        (0..100).for_each(|_| values.update(&[0.0, 2.0]));
        (0..100).for_each(|_| values.update(&[10.0, 12.0]));
        assert!(
            (values.mean() - 11.0).abs() < 0.01 && (values.std() - 1.0).abs() < 0.01,
            "{values:?}"
        );
    }
}
