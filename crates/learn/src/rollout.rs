use crate::TrainConfig;
use crate::distribution::Draws;
use crate::normaliser::Frozen;
use crate::step::StepBuffers;
use crate::team::{Rows, Team};
use haggle_env::{Env, EnvSpec, StepEnd};
use haggle_policy::{SquashedNormal, multiplier};
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;
use std::time::{Duration, Instant};

/// Scores of the distribution of a multiplier: mean, and log of the standard deviation.
pub(crate) const MULTIPLIER_SCORES: usize = 2;

/// In place of a slot: the agent was not there.
pub(crate) const ABSENT: u32 = u32::MAX;

/// A block of steps of all copies. Active agent rows stand packed, one after another, in the order in which they acted;
/// absent agents leave no trace. The buffers are made once and filled anew by each roll-out.
#[derive(Debug)]
pub(crate) struct Rollout {
    pub(crate) spec: EnvSpec,
    pub(crate) horizon: usize,
    /// Width of an agent's own name behind its observation: one number per agent, or 0.
    id_width: usize,
    state_width: usize,
    /// Numbers that an agent remembers, policy and critic together.
    pub(crate) kept_width: usize,
    /// Steps of a chunk of a remembering agent's life.
    pub(crate) chunk: usize,
    floor: f32,
    step: StepBuffers,
    /// Raw observations and global states of the active rows, for the normalisers.
    pub(crate) raw_obs: Vec<f32>,
    pub(crate) raw_state: Vec<f32>,
    /// Normalised `obs | state` per active row.
    pub(crate) seen: Vec<f32>,
    /// What was remembered per active row when it acted.
    pub(crate) kept: Vec<f32>,
    /// Whether an episode began with this row, so that what was remembered before it does not count.
    pub(crate) begins: Vec<bool>,
    pub(crate) agent: Vec<u16>,
    pub(crate) mask: Vec<u64>,
    pub(crate) rung: Vec<u8>,
    /// In place of rungs, where agents set multipliers: what the tanh squashes.
    pub(crate) latent: Vec<f32>,
    /// Lowest and highest multiplier of each agent; nothing where agents choose among rungs.
    pub(crate) multipliers: Vec<[f32; 2]>,
    /// Of rungs; of multipliers the density, scaled to (-1, 1).
    pub(crate) log_prob: Vec<f32>,
    pub(crate) reward: Vec<f32>,
    pub(crate) cost: Vec<f32>,
    /// Sum over steps and copies, per constraint.
    pub(crate) violation: Vec<f64>,
    /// `horizon x rows`: where the row's step stands in the packed buffers.
    pub(crate) slot: Vec<u32>,
    /// `horizon x copies`.
    end: Vec<StepEnd>,
    /// Observations that only serve as bootstraps: `obs | state`, what is remembered there, and the packed row that each
    /// one follows.
    pub(crate) tail: Vec<f32>,
    pub(crate) tail_kept: Vec<f32>,
    pub(crate) tail_of: Vec<u32>,
    /// What each row of the environment remembers now, and whether an episode has just begun there.
    pub(crate) memory: Vec<f32>,
    fresh: Vec<bool>,
    /// The policy's scores of one step, and what its rows will remember.
    scores: Vec<f32>,
    next: Vec<f32>,
    /// What one step's draws come from.
    uniform: Vec<f32>,
}

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

/// Appends an agent's name: 1 in its own place, 0 in the others'. Nothing when `width` is 0.
pub(crate) fn push_id(agent: usize, width: usize, out: &mut Vec<f32>) {
    out.extend((0..width).map(|other| if other == agent { 1.0 } else { 0.0 }));
}

impl Rollout {
    /// `state_width` is what of the global state the critic looks at: all of it, or nothing.
    pub(crate) fn new(spec: &EnvSpec, state_width: usize, config: &TrainConfig) -> Self {
        let rows = spec.rows();
        let most = config.horizon * rows;
        let id_width = if config.agent_id { spec.agents } else { 0 };
        let kept_width = 2 * config.memory;
        Self {
            step: StepBuffers::new(spec),
            raw_obs: Vec::with_capacity(most * (spec.obs_width + id_width)),
            raw_state: Vec::with_capacity(most * state_width),
            seen: Vec::with_capacity(most * (spec.obs_width + id_width + state_width)),
            kept: Vec::with_capacity(most * kept_width),
            begins: Vec::with_capacity(most),
            agent: Vec::with_capacity(most),
            mask: Vec::with_capacity(most),
            rung: Vec::with_capacity(most),
            latent: Vec::new(),
            multipliers: Vec::new(),
            log_prob: Vec::with_capacity(most),
            reward: Vec::with_capacity(most),
            cost: Vec::with_capacity(most * spec.constraints),
            violation: vec![0.0; spec.constraints],
            slot: vec![ABSENT; most],
            end: vec![StepEnd::Go; config.horizon * spec.copies],
            tail: Vec::new(),
            tail_kept: Vec::new(),
            tail_of: Vec::new(),
            memory: vec![0.0; rows * kept_width],
            fresh: vec![false; rows], // memories are as they should be: empty, or a checkpoint's
            scores: Vec::new(),
            next: Vec::new(),
            uniform: Vec::with_capacity(rows),
            spec: spec.clone(),
            horizon: config.horizon,
            id_width,
            state_width,
            kept_width,
            chunk: config.memory_chunk,
            floor: config.exploration as f32,
        }
    }

