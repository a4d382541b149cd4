use crate::LearnError;
use crate::advantage::{Track, advantages};
use crate::distribution::{draw, push_uniform};
use crate::engine::Engine;
use crate::multiplier::Multipliers;
use crate::normaliser::{Frozen, ValueNormaliser};
use crate::table::Table;
use haggle_core::{LADDER_RUNGS_MAX, Mask};
use haggle_env::{Env, EnvSpec, ObserveOut, StepEnd, StepOut};
use rand::{Rng, RngExt};
use std::time::{Duration, Instant};

const ABSENT: u32 = u32::MAX;

/// A block of steps of all copies. Active agent rows stand packed, one after another, in the order in which they acted;
/// absent agents leave no trace. The buffers are made once and filled anew by each roll-out.
#[derive(Debug)]
pub(crate) struct Rollout {
    spec: EnvSpec,
    horizon: usize,
    state_width: usize,
    floor: f32,
    step: StepBuffers,
    /// Raw observations and global states of the active rows, for the normalisers.
    pub(crate) raw_obs: Vec<f32>,
    pub(crate) raw_state: Vec<f32>,
    /// Normalised `obs | state` per active row.
    pub(crate) seen: Vec<f32>,
    pub(crate) mask: Vec<u64>,
    pub(crate) rung: Vec<u8>,
    pub(crate) log_prob: Vec<f32>,
    pub(crate) reward: Vec<f32>,
    pub(crate) cost: Vec<f32>,
    /// Sum over steps and copies, per constraint.
    pub(crate) violation: Vec<f64>,
    /// `horizon x rows`: where the row's step stands in the packed buffers.
    slot: Vec<u32>,
    /// `horizon x copies`.
    end: Vec<StepEnd>,
    /// Observations that only serve as bootstraps: `obs | state`, and the packed row that each one follows.
    tail: Vec<f32>,
    tail_of: Vec<u32>,
    /// The policy's scores of one step.
    scores: Vec<f32>,
}

/// What the environment reads and writes in one step.
#[derive(Debug)]
struct StepBuffers {
    obs: Vec<f32>,
    state: Vec<f32>,
    mask: Vec<u64>,
    rungs: Vec<u8>,
    reward: Vec<f32>,
    cost: Vec<f32>,
    violation: Vec<f32>,
    last_obs: Vec<f32>,
    last_state: Vec<f32>,
    last_mask: Vec<u64>,
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
    /// `state_width` is what of the global state the critic looks at: all of it, or nothing.
    pub(crate) fn new(spec: &EnvSpec, horizon: usize, state_width: usize, floor: f64) -> Self {
        let rows = spec.rows();
        let most = horizon * rows;
        Self {
            step: StepBuffers::new(spec),
            raw_obs: Vec::with_capacity(most * spec.obs_width),
            raw_state: Vec::with_capacity(most * state_width),
            seen: Vec::with_capacity(most * (spec.obs_width + state_width)),
            mask: Vec::with_capacity(most),
            rung: Vec::with_capacity(most),
            log_prob: Vec::with_capacity(most),
            reward: Vec::with_capacity(most),
            cost: Vec::with_capacity(most * spec.constraints),
            violation: vec![0.0; spec.constraints],
            slot: vec![ABSENT; most],
            end: vec![StepEnd::Go; horizon * spec.copies],
            tail: Vec::new(),
            tail_of: Vec::new(),
            scores: Vec::new(),
            spec: spec.clone(),
            horizon,
            state_width,
            floor: floor as f32,
        }
    }

    /// Active agent rows.
    pub(crate) fn len(&self) -> usize {
        self.mask.len()
    }

    /// Width of what the critic sees.
    pub(crate) fn width(&self) -> usize {
        self.spec.obs_width + self.state_width
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
        for (n, slot) in self.slot.iter().enumerate().filter(|(_, slot)| **slot != ABSENT) {
            let agent = n % self.spec.agents;
            counts[agent * self.spec.rungs + usize::from(self.rung[*slot as usize])] += 1.0;
        }
        counts
    }

