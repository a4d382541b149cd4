//! What was played, and what came of it.

mod act;
mod collect;

use crate::TrainConfig;
use crate::rows::Rows;
pub(crate) use collect::{Eyes, Idle, Spent};
use haggle_env::{EnvSpec, StepBuffers, StepEnd};
use haggle_policy::multiplier;

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
}
