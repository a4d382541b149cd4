//! A stock that is sold until a deadline: what A2 to A4, B1 and F have in common, stepped and solved.

use super::alias::AliasTable;
use super::game::Place;
use super::oracle::OracleError;
use super::policy::Ask;
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
    pmf: Vec<f64>,
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
    fn demand(&self, left: usize, rung: usize) -> &Demand {
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
    fn last(&self, rung: usize) -> usize {
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

    /// The same without a guardrail.
    pub(crate) fn unguarded(&self) -> Self {
        Self {
            moves: Moves::Free,
            ..self.clone()
        }
    }

    /// Values when nothing is left to do: `lasts x (stock + 1)`.
    pub(crate) fn end(&self) -> Vec<f64> {
        let one = (0..=self.stock).map(|stock| stock as f64 * self.salvage);
        (0..self.lasts()).flat_map(|_| one.clone()).collect()
    }

    /// Earnings of a rung with `left` periods to go, `next` being the values after it.
    fn worth(&self, left: usize, stock: usize, rung: usize, next: &[f64]) -> f64 {
        let pmf = &self.demand(left, rung).pmf;
        let next = &next[self.last(rung) * (self.stock + 1)..][..=self.stock];
        let price = self.prices[rung];
        let (mut value, mut below) = (0.0, 0.0);
        for (sold, p) in pmf.iter().enumerate().take(stock) {
            value += p * (price * sold as f64 + next[stock - sold]);
            below += p;
        }
        if pmf.len() > stock {
            value += (1.0 - below).max(0.0) * (price * stock as f64 + next[0]);
        }
        value
    }

    /// Values with `left` periods to go from those with one less. `choose(last, stock, worth)` combines the worths of rungs
    /// to the value of a state.
    pub(crate) fn before(
        &self,
        left: usize,
        next: &[f64],
        mut choose: impl FnMut(usize, usize, &dyn Fn(usize) -> f64) -> f64,
    ) -> Vec<f64> {
        let mut values = vec![0.0; next.len()];
        for (last, values) in values.chunks_exact_mut(self.stock + 1).enumerate() {
            for (stock, value) in values.iter_mut().enumerate().skip(1) {
                *value = choose(last, stock, &|rung| self.worth(left, stock, rung, next));
            }
        }
        values
    }

    /// Value at the start of what `choose(left, last, stock, worth)` makes of the rungs' worths.
    pub(crate) fn value(&self, choose: impl Fn(usize, usize, usize, &dyn Fn(usize) -> f64) -> f64) -> f64 {
        let mut next = self.end();
        for left in 1..=self.periods {
            next = self.before(left, &next, |last, stock, worth| choose(left, last, stock, worth));
        }
        next[next.len() - 1]
    }

    /// The best rung after `last`, and its worth.
    pub(crate) fn best(&self, last: usize, worth: &dyn Fn(usize) -> f64) -> (usize, f64) {
        let mut best = (0, f64::NEG_INFINITY);
        for rung in self.allowed(last) {
            let here = worth(rung);
            if here > best.1 {
                best = (rung, here);
            }
        }
        best
    }

    /// Value of the best policy, and its first rung.
    pub(crate) fn optimum(&self) -> (f64, usize) {
        let first = std::cell::Cell::new(0);
        let value = self.value(|_, last, _, worth| {
            let (rung, value) = self.best(last, worth);
            first.set(rung); // the last state looked at is the first one of the season
            value
        });
        (value, first.get())
    }

    /// Value of one rung for all time.
    pub(crate) fn fixed(&self, rung: usize) -> f64 {
        self.unguarded().value(|_, _, _, worth| worth(rung))
    }

    /// Value of choosing among the allowed rungs with equal chances.
    pub(crate) fn random(&self) -> f64 {
        self.value(|_, last, _, worth| {
            let allowed = self.allowed(last);
            let count = allowed.clone().count() as f64;
            allowed.map(worth).sum::<f64>() / count
        })
    }

    /// Value of a policy that is asked period by period, and the expected share of the stock that it sells.
    pub(crate) fn evaluate(&self, ask: &mut Ask<'_>) -> Result<(f64, f64), OracleError> {
        let counting = self.counting();
        let (mut next, mut sold) = (self.end(), counting.end());
        for left in 1..=self.periods {
            let places: Vec<Place> = (0..self.lasts())
                .flat_map(|last| (1..=self.stock).map(move |stock| Place::new(left, stock, last)))
                .collect();
            let answer = ask.answer(&places, |place, _, obs, mask| self.observe(place, obs, mask))?;
            let mix = |last: usize, stock: usize, worth: &dyn Fn(usize) -> f64| {
                let pmf = answer.row(last * self.stock + stock - 1);
                let played = pmf.iter().enumerate().filter(|(_, p)| **p > 0.0);
                played.map(|(rung, p)| p * worth(rung)).sum()
            };
            next = self.before(left, &next, mix);
            sold = counting.before(left, &sold, mix);
        }
        Ok((next[next.len() - 1], sold[sold.len() - 1]))
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
