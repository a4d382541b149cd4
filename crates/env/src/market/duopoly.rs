//! Market D: two sellers who move in turn (Klein 2021).

use super::oracle::{Oracle, OracleError, count, field};
use super::search::best_index;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Demand `1 - p`, no cost, prices `{0, 1/steps, ..., 1}`; the cheaper seller has the whole market, equal prices halve it.
/// The learner moves first, at a rival's price of `start`; each price stands for two periods.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlternatingDuopoly {
    /// Steps of the price grid, 1 or more.
    pub steps: usize,
    /// Worth of the next period beside this one's, in [0, 1).
    pub discount: f64,
    /// The rival's price before the first move; on the grid.
    pub start: f64,
    /// How the rival answers.
    pub rival: Rival,
}

/// A rival's answer to the learner's price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rival {
    /// One step below; from the lowest positive price he goes back to one step above the cartel's.
    UndercutAndReset,
    /// The same price.
    Matcher,
    /// The grid price nearest below one half.
    Half,
    /// The lowest price that earns most at once.
    Myopic,
}

impl AlternatingDuopoly {
    fn price(&self, step: usize) -> f64 {
        step as f64 / self.steps as f64
    }

    fn profit(&self, own: usize, other: usize) -> f64 {
        let price = self.price(own);
        let all = price * (1.0 - price);
        match own.cmp(&other) {
            std::cmp::Ordering::Less => all,
            std::cmp::Ordering::Equal => all / 2.0,
            std::cmp::Ordering::Greater => 0.0,
        }
    }

    fn answer(&self, rival: Rival, step: usize) -> usize {
        let half = self.steps / 2;
        match rival {
            Rival::UndercutAndReset if step > 1 => step - 1,
            Rival::UndercutAndReset => (half + 1).min(self.steps),
            Rival::Matcher => step,
            Rival::Half => half,
            Rival::Myopic => best_index(self.steps + 1, |own| self.profit(own, step)),
        }
    }

    /// The learner's value, times `1 - discount`, and its first move against a rival: value iteration over the rival's
    /// price, `V(r) = max_p profit(p, r) + d profit(p, R(p)) + d^2 V(R(p))`. `fixed`: only this price.
    fn solve(&self, rival: Rival, start: usize, fixed: Option<usize>) -> (f64, usize) {
        let answers: Vec<usize> = (0..=self.steps).map(|step| self.answer(rival, step)).collect();
        let d = self.discount;
        let mut value = vec![0.0; self.steps + 1];
        let worth = |own: usize, other: usize, value: &[f64]| {
            let next = answers[own];
            self.profit(own, other) + d * self.profit(own, next) + d * d * value[next]
        };
        let choose = |other: usize, value: &[f64]| {
            fixed.unwrap_or_else(|| best_index(self.steps + 1, |own| worth(own, other, value)))
        };
        loop {
            let next: Vec<f64> = (0..=self.steps)
                .map(|other| worth(choose(other, &value), other, &value))
                .collect();
            let moved = next
                .iter()
                .zip(&value)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f64::max);
            value = next;
            if moved <= 1e-14 / (1.0 - d * d) {
                return (value[start] * (1.0 - d), choose(start, &value));
            }
        }
    }

    /// Exact optimum against the configured rival, and against the others as references; per period.
    ///
    /// # Errors
    /// When a parameter makes no market.
    pub fn oracle(&self) -> Result<Oracle, OracleError> {
        count("steps", self.steps)?;
        field("steps", self.steps, self.steps <= 2000, "at most 2000")?;
        field(
            "discount",
            self.discount,
            (0.0..=0.9999).contains(&self.discount),
            "0 to 0.9999",
        )?;
        let start = (self.start * self.steps as f64).round();
        let near = (start / self.steps as f64 - self.start).abs() < 1e-9 && (0.0..=1.0).contains(&self.start);
        field(
            "start",
            self.start,
            near,
            "a price of the grid 0, 1/steps, ..., 1",
        )?;
        let start = start as usize;
        let (v_star, first) = self.solve(self.rival, start, None);
        let fixed = |step: usize| self.solve(self.rival, start, Some(step)).0;
        let best = best_index(self.steps + 1, fixed);
        let against = |rival| self.solve(rival, start, None).0;
        Ok(Oracle {
            v_star,
            v_fixed: fixed(best),
            fixed_price: self.price(best),
            first_action: Some(self.price(first)),
            references: BTreeMap::from([
                ("against_undercut_and_reset", against(Rival::UndercutAndReset)),
                ("against_matcher", against(Rival::Matcher)),
                ("against_half", against(Rival::Half)),
                ("against_myopic", against(Rival::Myopic)),
            ]),
            equilibrium: None,
        })
    }
}
