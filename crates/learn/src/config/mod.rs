//! How a policy is learnt: every setting, its default, and the checks that it has to pass.

mod check;
mod choice;
mod error;
mod freedom;
mod multiplier;
mod schedule;
mod size;

pub use choice::{AdvantageScale, Critic, DeviceChoice, EngineChoice, Share};
pub use error::ConfigError;
pub(crate) use error::{in_range, positive};
pub use freedom::Freedom;
pub use multiplier::MultiplierConfig;
pub use schedule::{Schedule, Way};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Everything that decides how a policy is learnt. A field left out takes the value of [`TrainConfig::default`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Root of every random number.
    pub seed: u64,
    /// Environment steps (one step of one copy counts one); rounded up to whole roll-outs. At least 1.
    pub steps: u64,
    /// Copies of the environment that step together, 1 to 16,777,216.
    pub copies: usize,
    /// Steps of each copy in one roll-out. At least 1; with the copies, agents and columns up to 2^31 numbers.
    pub horizon: usize,
    /// Passes over a roll-out, 1 to 100.
    pub epochs: usize,
    /// Active agent rows of one gradient step. At least 1; a larger number than a roll-out has rows means all of them.
    pub minibatch_rows: usize,
    /// Worth of the next step's reward beside this one's, in [0, 1].
    pub gamma: f64,
    /// Weight of longer returns in the advantage (GAE), in [0, 1].
    pub lambda: f64,
    /// How far the ratio of new to old probability may leave 1 before the gradient stops, in (0, 1).
    pub clip_ratio: f64,
    /// How far a value may move from its old one, in standard deviations of the returns; 0: no limit.
    pub value_clip: f64,
    /// Weight of the policy's entropy, from the first step to the last.
    pub entropy: Schedule,
    /// Adam's learning rate, from the first step to the last.
    pub learning_rate: Schedule,
    /// Units of each hidden layer, of the policy as of the critic: 1 to 4 layers of 1 to 1024 units.
    pub hidden: Vec<usize>,
    /// Largest norm of one gradient, above 0.
    pub grad_norm_max: f64,
    /// Where the value loss turns from square to linear, in standard deviations of the returns; above 0.
    pub huber: f64,
    /// Whether the critic learns returns of mean 0 and deviation 1 (undone before advantages are taken).
    pub normalise_values: bool,
    /// Ends the passes over a roll-out once the policy has moved further than 1.5 times this divergence (nats); 0: never.
    pub target_kl: f64,
    /// Share of pure exploration in every distribution over prices, in [0, 1): in training and when serving.
    pub exploration: f64,
    /// The Lagrange multipliers of the environment's constraints.
    pub multiplier: MultiplierConfig,
    /// Where the gradient steps run.
    pub device: DeviceChoice,
    /// How the gradient steps are computed.
    pub engine: EngineChoice,
    /// Threads of the gradient steps; 0: one per processor. The fused engine gains by each; libtorch gains little on small
    /// networks. A run repeats bit for bit on the same number of threads.
    pub threads: usize,
    /// Environment steps between two checkpoints; 0: only the last one.
    pub checkpoint_every: u64,
    /// How many checkpoints stay on disk, milestones and the best one not counted. At least 1.
    pub checkpoints_keep: usize,
    /// Environment steps at which a checkpoint is written that stays for good; each at least 1.
    pub checkpoint_milestones: Vec<u64>,
    /// Environment steps between two evaluations; 0: only the last one. The checkpoint with the highest `eval/mean_reward` of
    /// them stays as well.
    pub eval_every: u64,
    /// What the critic sees.
    pub critic: Critic,
    /// Which agents share their parameters.
    pub share: Share,
    /// Whether an agent sees, behind its observation, which one it is.
    pub agent_id: bool,
    /// Over which rows advantages are brought to mean 0 and deviation 1.
    pub normalise_advantages: AdvantageScale,
    /// Numbers that an agent remembers from step to step of an episode (a gated recurrent unit, in the policy as in the
    /// critic), at most 1024; 0: nothing.
    pub memory: usize,
    /// Steps through which gradients flow back in a memory: 1 to `horizon`.
    pub memory_chunk: usize,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            steps: 1_000_000,
            copies: 64,
            horizon: 128,
            epochs: 4,
            minibatch_rows: 1024,
            gamma: 0.99,
            lambda: 0.95,
            clip_ratio: 0.2,
            value_clip: 0.2,
            entropy: Schedule::linear(0.01, 0.0),
            learning_rate: Schedule::linear(1e-3, 0.0),
            hidden: vec![64, 64],
            grad_norm_max: 0.5,
            huber: 10.0,
            normalise_values: true,
            target_kl: 0.02,
            exploration: 0.03,
            multiplier: MultiplierConfig::default(),
            device: DeviceChoice::Auto,
            engine: EngineChoice::Auto,
            threads: 1,
            checkpoint_every: 0,
            checkpoints_keep: 3,
            checkpoint_milestones: Vec::new(),
            eval_every: 0,
            critic: Critic::Central,
            share: Share::All,
            agent_id: false,
            normalise_advantages: AdvantageScale::Agent,
            memory: 0,
            memory_chunk: 16,
        }
    }
}

impl TrainConfig {
    /// Roll-outs of the whole run.
    #[must_use]
    pub fn iterations(&self) -> u64 {
        self.steps.div_ceil(self.rollout_steps())
    }

    /// Environment steps of one roll-out.
    #[must_use]
    pub fn rollout_steps(&self) -> u64 {
        (self.copies * self.horizon) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_sound_and_an_unknown_key_is_not() {
        TrainConfig::default().validate().expect("sound");
        let error = serde_json::from_str::<TrainConfig>(r#"{"gama": 0.9}"#).expect_err("misspelt");
        assert!(error.to_string().contains("gama"));
    }
}