    /// The same where agents set multipliers in these ranges.
    pub(crate) fn with_multipliers(mut self, multipliers: Vec<[f32; 2]>) -> Self {
        if !multipliers.is_empty() {
            self.step.multipliers = vec![0.0; self.spec.rows()];
        }
        self.multipliers = multipliers;
        self
    }

    /// The multipliers of the active rows.
    pub(crate) fn set_multipliers(&self) -> Vec<f32> {
        let rows = self.agent.iter().zip(&self.latent);
        rows.map(|(agent, latent)| multiplier(self.multipliers[usize::from(*agent)], *latent))
            .collect()
    }

    /// Active agent rows.
    pub(crate) fn len(&self) -> usize {
        self.mask.len()
    }

    /// Width of what the critic sees.
    pub(crate) fn width(&self) -> usize {
        self.spec.obs_width + self.id_width + self.state_width
    }

    /// The active rows from one of them on.
    pub(crate) fn rows(&self, from: usize) -> Rows<'_> {
        let width = self.width();
        Rows {
            agent: &self.agent[from..],
            seen: &self.seen[from * width..],
            width,
            kept: &self.kept[from * self.kept_width..],
            kept_width: self.kept_width,
        }
    }

    /// How the copies' step ended at `t`.
    pub(crate) fn ends(&self, t: usize) -> &[StepEnd] {
        &self.end[t * self.spec.copies..][..self.spec.copies]
    }

    /// Sum of the active agents' rewards of one copy at `t`.
    pub(crate) fn copy_reward(&self, t: usize, copy: usize) -> f64 {
        let agents = self.spec.agents;
        let slots = &self.slot[t * self.spec.rows() + copy * agents..][..agents];
        let active = slots.iter().filter(|slot| **slot != ABSENT);
        active.map(|slot| f64::from(self.reward[*slot as usize])).sum()
    }

    /// How often each agent chose each rung: `agents x rungs`.
    pub(crate) fn rung_counts(&self) -> Vec<f64> {
        let mut counts = vec![0.0; self.spec.agents * self.spec.rungs];
        for (agent, rung) in self.agent.iter().zip(&self.rung) {
            counts[usize::from(*agent) * self.spec.rungs + usize::from(*rung)] += 1.0;
        }
        counts
    }

    /// Plays `horizon` steps with the networks' floored distributions; draws come from `rng` in the order of the rows.
    pub(crate) fn collect(
        &mut self,
        env: &mut dyn Env,
        team: &mut Team,
        eyes: &Eyes,
        rng: &mut impl Rng,
    ) -> Result<Spent, Idle> {
        self.clear();
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
            self.step
                .play(env, &mut self.end[t * self.spec.copies..][..self.spec.copies]);
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

    fn act(&mut self, from: usize, team: &mut Team, rng: &mut impl Rng) {
        let rows = self.len() - from;
        let (mut scores, mut remembered) = (std::mem::take(&mut self.scores), std::mem::take(&mut self.next));
        scores.resize(rows * self.spec.rungs, 0.0);
        remembered.resize(rows * self.kept_width, 0.0);
        let (mut rung, mut log_prob) = (std::mem::take(&mut self.rung), std::mem::take(&mut self.log_prob));
        rung.resize(from + rows, 0);
        log_prob.resize(from + rows, 0.0);
        self.uniform.clear();
        self.uniform.extend((0..rows).map(|_| rng.random::<f32>()));
        let mut draws = Draws {
            mask: &self.mask[from..],
            uniform: &self.uniform,
            rung: &mut rung[from..],
            log_prob: &mut log_prob[from..],
        };
        team.act(
            &self.rows(from),
            self.floor,
            &mut draws,
            &mut scores,
            &mut remembered,
        );
        let mut drawn = rung[from..].iter();
        let mut kept = remembered.chunks_exact(self.kept_width.max(1));
        for row in 0..self.spec.rows() {
            self.step.rungs[row] = 0;
            if self.step.mask[row] == 0 {
                continue;
            }
            self.step.rungs[row] = drawn.next().copied().unwrap_or(0);
            if let Some(kept) = kept.next() {
                self.memory[row * self.kept_width..][..self.kept_width].copy_from_slice(kept);
            }
        }
        (self.scores, self.next) = (scores, remembered);
        (self.rung, self.log_prob) = (rung, log_prob);
    }

    /// As [`Rollout::act`], where agents set multipliers.
    fn multiply(&mut self, from: usize, team: &mut Team, rng: &mut impl Rng) {
        let mut scores = std::mem::take(&mut self.scores);
        scores.resize((self.len() - from) * MULTIPLIER_SCORES, 0.0);
        team.logits(&self.rows(from), MULTIPLIER_SCORES, &mut scores, &mut []);
        let mut each = scores.chunks_exact(MULTIPLIER_SCORES);
        for row in 0..self.spec.rows() {
            if self.step.mask[row] == 0 {
                continue;
            }
            let Some(&[mean, log_std]) = each.next() else {
                break;
            };
            let normal = SquashedNormal::from_scores([mean, log_std]);
            let latent = normal.latent(rng.sample(StandardNormal));
            self.log_prob.push(normal.log_density(latent));
            self.latent.push(latent);
            self.step.multipliers[row] = multiplier(self.multipliers[row % self.spec.agents], latent);
        }
        self.scores = scores;
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
