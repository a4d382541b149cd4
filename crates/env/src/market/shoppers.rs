//! Single visits of shoppers with two Gaussian features (E2): a step is an episode.

use super::alias::normal;
use super::continuous_types::ContinuousTypes;
use super::oracle::OracleError;
use super::place::Place;
use super::policy::Ask;
use crate::StepEnd;
use haggle_core::Mask;
use rand_chacha::ChaCha8Rng;

/// What shoppers do, and the ladder.
#[derive(Clone, Debug)]
pub(crate) struct Shoppers {
    pub(crate) prices: Vec<f64>,
    pub(crate) types: ContinuousTypes,
}

impl Shoppers {
    pub(crate) fn memory_width(&self) -> usize {
        2
    }

    pub(crate) fn start(&self, rng: &mut ChaCha8Rng, memory: &mut [f32]) -> Place {
        memory.fill_with(|| normal(rng) as f32);
        Place::new(1, 0, 0)
    }

    /// The two features.
    pub(crate) fn observe(&self, memory: &[f32], obs: &mut [f32], mask: &mut u64) {
        obs.copy_from_slice(memory);
        *mask = Mask::all(self.prices.len()).0;
    }

    pub(crate) fn step(
        &self,
        place: Place,
        rungs: &[u8],
        draw: u32,
        reward: &mut [f32],
        memory: &[f32],
    ) -> (Place, StepEnd) {
        let price = self.prices[usize::from(rungs[0])];
        let chance = self
            .types
            .chance(f64::from(memory[0]), f64::from(memory[1]), price);
        let sold = f64::from(draw) < chance * 2f64.powi(32);
        reward[0] = if sold {
            (price - self.types.costs) as f32
        } else {
            0.0
        };
        (place, StepEnd::Terminated)
    }

    /// Mean profit of a visit, by quadrature over both features: exact for policies that are smooth in them.
    pub(crate) fn evaluate(&self, ask: &mut Ask<'_>) -> Result<f64, OracleError> {
        let points = ContinuousTypes::normal(ContinuousTypes::POINTS);
        let mut value = 0.0;
        for (x1, weight) in &points {
            let places = vec![Place::new(1, 0, 0); points.len()];
            let second = points.iter().map(|(x2, _)| *x2 as f32);
            let memories: Vec<[f32; 2]> = second.map(|x2| [*x1 as f32, x2]).collect();
            let answer = ask.answer_each(&places, |row, _, _, obs, mask| {
                self.observe(&memories[row], obs, mask);
            })?;
            for (row, (x2, other)) in points.iter().enumerate() {
                let played = answer.row(row).iter().zip(&self.prices);
                let profit: f64 = played
                    .map(|(p, price)| p * self.types.profit(*x1, *x2, *price))
                    .sum();
                value += weight * other * profit;
            }
        }
        Ok(value)
    }
}
