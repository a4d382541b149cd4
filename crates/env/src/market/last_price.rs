//! Markets without chance where one seller answers a last price (D the rival's, G0 his own), for ever.

use super::oracle::OracleError;
use super::place::Place;
use super::policy::Ask;
use super::search::best_index;
use crate::StepEnd;
use haggle_core::Mask;
use std::cell::{Cell, RefCell};

/// Rounds of value iteration after which what is still to come is below rounding: `discount^rounds = e^-37`.
pub(crate) fn rounds(discount: f64) -> usize {
    (37.0 / -discount.max(0.01).ln()).ceil() as usize
}

/// Periods of an episode of an endless market, where the file does not say.
pub(crate) fn episode_periods() -> usize {
    100
}

/// Rewards and successors of every last price and answer.
#[derive(Clone, Debug)]
pub(crate) struct LastPrice {
    pub(crate) rungs: usize,
    /// The last prices, as observed: from 0 for the lowest to 1 for the highest.
    pub(crate) positions: Vec<f32>,
    /// Earned at `state x rungs + rung`.
    pub(crate) reward: Vec<f64>,
    /// The state that a rung leads to.
    pub(crate) next: Vec<u32>,
    pub(crate) start: usize,
    /// Worth of the next step beside this one's.
    pub(crate) discount: f64,
    /// What the discounted sum is multiplied with, so that it is comparable with the oracle's.
    pub(crate) scale: f64,
    /// Steps until an episode is cut off.
    pub(crate) steps: usize,
}

impl LastPrice {
    /// The best rung in each state.
    pub(crate) fn best(&self) -> Vec<usize> {
        let best = RefCell::new(vec![0; self.positions.len()]);
        self.value(|state, worth| {
            let rung = best_index(self.rungs, worth);
            best.borrow_mut()[state] = rung;
            worth(rung)
        });
        best.into_inner() // of the last round
    }

    /// Value of the best policy, and its rung at the start.
    pub(crate) fn optimum(&self) -> (f64, usize) {
        let first = Cell::new(0);
        let value = self.value(|state, worth| {
            let best = best_index(self.rungs, worth);
            if state == self.start {
                first.set(best);
            }
            worth(best)
        });
        (value, first.get())
    }

    /// Discounted value from the start of what `choose(state, worths of the rungs)` makes of the worths.
    pub(crate) fn value(&self, choose: impl Fn(usize, &dyn Fn(usize) -> f64) -> f64) -> f64 {
        let mut value = vec![0.0; self.positions.len()];
        for _ in 0..rounds(self.discount) {
            let worth = |state: usize, rung: usize| {
                let index = state * self.rungs + rung;
                self.reward[index] + self.discount * value[self.next[index] as usize]
            };
            value = (0..value.len())
                .map(|state| choose(state, &|rung| worth(state, rung)))
                .collect();
        }
        value[self.start] * self.scale
    }

    pub(crate) fn evaluate(&self, ask: &mut Ask<'_>) -> Result<f64, OracleError> {
        let places: Vec<Place> = (0..self.positions.len())
            .map(|state| Place::new(self.steps, state, 0))
            .collect();
        let answer = ask.answer(&places, |place, _, obs, mask| self.observe(place, obs, mask))?;
        Ok(self.value(|state, worth| {
            let played = answer.row(state).iter().enumerate().filter(|(_, p)| **p > 0.0);
            played.map(|(rung, p)| p * worth(rung)).sum()
        }))
    }

    pub(crate) fn obs_width(&self) -> usize {
        1 + self.positions.len()
    }

    pub(crate) fn start(&self) -> Place {
        Place::new(self.steps, self.start, 0)
    }

    /// The last price, as a number and as one of its states.
    #[inline]
    pub(crate) fn observe(&self, place: Place, obs: &mut [f32], mask: &mut u64) {
        obs.fill(0.0);
        obs[0] = self.positions[place.state as usize];
        obs[1 + place.state as usize] = 1.0;
        *mask = Mask::all(self.rungs).0;
    }

    #[inline]
    pub(crate) fn step(&self, place: Place, rungs: &[u8], reward: &mut [f32]) -> (Place, StepEnd) {
        let index = place.state as usize * self.rungs + usize::from(rungs[0]);
        reward[0] = self.reward[index] as f32;
        place.endless(self.next[index])
    }

    pub(crate) fn sound(&self, place: Place) -> bool {
        (1..=self.steps).contains(&(place.left as usize)) && (place.state as usize) < self.positions.len()
    }
}
