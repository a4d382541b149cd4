//! Sellers on a ladder who meet once: every Nash point and the best joint choice, by looking at all joint choices.

use super::oracle::{Equilibrium, NashPoint, Oracle, OracleError, PerSeller};
use super::rivalry::Rivalry;
use super::search::best_index;
use std::collections::BTreeMap;

/// Two rungs earn the same when their profits differ by less than this, relative: what rounding leaves of a tie.
const TIE: f64 = 1e-12;

impl Rivalry {
    /// What is known of agents who all choose from the ladder (no rival reacts). Of several Nash points the one with the least
    /// joint profit, the first of equals, stands for all; the best joint choice may ask different prices of equal sellers.
    ///
    /// # Errors
    /// When no joint choice is a Nash point. Logit sellers have one unless every price is below somebody's cost.
    pub(super) fn one_shot(&self) -> Result<Oracle, OracleError> {
        let joint = |choice: usize| self.profits_of(choice).iter().sum::<f64>();
        let points = self.nash_points();
        let Some(nash) = points
            .iter()
            .copied()
            .min_by(|a, b| joint(*a).total_cmp(&joint(*b)))
        else {
            return Err(OracleError::Unsolved(
                "the equilibrium: no prices of the ladder are one in pure strategies".to_owned(),
            ));
        };
        let monopoly = best_index(self.states(), joint);
        let rungs = self.prices.len();
        let step: usize = (0..self.agents as u32).map(|agent| rungs.pow(agent)).sum();
        let same = best_index(rungs, |rung| joint(rung * step));
        let others = monopoly - monopoly % rungs;
        let reply = best_index(rungs, |rung| self.profits_of(others + rung)[0]);
        Ok(Oracle {
            v_star: joint(monopoly),
            v_fixed: joint(same * step),
            fixed_price: self.prices[same],
            references: BTreeMap::from([
                ("joint_nash", joint(nash)),
                ("best_reply_to_monopoly_price", self.prices[reply]),
                (
                    "best_reply_to_monopoly_profit",
                    self.profits_of(others + reply)[0],
                ),
            ]),
            equilibrium: Some(Equilibrium {
                nash_price: self.prices_of(nash),
                nash_profit: PerSeller::of(self.profits_of(nash).to_vec()),
                monopoly_price: self.prices_of(monopoly),
                monopoly_profit: PerSeller::of(self.profits_of(monopoly).to_vec()),
                nash_points: points
                    .iter()
                    .map(|point| NashPoint {
                        price: self.prices_of(*point),
                        profit: PerSeller::of(self.profits_of(*point).to_vec()),
                    })
                    .collect(),
            }),
            ..Oracle::default()
        })
    }

    /// The joint choices in which no agent earns more at another rung.
    fn nash_points(&self) -> Vec<usize> {
        let rungs = self.prices.len();
        let mut stays = vec![true; self.states()];
        for agent in 0..self.agents {
            let place = rungs.pow(agent as u32);
            let profit = |choice: usize| self.profits_of(choice)[agent];
            // The choices that differ only in this agent's rung stand `place` apart.
            let firsts = (0..self.states()).filter(|choice| (choice / place).is_multiple_of(rungs));
            for first in firsts {
                let replies = || (0..rungs).map(|rung| first + rung * place);
                let most = replies().map(profit).fold(f64::NEG_INFINITY, f64::max);
                for choice in replies() {
                    stays[choice] &= profit(choice) >= most - TIE * most.abs();
                }
            }
        }
        (0..self.states()).filter(|choice| stays[*choice]).collect()
    }

    fn profits_of(&self, choice: usize) -> &[f64] {
        &self.profit[choice * self.agents..][..self.agents]
    }

    fn prices_of(&self, choice: usize) -> PerSeller {
        PerSeller::of(self.rungs(choice).iter().map(|rung| self.prices[*rung]).collect())
    }
}
