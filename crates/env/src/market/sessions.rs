//! Sessions of buyers whose type is hidden, stepped, and solved for policies that see the last offer only.

use super::alias::AliasTable;
use super::oracle::OracleError;
use super::place::Place;
use super::policy::Ask;
use crate::StepEnd;
use haggle_core::Mask;

/// Types and what each does at each price. The state is `type x (2 rungs + 1) + last`, where the last offer is 0 for none,
/// `1 + 2 rung` for one that was refused and one more where it was taken.
#[derive(Clone, Debug)]
pub(crate) struct Sessions {
    pub(crate) periods: usize,
    pub(crate) prices: Vec<f64>,
    pub(crate) weights: Vec<f64>,
    /// Chance of a sale, by type and rung.
    pub(crate) chances: Vec<Vec<f64>>,
    types: AliasTable,
}

impl Sessions {
    pub(crate) fn new(periods: usize, prices: Vec<f64>, weights: Vec<f64>, chances: Vec<Vec<f64>>) -> Self {
        Self {
            types: AliasTable::new(&weights),
            periods,
            prices,
            weights,
            chances,
        }
    }

    /// What the last offer can have been.
    pub(crate) fn lasts(&self) -> usize {
        2 * self.prices.len() + 1
    }

    /// Share of the session left, the last offer as one of the rungs, and whether it was taken (1), refused (-1) or none was
    /// made (0).
    pub(crate) fn obs_width(&self) -> usize {
        2 + self.prices.len()
    }

    pub(crate) fn state_width(&self) -> usize {
        self.weights.len()
    }

    pub(crate) fn start(&self, uniform: u32) -> Place {
        Place::new(self.periods, self.types.draw(uniform) as usize * self.lasts(), 0)
    }

    pub(crate) fn observe(&self, place: Place, obs: &mut [f32], mask: &mut u64) {
        obs.fill(0.0);
        obs[0] = place.left as f32 / self.periods as f32;
        if let Some(offer) = (place.state as usize % self.lasts()).checked_sub(1) {
            obs[1 + offer / 2] = 1.0;
            obs[1 + self.prices.len()] = if offer % 2 == 1 { 1.0 } else { -1.0 };
        }
        *mask = Mask::all(self.prices.len()).0;
    }

    /// The type, for a critic.
    pub(crate) fn state(&self, place: Place, state: &mut [f32]) {
        state.fill(0.0);
        state[place.state as usize / self.lasts()] = 1.0;
    }

    pub(crate) fn step(&self, place: Place, rungs: &[u8], draw: u32, reward: &mut [f32]) -> (Place, StepEnd) {
        let rung = usize::from(rungs[0]);
        let kind = place.state as usize / self.lasts();
        let sold = f64::from(draw) < self.chances[kind][rung] * 2f64.powi(32);
        reward[0] = if sold { self.prices[rung] as f32 } else { 0.0 };
        let last = 1 + 2 * rung + usize::from(sold);
        let next = Place::new(place.left as usize - 1, kind * self.lasts() + last, 0);
        (
            next,
            if next.left == 0 {
                StepEnd::Terminated
            } else {
                StepEnd::Go
            },
        )
    }

    /// Value of a session where `plan(left, last)` says with which chance each rung is played.
    pub(crate) fn value<'a>(&self, plan: impl Fn(usize, usize) -> &'a [f64]) -> f64 {
        let mut next = vec![vec![0.0; self.lasts()]; self.weights.len()];
        for left in 1..=self.periods {
            let value = |kind: usize, last: usize| -> f64 {
                let worth = |rung: usize| {
                    let (chance, after) = (self.chances[kind][rung], 1 + 2 * rung);
                    chance * (self.prices[rung] + next[kind][after + 1]) + (1.0 - chance) * next[kind][after]
                };
                let rungs = plan(left, last).iter().enumerate();
                rungs.map(|(rung, p)| p * worth(rung)).sum()
            };
            next = (0..self.weights.len())
                .map(|kind| (0..self.lasts()).map(|last| value(kind, last)).collect())
                .collect();
        }
        let starts = self.weights.iter().zip(&next);
        starts.map(|(weight, values)| weight * values[0]).sum()
    }

    /// Value of a policy without a memory.
    pub(crate) fn evaluate(&self, ask: &mut Ask<'_>) -> Result<f64, OracleError> {
        let places: Vec<Place> = (1..=self.periods)
            .flat_map(|left| (0..self.lasts()).map(move |last| Place::new(left, last, 0)))
            .collect();
        let answer = ask.answer(&places, |place, _, obs, mask| self.observe(place, obs, mask))?;
        Ok(self.value(|left, last| answer.row((left - 1) * self.lasts() + last)))
    }

    pub(crate) fn sound(&self, place: Place) -> bool {
        (1..=self.periods).contains(&(place.left as usize))
            && (place.state as usize) < self.weights.len() * self.lasts()
    }
}
