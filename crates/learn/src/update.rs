//! What an update says, and the end of one on libtorch.

use crate::device::to_host;
use tch::{Device, Kind, Tensor};

/// Means over the minibatches of an update, by their tags in `metrics.jsonl`.
pub(crate) const UPDATE_METRICS: [&str; 6] = [
    "policy_gradient_loss",
    "value_loss",
    "entropy_loss",
    "approx_kl",
    "clip_fraction",
    "grad_norm",
];

/// An update ends early once the divergence passes this multiple of its target.
pub(crate) const KL_SLACK: f64 = 1.5;

/// What an update did.
#[derive(Clone, Debug)]
pub(crate) struct Updated {
    /// In the order of [`UPDATE_METRICS`].
    pub(crate) means: [f64; UPDATE_METRICS.len()],
    /// Passes made before the divergence ended them.
    pub(crate) epochs: usize,
}

/// Where the divergence stands in [`UPDATE_METRICS`].
const DIVERGENCE: usize = 3;

/// An update under way: sums over its gradient steps, on the device until somebody must know.
#[derive(Debug)]
pub(crate) struct Sums {
    sums: Tensor,
    epochs: usize,
    /// Gradient steps of an epoch.
    batches: usize,
    /// Gradient steps so far.
    steps: usize,
    /// The sum of the divergences when they were last looked at.
    divergence: f64,
}

impl Sums {
    /// Of at most `epochs` passes in `batches` gradient steps each.
    pub(crate) fn new(epochs: usize, batches: usize, device: Device) -> Self {
        Self {
            sums: Tensor::zeros([UPDATE_METRICS.len() as i64], (Kind::Float, device)),
            epochs,
            batches,
            steps: 0,
            divergence: 0.0,
        }
    }

    /// Takes in the means of one gradient step; one without rows has none.
    pub(crate) fn add(&mut self, means: Option<&Tensor>) {
        if let Some(means) = means {
            let _ = self.sums.g_add_(means);
        }
        self.steps += 1;
    }

    /// Whether an epoch has just ended in which the policy moved so far that no other may follow. Waits for the device where
    /// a divergence is watched and an epoch could follow.
    pub(crate) fn moved_too_far(&mut self, target_kl: f64) -> bool {
        let between = self.steps.is_multiple_of(self.batches) && self.steps < self.epochs * self.batches;
        if target_kl <= 0.0 || !between {
            return false;
        }
        let total = f64::from(to_host(&self.sums)[DIVERGENCE]);
        let moved = (total - self.divergence) / self.batches as f64;
        self.divergence = total;
        moved > KL_SLACK * target_kl
    }

    /// Means over the gradient steps. Waits for the device.
    pub(crate) fn end(self) -> Updated {
        let mut means = [0.0; UPDATE_METRICS.len()];
        for (mean, sum) in means.iter_mut().zip(to_host(&self.sums)) {
            *mean = f64::from(sum) / self.steps as f64;
        }
        Updated {
            means,
            epochs: self.steps / self.batches,
        }
    }
}
