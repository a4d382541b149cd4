//! Linear demand that changes (H), stepped: what is seen are the last prices and what they sold.

use super::alias::normal;
use super::place::Place;
use crate::StepEnd;
use haggle_core::Mask;
use rand_chacha::ChaCha8Rng;

/// Periods that are seen.
const WINDOW: usize = 8;

/// Demand `a - b p` plus noise, period by period.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    pub(crate) prices: Vec<f64>,
    /// `a` and `b` of each period.
    pub(crate) lines: Vec<(f64, f64)>,
    pub(crate) noise: f64,
    /// Demand that is seen as 1.
    pub(crate) scale: f64,
}

impl Lines {
    pub(crate) fn memory_width(&self) -> usize {
        2 * WINDOW
    }

    pub(crate) fn start(&self, memory: &mut [f32]) -> Place {
        memory.fill(0.0);
        Place::new(self.lines.len(), 0, 0)
    }

    /// The last eight prices (from 0 for the lowest rung to 1 for the highest) and the demand that each met, the newest
    /// first; 0 before the first. The period is not told.
    pub(crate) fn observe(&self, memory: &[f32], obs: &mut [f32], mask: &mut u64) {
        obs.copy_from_slice(memory);
        *mask = Mask::all(self.prices.len()).0;
    }

    pub(crate) fn step(
        &self,
        place: Place,
        rungs: &[u8],
        rng: &mut ChaCha8Rng,
        reward: &mut [f32],
        memory: &mut [f32],
    ) -> (Place, StepEnd) {
        let rung = usize::from(rungs[0]);
        let (a, b) = self.lines[self.lines.len() - place.left as usize];
        let demand = a - b * self.prices[rung] + self.noise * normal(rng);
        reward[0] = (self.prices[rung] * demand) as f32;
        memory.copy_within(..2 * (WINDOW - 1), 2);
        memory[0] = rung as f32 / (self.prices.len() - 1).max(1) as f32;
        memory[1] = (demand / self.scale) as f32;
        let next = Place {
            left: place.left - 1,
            ..place
        };
        (
            next,
            if next.left == 0 {
                StepEnd::Terminated
            } else {
                StepEnd::Go
            },
        )
    }
}
