//! Steps of the environment, packed one after another.

use super::{ABSENT, Rollout, push_id};
use crate::normaliser::Frozen;
use crate::team::Team;
use haggle_env::{Env, StepEnd};
use rand::Rng;
use std::time::{Duration, Instant};

/// A copy of which no agent may act.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Idle {
    pub(crate) copy: usize,
    /// The step of the roll-out.
    pub(crate) t: usize,
}

/// Where the time of a roll-out went.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    pub(crate) environment: Duration,
    pub(crate) inference: Duration,
}

/// Normalisers as they stand during one roll-out.
#[derive(Debug)]
pub(crate) struct Eyes {
    pub(crate) obs: Frozen,
    pub(crate) state: Frozen,
}

impl Rollout {
    /// Plays `horizon` steps with the networks' floored distributions; draws come from `rng` in the order of the rows.
    pub(crate) fn collect(
        &mut self,
        env: &mut dyn Env,
        team: &mut Team,
        eyes: &Eyes,
        rng: &mut impl Rng,
    ) -> Result<Spent, Idle> {
        self.clear();
        team.begin();
        let mut spent = Spent::default();
        for t in 0..self.horizon {
            let from = self.len();
            let started = Instant::now();
            self.step.observe(env);
            let observed = Instant::now();
            self.pack(t, eyes)?;
            if self.multipliers.is_empty() {
                self.act(from, team, rng);
            } else {
                self.multiply(from, team, rng);
            }
            let acted = Instant::now();
            self.step.play(env);
            self.end[t * self.spec.copies..][..self.spec.copies].copy_from_slice(&self.step.end);
            self.take_outcome(t, eyes);
            spent.environment += (observed - started) + acted.elapsed();
            spent.inference += acted - observed;
        }
        self.step.observe(env);
        self.take_next(eyes);
        Ok(spent)
    }

    fn clear(&mut self) {
        self.raw_obs.clear();
        self.raw_state.clear();
        self.seen.clear();
        self.kept.clear();
        self.begins.clear();
        self.agent.clear();
        self.mask.clear();
        self.rung.clear();
        self.latent.clear();
        self.log_prob.clear();
        self.reward.clear();
        self.cost.clear();
        self.violation.fill(0.0);
        self.tail.clear();
        self.tail_kept.clear();
        self.tail_of.clear();
    }

    fn pack(&mut self, t: usize, eyes: &Eyes) -> Result<(), Idle> {
        let (rows, width, states) = (self.spec.rows(), self.spec.obs_width, self.spec.state_width);
        for row in 0..rows {
            let mask = self.step.mask[row];
            self.slot[t * rows + row] = ABSENT;
            if mask == 0 {
                continue;
            }
            self.slot[t * rows + row] = self.mask.len() as u32;
            let agent = row % self.spec.agents;
            let from = self.raw_obs.len();
            self.raw_obs
                .extend_from_slice(&self.step.obs[row * width..][..width]);
            push_id(agent, self.id_width, &mut self.raw_obs);
            let state = &self.step.state[row * states..][..self.state_width];
            self.raw_state.extend_from_slice(state);
            eyes.obs.push(&self.raw_obs[from..], &mut self.seen);
            eyes.state.push(state, &mut self.seen);
            let kept = self.kept_width;
            self.kept.extend_from_slice(&self.memory[row * kept..][..kept]);
            self.begins.push(std::mem::take(&mut self.fresh[row]));
            self.agent.push(agent as u16);
            self.mask.push(mask);
        }
        let agents = self.spec.agents;
        let idle = self
            .step
            .mask
            .chunks_exact(agents)
            .position(|masks| masks.iter().all(|mask| *mask == 0));
        idle.map_or(Ok(()), |copy| Err(Idle { copy, t }))
    }

    fn take_outcome(&mut self, t: usize, eyes: &Eyes) {
        let (rows, costs) = (self.spec.rows(), self.spec.constraints);
        for copy in self.step.violation.chunks_exact(costs.max(1)) {
            self.violation
                .iter_mut()
                .zip(copy)
                .for_each(|(sum, here)| *sum += f64::from(*here));
        }
        for row in 0..rows {
            let slot = self.slot[t * rows + row];
            let end = self.end[t * self.spec.copies + row / self.spec.agents];
            if slot != ABSENT {
                self.reward.push(self.step.reward[row]);
                self.cost
                    .extend_from_slice(&self.step.cost[row * costs..][..costs]);
                if end == StepEnd::Truncated && self.step.last_mask[row] != 0 {
                    self.push_tail(row, slot, true, eyes);
                }
            }
            if end != StepEnd::Go {
                self.memory[row * self.kept_width..][..self.kept_width].fill(0.0);
                self.fresh[row] = true;
            }
        }
    }

    /// What follows the last step of copies whose episode goes on.
    fn take_next(&mut self, eyes: &Eyes) {
        let rows = self.spec.rows();
        let last = self.horizon - 1;
        for row in 0..rows {
            let slot = self.slot[last * rows + row];
            let goes_on = self.ends(last)[row / self.spec.agents] == StepEnd::Go;
            if slot != ABSENT && goes_on && self.step.mask[row] != 0 {
                self.push_tail(row, slot, false, eyes);
            }
        }
    }

    /// What a row of the environment shows after the packed row `slot`: the final observation of an episode that was cut
    /// off, or the present one.
    fn push_tail(&mut self, row: usize, slot: u32, cut_off: bool, eyes: &Eyes) {
        let (obs, state) = if cut_off {
            (&self.step.last_obs, &self.step.last_state)
        } else {
            (&self.step.obs, &self.step.state)
        };
        let width = self.spec.obs_width;
        let mut raw = obs[row * width..][..width].to_vec();
        push_id(row % self.spec.agents, self.id_width, &mut raw);
        eyes.obs.push(&raw, &mut self.tail);
        eyes.state.push(
            &state[row * self.spec.state_width..][..self.state_width],
            &mut self.tail,
        );
        self.tail_kept
            .extend_from_slice(&self.memory[row * self.kept_width..][..self.kept_width]);
        self.tail_of.push(slot);
    }
}
