//! Market D: two sellers who move in turn (Klein 2021).

use super::checks::{affordable, count, discount, field};
use super::last_price::{LastPrice, episode_periods, rounds};
use super::oracle::{Oracle, OracleError};
use super::search::best_index;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Demand `1 - p`, no cost, prices `{0, 1/steps, ..., 1}`; the cheaper seller has the whole market, equal prices halve it.
/// The learner moves first, at a rival's price of `start`; each price stands for two periods.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// Periods after which an episode is cut off (stepping only; the value is that of the endless market).
    #[serde(default = "episode_periods")]
    pub episode_periods: usize,
}

/// A rival's answer to the learner's price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

    /// A step is the learner's move and the rival's answer: at a rival's price `r` it earns
    /// `profit(p, r) + d profit(p, R(p))`, and `R(p)` is what it sees next, `d^2` later.
    fn against(&self, rival: Rival) -> LastPrice {
        let (states, d) = (self.steps + 1, self.discount);
        let answers: Vec<usize> = (0..states).map(|step| self.answer(rival, step)).collect();
        let earned = |other: usize, own: usize| self.profit(own, other) + d * self.profit(own, answers[own]);
        LastPrice {
            rungs: states,
            positions: (0..states).map(|step| self.price(step) as f32).collect(),
            reward: (0..states)
                .flat_map(|other| (0..states).map(move |own| (other, own)))
                .map(|(other, own)| earned(other, own))
                .collect(),
            next: (0..states)
                .flat_map(|_| answers.iter().map(|answer| *answer as u32))
                .collect(),
            start: (self.start * self.steps as f64).round() as usize,
            discount: d * d,
            scale: 1.0 - d,
            steps: self.episode_periods.div_ceil(2),
        }
    }

    /// Rewards of every price of the rival and answer to it.
    pub(crate) fn last_price(&self) -> Result<LastPrice, OracleError> {
        self.check()?;
        Ok(self.against(self.rival))
    }

    /// The prices `0, 1/steps, ..., 1`.
    pub(crate) fn prices(&self) -> Vec<f64> {
        (0..=self.steps).map(|step| self.price(step)).collect()
    }

    pub(super) fn check(&self) -> Result<f64, OracleError> {
        count("steps", self.steps)?;
        field("steps", self.steps, self.steps <= 2000, "at most 2000")?;
        discount(self.discount)?;
        count("episode_periods", self.episode_periods)?;
        let start = (self.start * self.steps as f64).round();
        let near = (start / self.steps as f64 - self.start).abs() < 1e-9 && (0.0..=1.0).contains(&self.start);
        field(
            "start",
            self.start,
            near,
            "a price of the grid 0, 1/steps, ..., 1",
        )?;
        // The optimum against five rivals, and every fixed price; nothing is left to chance.
        let prices = (self.steps + 1) as f64;
        let rounds = rounds(self.discount * self.discount) as f64;
        affordable(prices * rounds, 6.0 * prices, 1.0)
    }

    /// Exact optimum against the configured rival, and against the others as references; per period.
    ///
    /// # Errors
    /// When a parameter makes no market, or the market is too large.
    pub fn oracle(&self) -> Result<Oracle, OracleError> {
        let game = self.last_price()?;
        let (v_star, first) = game.optimum();
        let fixed: Vec<f64> = (0..game.rungs)
            .map(|rung| game.value(|_, worth| worth(rung)))
            .collect();
        let best = best_index(game.rungs, |rung| fixed[rung]);
        let against = |rival| self.against(rival).optimum().0;
        Ok(Oracle {
            v_star,
            v_fixed: fixed[best],
            fixed_price: self.price(best),
            first_action: Some(self.price(first)),
            references: BTreeMap::from([
                ("against_undercut_and_reset", against(Rival::UndercutAndReset)),
                ("against_matcher", against(Rival::Matcher)),
                ("against_half", against(Rival::Half)),
                ("against_myopic", against(Rival::Myopic)),
            ]),
            ..Oracle::default()
        })
    }
}
