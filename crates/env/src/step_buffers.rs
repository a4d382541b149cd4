use crate::{Actions, Env, EnvSpec, ObserveOut, StepEnd, StepOut};

/// What an environment reads and writes in one step: rows and widths as its [`EnvSpec`] says.
#[derive(Clone, Debug)]
pub struct StepBuffers {
    /// What is seen.
    pub obs: Vec<f32>,
    /// What a critic sees besides.
    pub state: Vec<f32>,
    /// The allowed rungs; 0 for an absent agent.
    pub mask: Vec<u64>,
    /// The rungs that are played next.
    pub rungs: Vec<u8>,
    /// In place of rungs, where agents set multipliers; else empty.
    pub multipliers: Vec<f32>,
    /// What the step earned.
    pub reward: Vec<f32>,
    /// What it cost the constraints.
    pub cost: Vec<f32>,
    /// How far it was on the wrong side of them, per copy.
    pub violation: Vec<f32>,
    /// How it ended, per copy.
    pub end: Vec<StepEnd>,
    /// What is seen after the last step of a copy that was cut off.
    pub last_obs: Vec<f32>,
    /// What a critic sees there besides.
    pub last_state: Vec<f32>,
    /// The rungs that are allowed there; 0 for every other row.
    pub last_mask: Vec<u64>,
}

impl StepBuffers {
    /// For an environment of this shape whose agents choose among rungs.
    #[must_use]
    pub fn new(spec: &EnvSpec) -> Self {
        let rows = spec.rows();
        Self {
            obs: vec![0.0; rows * spec.obs_width],
            state: vec![0.0; rows * spec.state_width],
            mask: vec![0; rows],
            rungs: vec![0; rows],
            multipliers: Vec::new(),
            reward: vec![0.0; rows],
            cost: vec![0.0; rows * spec.constraints],
            violation: vec![0.0; spec.copies * spec.constraints],
            end: vec![StepEnd::Go; spec.copies],
            last_obs: vec![0.0; rows * spec.obs_width],
            last_state: vec![0.0; rows * spec.state_width],
            last_mask: vec![0; rows],
        }
    }

    /// As [`Env::observe`].
    pub fn observe(&mut self, env: &dyn Env) {
        env.observe(&mut ObserveOut {
            obs: &mut self.obs,
            state: &mut self.state,
            mask: &mut self.mask,
        });
    }

    /// Plays the multipliers, or else the rungs, as [`Env::step`].
    pub fn play(&mut self, env: &mut dyn Env) {
        self.last_mask.fill(0);
        let last = ObserveOut {
            obs: &mut self.last_obs,
            state: &mut self.last_state,
            mask: &mut self.last_mask,
        };
        env.step(
            if self.multipliers.is_empty() {
                Actions::Rungs(&self.rungs)
            } else {
                Actions::Multipliers(&self.multipliers)
            },
            &mut StepOut {
                reward: &mut self.reward,
                cost: &mut self.cost,
                violation: &mut self.violation,
                end: &mut self.end,
                last,
            },
        );
    }
}
