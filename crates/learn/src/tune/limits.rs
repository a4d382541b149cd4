//! What a candidate must keep, whatever it would gain: the price index of the incumbent, and the divergence from it.

use super::TuneConfig;
use super::tuner::Tuner;
use crate::device::to_host;

/// Halvings of a step that went too far, and as many to find the largest that does not.
const BISECTIONS: usize = 12;

impl Tuner {
    /// Tilts all prices down by as little as brings the price index back to where it may be: the scores of the rungs fall
    /// with the rung, through the last layer's biases.
    pub(super) fn keep_budget(&mut self) {
        const TILT_MAX: f64 = 8.0;
        let end = to_host(&self.net.flat);
        let rungs = self.table.rungs;
        let fits = |tuner: &mut Self, tilt: f64| {
            let mut parameters = end.clone();
            let first = tuner.start.len() - rungs;
            for (rung, bias) in parameters[first..first + rungs].iter_mut().enumerate() {
                *bias -= (tilt * rung as f64 / rungs as f64) as f32;
            }
            tch::no_grad(|| tuner.net.set(&parameters));
            let p = tuner.all_probabilities();
            tuner.table.price_index(&p) <= tuner.index_max
        };
        if fits(self, 0.0) {
            return;
        }
        let (mut low, mut high) = (0.0, TILT_MAX);
        for _ in 0..BISECTIONS {
            let middle = f64::midpoint(low, high);
            if fits(self, middle) {
                high = middle;
            } else {
                low = middle;
            }
        }
        fits(self, high);
    }

    /// The largest part of the step that respects divergence and price index; 0 if none does.
    pub(super) fn step_back(&mut self, config: &TuneConfig) -> (f64, f64) {
        let end = to_host(&self.net.flat);
        let fits = |tuner: &mut Self, step: f64| {
            let between = |(from, to): (&f32, &f32)| from + (to - from) * step as f32;
            let parameters: Vec<f32> = tuner.start.iter().zip(&end).map(between).collect();
            tch::no_grad(|| tuner.net.set(&parameters));
            let p = tuner.all_probabilities();
            let kl = tuner.divergence(&p);
            (
                kl <= config.kl_max && tuner.table.price_index(&p) <= tuner.index_max,
                kl,
            )
        };
        if let (true, kl) = fits(self, 1.0) {
            return (1.0, kl);
        }
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..BISECTIONS {
            let middle = (low + high) / 2.0;
            if fits(self, middle).0 {
                low = middle;
            } else {
                high = middle;
            }
        }
        let (_, kl) = fits(self, low);
        (low, kl)
    }
}
