//! A stock that is sold until a deadline: what A2 to A4, B1 and F have in common, and its steps.

use super::alias::AliasTable;
use super::place::Place;
use crate::StepEnd;
use haggle_core::Mask;

/// Outcomes beyond this much probability are not kept.
const TAIL: f64 = 1e-17;

/// How the price may move from one period to the next. The first price is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moves {
    Free,
    /// At most so many rungs.
    Within(usize),
    Down,
}

/// A stock, its periods, and what is demanded at each rung.
#[derive(Clone, Debug)]
pub(crate) struct Season {
    pub(crate) periods: usize,
    pub(crate) stock: usize,
    /// What a unit brings at each rung.
    pub(crate) prices: Vec<f64>,
    /// Demand at `phase x rungs + rung`: a phase per period, or one for all.
    pub(crate) demand: Vec<Demand>,
    pub(crate) moves: Moves,
    /// Worth of a unit that is left at the end.
    pub(crate) salvage: f64,
    /// Share of the stock that must be sold on average.
    pub(crate) sell_through_min: Option<f64>,
    /// Periods of a week whose day is seen; 0: no weeks.
    pub(crate) week: usize,
}

/// The distribution of units demanded in a period, cut off at the stock: the last outcome is "so many or more".
#[derive(Clone, Debug)]
pub(crate) struct Demand {
    pub(super) pmf: Vec<f64>,
    table: AliasTable,
}

impl Demand {
    pub(crate) fn new(mut pmf: Vec<f64>) -> Self {
        let mut tail = 0.0;
        while pmf.len() > 1 && tail + pmf[pmf.len() - 1] < TAIL {
            tail += pmf.pop().unwrap_or_default();
        }
        if let Some(last) = pmf.last_mut() {
            *last += tail;
        }
        Self {
            table: AliasTable::new(&pmf),
            pmf,
        }
    }

    /// At most one unit.
    pub(crate) fn single(chance: f64) -> Self {
        Self::new(vec![1.0 - chance, chance])
    }
}

impl Season {
    #[inline]
    pub(super) fn demand(&self, left: usize, rung: usize) -> &Demand {
        let rungs = self.prices.len();
        if self.demand.len() == rungs {
            return &self.demand[rung];
        }
        &self.demand[(self.periods - left) * rungs + rung]
    }

    /// Outcomes of a period at most.
    pub(crate) fn outcomes(&self) -> usize {
        self.demand
            .iter()
            .map(|demand| demand.pmf.len())
            .max()
            .unwrap_or(1)
    }

    /// States per unit of stock: the last rung counts where it binds, and "none yet" is one more.
    pub(crate) fn lasts(&self) -> usize {
        if self.moves == Moves::Free {
            1
        } else {
            self.prices.len() + 1
        }
    }

    /// The state that a rung leaves behind, see [`Self::lasts`].
    pub(super) fn last(&self, rung: usize) -> usize {
        if self.moves == Moves::Free { 0 } else { rung }
    }

    /// What may be played after `last`.
    pub(crate) fn allowed(&self, last: usize) -> std::ops::RangeInclusive<usize> {
        let top = self.prices.len() - 1;
        match self.moves {
            _ if last > top => 0..=top,
            Moves::Free => 0..=top,
            Moves::Within(reach) => last.saturating_sub(reach)..=(last + reach).min(top),
            Moves::Down => 0..=last,
        }
    }

    /// Width of [`Self::observe`].
    pub(crate) fn obs_width(&self) -> usize {
        3 + self.week + (self.lasts() - 1)
    }

    pub(crate) fn start(&self) -> Place {
        Place::new(self.periods, self.stock, self.lasts() - 1)
    }

    /// Share of time left, share of stock left, stock's share of the two together; then one of `week` days and one of the
    /// last rungs (all 0: none yet).
    #[inline]
    pub(crate) fn observe(&self, place: Place, obs: &mut [f32], mask: &mut u64) {
        let time = place.left as f32 / self.periods as f32;
        let stock = place.state as f32 / self.stock as f32;
        obs[0] = time;
        obs[1] = stock;
        obs[2] = stock / (stock + time);
        *mask = Mask::all(self.prices.len()).0;
        if obs.len() == 3 {
            return;
        }
        obs[3..].fill(0.0);
        if self.week > 0 {
            obs[3 + (self.periods - place.left as usize) % self.week] = 1.0;
        }
        if self.moves != Moves::Free {
            let last = usize::from(place.last);
            if last < self.prices.len() {
                obs[3 + self.week + last] = 1.0;
            }
            let allowed = self.allowed(last);
            *mask = Mask::all(allowed.end() + 1).0 & !Mask::all(*allowed.start()).0;
        }
    }

    #[inline]
    pub(crate) fn step(&self, place: Place, rungs: &[u8], draw: u32, reward: &mut [f32]) -> (Place, StepEnd) {
        let rung = usize::from(rungs[0]);
        let wanted = self.demand(place.left as usize, rung).table.draw(draw);
        let sold = wanted.min(place.state);
        let next = Place {
            left: place.left - 1,
            state: place.state - sold,
            last: self.last(rung) as u8,
        };
        let over = next.left == 0 || next.state == 0;
        let salvage = if over {
            self.salvage * f64::from(next.state)
        } else {
            0.0
        };
        reward[0] = (self.prices[rung] * f64::from(sold) + salvage) as f32;
        (next, if over { StepEnd::Terminated } else { StepEnd::Go })
    }

    /// What a step adds to "share of the stock that had to be sold, less the share sold".
    pub(crate) fn cost(&self, from: Place, to: Place, end: StepEnd) -> f32 {
        let due = if end == StepEnd::Go {
            0.0
        } else {
            self.sell_through_min.unwrap_or(0.0)
        };
        (due - f64::from(from.state - to.state) / self.stock as f64) as f32
    }

    pub(crate) fn sound(&self, place: Place) -> bool {
        (1..=self.periods).contains(&(place.left as usize))
            && (1..=self.stock).contains(&(place.state as usize))
            && usize::from(place.last) < self.lasts()
    }
}
