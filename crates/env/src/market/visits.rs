//! Single visits of shoppers whose segment is seen (E1): a step is an episode.

use super::alias::AliasTable;
use super::oracle::OracleError;
use super::place::Place;
use super::policy::Ask;
use super::search::best_index;
use crate::StepEnd;

/// What a shopper of each segment does at each price.
#[derive(Clone, Debug)]
pub(crate) struct Visits {
    pub(crate) prices: Vec<f64>,
    pub(crate) cost: f64,
    /// Share of each segment.
    weights: Vec<f64>,
    /// Chance of a sale at `segment x rungs + rung`.
    chances: Vec<f64>,
    /// The rungs inside the corridor.
    mask: u64,
    segments: AliasTable,
}

impl Visits {
    pub(crate) fn new(prices: Vec<f64>, cost: f64, weights: Vec<f64>, chances: Vec<f64>, mask: u64) -> Self {
        Self {
            segments: AliasTable::new(&weights),
            prices,
            cost,
            weights,
            chances,
            mask,
        }
    }

    pub(crate) fn obs_width(&self) -> usize {
        self.weights.len()
    }

    pub(crate) fn start(&self, uniform: u32) -> Place {
        Place::new(1, self.segments.draw(uniform) as usize, 0)
    }

    /// One of the segments.
    #[inline]
    pub(crate) fn observe(&self, place: Place, obs: &mut [f32], mask: &mut u64) {
        obs.fill(0.0);
        obs[place.state as usize] = 1.0;
        *mask = self.mask;
    }

    #[inline]
    pub(crate) fn step(&self, place: Place, rungs: &[u8], draw: u32, reward: &mut [f32]) -> (Place, StepEnd) {
        let rung = usize::from(rungs[0]);
        let chance = self.chances[place.state as usize * self.prices.len() + rung];
        let sold = f64::from(draw) < chance * 2f64.powi(32);
        reward[0] = if sold {
            (self.prices[rung] - self.cost) as f32
        } else {
            0.0
        };
        (place, StepEnd::Terminated)
    }

    /// Mean profit of a visit.
    pub(crate) fn evaluate(&self, ask: &mut Ask<'_>) -> Result<f64, OracleError> {
        let segments = self.weights.len();
        let places: Vec<Place> = (0..segments).map(|segment| Place::new(1, segment, 0)).collect();
        let answer = ask.answer(&places, |place, _, obs, mask| self.observe(place, obs, mask))?;
        let profit = |segment: usize| -> f64 {
            let chances = &self.chances[segment * self.prices.len()..][..self.prices.len()];
            let each = answer.row(segment).iter().zip(chances).zip(&self.prices);
            each.map(|((p, chance), price)| p * chance * (price - self.cost))
                .sum()
        };
        Ok((0..segments).map(|s| self.weights[s] * profit(s)).sum())
    }

    /// The rung inside the corridor that earns most from a segment.
    pub(crate) fn best(&self, segment: usize) -> usize {
        best_index(self.prices.len(), |rung| {
            if self.mask >> rung & 1 == 0 {
                return f64::NEG_INFINITY;
            }
            self.chances[segment * self.prices.len() + rung] * (self.prices[rung] - self.cost)
        })
    }

    pub(crate) fn sound(&self, place: Place) -> bool {
        (place.state as usize) < self.weights.len()
    }
}
