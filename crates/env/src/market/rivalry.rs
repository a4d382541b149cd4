//! Sellers on one ladder who see the last prices of all (C), for ever: stepped, and solved over the joint last prices.

use super::checks::affordable;
use super::last_price::rounds;
use super::oracle::OracleError;
use super::place::Place;
use super::policy::{Answer, Ask};
use super::search::best_index;
use crate::{ObserveOut, StepEnd};
use haggle_core::Mask;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;

/// How a seller reacts that does not learn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reaction {
    /// The lowest last price of the others.
    Matcher,
    /// One rung below it; from the lowest rung back to the highest.
    Undercutter,
    /// The rung that earns most against the others' last prices.
    BestReply,
}

/// A game on a ladder. Movers are the agents and then the rivals that react; a joint choice of all movers has the number
/// `sum_m rung_m x rungs^m`, and the last one is the state.
#[derive(Clone, Debug)]
pub(crate) struct Rivalry {
    pub(crate) agents: usize,
    pub(crate) movers: usize,
    pub(crate) prices: Vec<f64>,
    /// Profit of each agent at `joint x agents + agent`.
    pub(crate) profit: Vec<f64>,
    /// What each agent is paid at `joint x agents + agent`.
    pub(crate) reward: Vec<f32>,
    /// The movers' rungs in a joint choice, at `joint x movers + mover`.
    pub(crate) digits: Vec<u8>,
    /// What the reacting rivals add to the number of the next joint choice, by state.
    pub(crate) reaction: Vec<u32>,
    pub(crate) discount: f64,
    /// Steps until an episode is cut off.
    pub(crate) steps: usize,
}

/// What a policy is worth among its rivals. One number per agent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Standing {
    /// Discounted profit times `1 - discount`, over even starts.
    pub(crate) profit: Vec<f64>,
    /// How much more the best reply to the others' policies would earn, as a share of the profit.
    pub(crate) reply_gain: Vec<f64>,
}

impl Rivalry {
    /// Numbers of joint choices, and so of states.
    pub(crate) fn states(&self) -> usize {
        self.prices.len().pow(self.movers as u32)
    }

    /// The movers' rungs in a joint choice.
    pub(crate) fn rungs(&self, joint: usize) -> Vec<usize> {
        let count = self.prices.len();
        let digit = |mover| joint / count.pow(mover) % count;
        (0..self.movers as u32).map(digit).collect()
    }

    /// The last prices of every mover, one of the rungs each: its own first, then the next movers' in a circle; then, with
    /// several agents, which one it is.
    pub(crate) fn obs_width(&self) -> usize {
        self.movers * self.prices.len() + if self.agents > 1 { self.agents } else { 0 }
    }

    pub(crate) fn start(&self, uniform: u32) -> Place {
        let state = (u64::from(uniform) * self.states() as u64) >> 32;
        Place::new(self.steps, state as usize, 0)
    }

    #[inline]
    pub(crate) fn observe(&self, place: Place, agent: usize, obs: &mut [f32], mask: &mut u64) {
        obs.fill(0.0);
        self.mark(place.state, agent, obs);
        *mask = Mask::all(self.prices.len()).0;
    }

    /// As [`Self::observe`] for all agents in front of all states. Rows are short: cleared one by one they cost more than all
    /// that is written into them.
    pub(crate) fn observe_all(&self, states: &[u32], out: &mut ObserveOut<'_>) {
        out.obs.fill(0.0);
        out.mask.fill(Mask::all(self.prices.len()).0);
        let width = self.obs_width();
        let places = out.obs.chunks_exact_mut(width * self.agents);
        for (state, rows) in states.iter().zip(places) {
            for (agent, obs) in rows.chunks_exact_mut(width).enumerate() {
                self.mark(*state, agent, obs);
            }
        }
    }

    /// Sets the ones of a row.
    #[inline]
    fn mark(&self, state: u32, agent: usize, obs: &mut [f32]) {
        let last = &self.digits[state as usize * self.movers..][..self.movers];
        let mut seat = 0;
        for rung in last[agent..].iter().chain(&last[..agent]) {
            obs[seat + usize::from(*rung)] = 1.0;
            seat += self.prices.len();
        }
        if self.agents > 1 {
            obs[seat + agent] = 1.0;
        }
    }

    #[inline]
    pub(crate) fn step(&self, place: Place, rungs: &[u8], reward: &mut [f32]) -> (Place, StepEnd) {
        let mut joint = 0;
        for rung in rungs.iter().rev() {
            joint = joint * self.prices.len() + usize::from(*rung);
        }
        joint += self.reaction[place.state as usize] as usize;
        let paid = &self.reward[joint * self.agents..][..self.agents];
        match (reward, paid) {
            // Two are the usual case, and no reason to call a copy of memory.
            ([first, second], [one, other]) => (*first, *second) = (*one, *other),
            (reward, paid) => reward.copy_from_slice(paid),
        }
        place.endless(joint as u32)
    }

    pub(crate) fn sound(&self, place: Place) -> bool {
        (1..=self.steps).contains(&(place.left as usize)) && (place.state as usize) < self.states()
    }

    /// The agents' answers in every state.
    pub(crate) fn ask(&self, ask: &mut Ask<'_>) -> Result<Answer, OracleError> {
        let choices = self.prices.len().pow(self.agents as u32);
        let states = self.states() as f64 * rounds(self.discount) as f64;
        // each agent as it plays, and its best reply
        affordable(states, (2 * self.agents) as f64, choices as f64)?;
        let places: Vec<Place> = (0..self.states())
            .map(|state| Place::new(self.steps, state, 0))
            .collect();
        ask.answer(&places, |place, agent, obs, mask| {
            self.observe(place, agent, obs, mask);
        })
    }

