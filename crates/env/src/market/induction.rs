//! A season solved: backward induction over periods left, stock, and the last rung where it binds.

use super::oracle::{Oracle, OracleError};
use super::place::Place;
use super::policy::Ask;
use super::search::best_index;
use super::season::{Moves, Season};
use std::collections::BTreeMap;

impl Season {
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

    /// Value of the price that earns most at once, where a period has so much mean demand at a price.
    pub(crate) fn myopic(&self, mean: impl Fn(usize, f64) -> f64) -> f64 {
        self.value(|left, _, _, worth| {
            let earns = |rung: usize| self.prices[rung] * mean(self.periods - left, self.prices[rung]);
            worth(best_index(self.prices.len(), earns))
        })
    }

    /// What is known of it, beside the values of references.
    ///
    /// # Errors
    /// When the constraint cannot be met.
    pub(crate) fn oracle(&self, mut references: BTreeMap<&'static str, f64>) -> Result<Oracle, OracleError> {
        let fixed: Vec<f64> = (0..self.prices.len()).map(|rung| self.fixed(rung)).collect();
        let (v_star, first, best) = self.solve(&fixed, &mut references)?;
        Ok(Oracle {
            v_star,
            v_fixed: fixed[best],
            fixed_price: self.prices[best],
            first_action: Some(self.prices[first]),
            references,
            ..Oracle::default()
        })
    }
}