    /// Plays `horizon` steps with the network's floored distribution; draws come from `rng` in the order of the rows.
    pub(crate) fn collect(
        &mut self,
        env: &mut dyn Env,
        engine: &mut Engine,
        eyes: &Eyes,
        rng: &mut impl Rng,
    ) -> Result<Spent, LearnError> {
        self.clear();
        let mut spent = Spent::default();
        for t in 0..self.horizon {
            let from = self.len();
            let started = Instant::now();
            self.step.observe(env);
            let observed = Instant::now();
            self.pack(t, eyes)?;
            self.act(from, engine, rng);
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
        self.mask.clear();
        self.rung.clear();
        self.log_prob.clear();
        self.reward.clear();
        self.cost.clear();
        self.violation.fill(0.0);
        self.tail.clear();
        self.tail_of.clear();
    }

    fn pack(&mut self, t: usize, eyes: &Eyes) -> Result<(), LearnError> {
        let (rows, width, states) = (self.spec.rows(), self.spec.obs_width, self.spec.state_width);
        for row in 0..rows {
            let mask = self.step.mask[row];
            self.slot[t * rows + row] = ABSENT;
            if mask == 0 {
                continue;
            }
            self.slot[t * rows + row] = self.mask.len() as u32;
            let obs = &self.step.obs[row * width..][..width];
            let state = &self.step.state[row * states..][..self.state_width];
            self.raw_obs.extend_from_slice(obs);
            self.raw_state.extend_from_slice(state);
            eyes.obs.push(obs, &mut self.seen);
            eyes.state.push(state, &mut self.seen);
            self.mask.push(mask);
        }
        let agents = self.spec.agents;
        let idle = self
            .step
            .mask
            .chunks_exact(agents)
            .position(|masks| masks.iter().all(|mask| *mask == 0));
        idle.map_or(Ok(()), |copy| Err(LearnError::NobodyActs { copy, step: t }))
    }

    fn act(&mut self, from: usize, engine: &mut Engine, rng: &mut impl Rng) {
        let (width, rungs) = (self.width(), self.spec.rungs);
        let rows = self.len() - from;
        self.scores.resize(rows * rungs, 0.0);
        engine.logits(&self.seen[from * width..], width, &mut self.scores);
        let mut scratch = [0.0; LADDER_RUNGS_MAX];
        let mut next = self.scores.chunks_exact(rungs);
        for row in 0..self.spec.rows() {
            let mask = Mask(self.step.mask[row]);
            self.step.rungs[row] = 0;
            if mask.is_empty() {
                continue;
            }
            let Some(scores) = next.next() else { break };
            let drawn = draw(scores, mask, self.floor, rng.random(), &mut scratch);
            self.step.rungs[row] = drawn.rung;
            self.rung.push(drawn.rung);
            self.log_prob.push(drawn.log_prob);
        }
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
            if slot == ABSENT {
                continue;
            }
            self.reward.push(self.step.reward[row]);
            self.cost
                .extend_from_slice(&self.step.cost[row * costs..][..costs]);
            let truncated = self.end[t * self.spec.copies + row / self.spec.agents] == StepEnd::Truncated;
            if truncated && self.step.last_mask[row] != 0 {
                let (obs, state) = (&self.step.last_obs, &self.step.last_state);
                push_tail(
                    &self.spec,
                    self.state_width,
                    row,
                    (obs, state),
                    eyes,
                    &mut self.tail,
                );
                self.tail_of.push(slot);
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
                let (obs, state) = (&self.step.obs, &self.step.state);
                push_tail(
                    &self.spec,
                    self.state_width,
                    row,
                    (obs, state),
                    eyes,
                    &mut self.tail,
                );
                self.tail_of.push(slot);
            }
        }
    }

    /// The critic's values, in its units: of all active rows, then of all bootstraps.
    pub(crate) fn values(&self, engine: &mut Engine) -> Vec<f32> {
        let mut values = vec![0.0; self.len() + self.tail_of.len()];
        let (active, tail) = values.split_at_mut(self.len());
        engine.values(&self.seen, active);
        if !tail.is_empty() {
            engine.values(&self.tail, tail);
        }
        values
    }

    /// Advantages of the active rows in money, from `values` in money as [`Rollout::values`] orders them. An agent
    /// that is absent at the next step of a running episode earns nothing more: its track ends there.
    pub(crate) fn advantages(
        &self,
        values: &[f32],
        prices: &Multipliers,
        gamma: f64,
        lambda: f64,
    ) -> Vec<f32> {
        let (rows, costs) = (self.spec.rows(), self.spec.constraints);
        let mut follows = vec![None; self.len()];
        for (slot, value) in self.tail_of.iter().zip(&values[self.len()..]) {
            follows[*slot as usize] = Some(*value);
        }
        let mut out = vec![0.0; self.len()];
        let mut track = OwnedTrack::default();
        for row in 0..rows {
            track.clear();
            for t in 0..self.horizon {
                let slot = self.slot[t * rows + row];
                if slot == ABSENT {
                    continue;
                }
                let n = slot as usize;
                let stays = t + 1 < self.horizon && self.slot[(t + 1) * rows + row] != ABSENT;
                let end = match self.end[t * self.spec.copies + row / self.spec.agents] {
                    StepEnd::Terminated => StepEnd::Terminated,
                    StepEnd::Go if stays => StepEnd::Go,
                    StepEnd::Go | StepEnd::Truncated if follows[n].is_some() => StepEnd::Truncated,
                    StepEnd::Go | StepEnd::Truncated => StepEnd::Terminated,
                };
                let reward = prices.effective(self.reward[n], &self.cost[n * costs..][..costs]);
                track.push(n, reward, values[n], end, follows[n].unwrap_or(0.0));
            }
            track.write_advantages(gamma as f32, lambda as f32, &mut out);
        }
        out
    }