    /// Chances of the agents' joint choices (rivals' parts left out) in a state; `left_out` plays rung 0 for certain.
    pub(crate) fn choices(
        &self,
        answer: &Answer,
        state: usize,
        left_out: Option<usize>,
    ) -> Vec<(usize, f64)> {
        let mut joint = vec![(0, 1.0)];
        let mut place = 1;
        for agent in 0..self.agents {
            if left_out != Some(agent) {
                let pmf = answer.row(state * self.agents + agent);
                let played = || pmf.iter().enumerate().filter(|(_, p)| **p > 0.0);
                joint = joint
                    .iter()
                    .flat_map(|(index, q)| played().map(move |(rung, p)| (index + rung * place, p * q)))
                    .collect();
            }
            place *= self.prices.len();
        }
        joint
    }

    /// Exact value of the agents' policies, and what the best replies would win.
    pub(crate) fn evaluate(&self, ask: &mut Ask<'_>) -> Result<Standing, OracleError> {
        let answer = self.ask(ask)?;
        let profit: Vec<f64> = (0..self.agents)
            .map(|agent| self.played(&answer, agent))
            .collect();
        let reply_gain = profit
            .iter()
            .enumerate()
            .map(|(agent, own)| (self.reply(&answer, agent) - own) / own.abs())
            .collect();
        Ok(Standing { profit, reply_gain })
    }

    fn played(&self, answer: &Answer, agent: usize) -> f64 {
        let chances: Vec<Vec<(usize, f64)>> = (0..self.states())
            .map(|state| self.choices(answer, state, None))
            .collect();
        self.iterate(agent, |state, worth| {
            chances[state].iter().map(|(joint, p)| p * worth(*joint)).sum()
        })
    }

    /// Value of the best own policy against the others'.
    fn reply(&self, answer: &Answer, agent: usize) -> f64 {
        let own = self.replies(answer, agent);
        self.iterate(agent, |state, worth| {
            let worths = (0..self.prices.len()).map(|rung| own(state, rung, worth));
            worths.fold(f64::NEG_INFINITY, f64::max)
        })
    }

    /// The rung of that policy in each state.
    pub(crate) fn best_reply(&self, answer: &Answer, agent: usize) -> Vec<usize> {
        let own = self.replies(answer, agent);
        let best = RefCell::new(vec![0; self.states()]);
        self.iterate(agent, |state, worth| {
            let mut most = f64::NEG_INFINITY;
            best.borrow_mut()[state] = best_index(self.prices.len(), |rung| {
                let here = own(state, rung, worth);
                most = most.max(here);
                here
            });
            most
        });
        best.into_inner() // of the last round
    }

    /// Mean worth of an agent's rung in a state, over the others' choices.
    fn replies(&self, answer: &Answer, agent: usize) -> impl Fn(usize, usize, &dyn Fn(usize) -> f64) -> f64 {
        let others: Vec<Vec<(usize, f64)>> = (0..self.states())
            .map(|state| self.choices(answer, state, Some(agent)))
            .collect();
        let place = self.prices.len().pow(agent as u32);
        move |state, rung, worth| {
            let each = others[state].iter();
            each.map(|(joint, p)| p * worth(joint + rung * place)).sum()
        }
    }

    /// Mean over even starts of an agent's discounted profit, times `1 - discount`; `choose(state, worth of the agents'
    /// joint choices)` combines the worths.
    fn iterate(&self, agent: usize, choose: impl Fn(usize, &dyn Fn(usize) -> f64) -> f64) -> f64 {
        let d = self.discount;
        let mut value = vec![0.0; self.states()];
        for _ in 0..rounds(d) {
            // Every state leads to the same joint choices: what each is worth is computed once.
            let worth: Vec<f64> = (0..self.states())
                .map(|joint| self.profit[joint * self.agents + agent] + d * value[joint])
                .collect();
            value = (0..self.states())
                .map(|state| choose(state, &|joint| worth[joint + self.reaction[state] as usize]))
                .collect();
        }
        value.iter().sum::<f64>() / value.len() as f64 * (1.0 - d)
    }

    /// The best joint policy of all agents, per period over even starts: the sum of their profits.
    pub(crate) fn cartel(&self) -> Result<f64, OracleError> {
        let choices = self.prices.len().pow(self.agents as u32);
        let states = self.states() as f64 * rounds(self.discount) as f64;
        affordable(states, choices as f64, 1.0)?;
        let joint = self.merged();
        Ok(joint.iterate(0, |_, worth| {
            (0..choices).map(worth).fold(f64::NEG_INFINITY, f64::max)
        }))
    }

    /// The best single rung for all agents: rung and joint profit per period over even starts.
    pub(crate) fn fixed(&self) -> (usize, f64) {
        let merged = self.merged();
        let value = |rung: usize| {
            let same = (0..self.agents)
                .map(|agent| rung * self.prices.len().pow(agent as u32))
                .sum();
            merged.iterate(0, |_, worth| worth(same))
        };
        let best = best_index(self.prices.len(), value);
        (best, value(best))
    }

    /// The same game with all profit in one hand (the choices are still joint ones).
    fn merged(&self) -> Self {
        let sums = self
            .profit
            .chunks_exact(self.agents)
            .map(|each| each.iter().sum());
        let mut merged = self.clone();
        merged.profit = sums
            .flat_map(|sum: f64| std::iter::repeat_n(sum, self.agents))
            .collect();
        merged
    }
}
