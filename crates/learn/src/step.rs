use haggle_env::{Actions, Env, EnvSpec, ObserveOut, StepEnd, StepOut};

/// What the environment reads and writes in one step.
#[derive(Debug)]
pub(crate) struct StepBuffers {
    pub(crate) obs: Vec<f32>,
    pub(crate) state: Vec<f32>,
    pub(crate) mask: Vec<u64>,
    pub(crate) rungs: Vec<u8>,
    /// In place of rungs, where agents set multipliers; else empty.
    pub(crate) multipliers: Vec<f32>,
    pub(crate) reward: Vec<f32>,
    pub(crate) cost: Vec<f32>,
    pub(crate) violation: Vec<f32>,
    pub(crate) last_obs: Vec<f32>,
    pub(crate) last_state: Vec<f32>,
    pub(crate) last_mask: Vec<u64>,
}

impl StepBuffers {
    pub(crate) fn new(spec: &EnvSpec) -> Self {
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
            last_obs: vec![0.0; rows * spec.obs_width],
            last_state: vec![0.0; rows * spec.state_width],
            last_mask: vec![0; rows],
        }
    }

    pub(crate) fn observe(&mut self, env: &dyn Env) {
        env.observe(&mut ObserveOut {
            obs: &mut self.obs,
            state: &mut self.state,
            mask: &mut self.mask,
        });
    }

    pub(crate) fn play(&mut self, env: &mut dyn Env, end: &mut [StepEnd]) {
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
                end,
                last,
            },
        );
    }
}