    /// The active rows as one table for gradient steps.
    pub(crate) fn table(
        &self,
        scaled: &[f32],
        returns: &[f32],
        old: &[f32],
        units: &ValueNormaliser,
    ) -> Table {
        let (width, rungs) = (self.width(), self.spec.rungs);
        let mut table = Table::new(width, rungs, self.len());
        for n in 0..self.len() {
            let numbers = &mut table.numbers;
            numbers.extend_from_slice(&self.seen[n * width..][..width]);
            push_uniform(Mask(self.mask[n]), rungs, numbers);
            let target = units.normalise(returns[n]);
            let held = units.normalise(old[n]);
            numbers.extend([f32::from(self.rung[n]), self.log_prob[n], scaled[n], target, held]);
        }
        table
    }
}

fn push_tail(
    spec: &EnvSpec,
    state_width: usize,
    row: usize,
    (obs, state): (&[f32], &[f32]),
    eyes: &Eyes,
    tail: &mut Vec<f32>,
) {
    eyes.obs
        .push(&obs[row * spec.obs_width..][..spec.obs_width], tail);
    eyes.state
        .push(&state[row * spec.state_width..][..state_width], tail);
}

impl StepBuffers {
    fn new(spec: &EnvSpec) -> Self {
        let rows = spec.rows();
        Self {
            obs: vec![0.0; rows * spec.obs_width],
            state: vec![0.0; rows * spec.state_width],
            mask: vec![0; rows],
            rungs: vec![0; rows],
            reward: vec![0.0; rows],
            cost: vec![0.0; rows * spec.constraints],
            violation: vec![0.0; spec.copies * spec.constraints],
            last_obs: vec![0.0; rows * spec.obs_width],
            last_state: vec![0.0; rows * spec.state_width],
            last_mask: vec![0; rows],
        }
    }

    fn observe(&mut self, env: &dyn Env) {
        env.observe(&mut ObserveOut {
            obs: &mut self.obs,
            state: &mut self.state,
            mask: &mut self.mask,
        });
    }

    fn play(&mut self, env: &mut dyn Env, end: &mut [StepEnd]) {
        self.last_mask.fill(0);
        let last = ObserveOut {
            obs: &mut self.last_obs,
            state: &mut self.last_state,
            mask: &mut self.last_mask,
        };
        env.step(
            &self.rungs,
            &mut StepOut {
                reward: &mut self.reward,
                cost: &mut self.cost,
                violation: &mut self.violation,
                end,
                last,
            },
        );
    }
}

/// One agent's steps, gathered out of the packed buffers.
#[derive(Debug, Default)]
struct OwnedTrack {
    slots: Vec<usize>,
    rewards: Vec<f32>,
    values: Vec<f32>,
    ends: Vec<StepEnd>,
    bootstrap: Vec<f32>,
    out: Vec<f32>,
}

impl OwnedTrack {
    fn clear(&mut self) {
        self.slots.clear();
        self.rewards.clear();
        self.values.clear();
        self.ends.clear();
        self.bootstrap.clear();
    }

    fn push(&mut self, slot: usize, reward: f32, value: f32, end: StepEnd, bootstrap: f32) {
        self.slots.push(slot);
        self.rewards.push(reward);
        self.values.push(value);
        self.ends.push(end);
        self.bootstrap.push(bootstrap);
    }

    fn write_advantages(&mut self, gamma: f32, lambda: f32, out: &mut [f32]) {
        self.out.clear();
        self.out.resize(self.slots.len(), 0.0);
        let track = Track {
            rewards: &self.rewards,
            values: &self.values,
            ends: &self.ends,
            bootstrap: &self.bootstrap,
        };
        advantages(&track, gamma, lambda, &mut self.out);
        for (slot, advantage) in self.slots.iter().zip(&self.out) {
            out[*slot] = *advantage;
        }
    }
}
