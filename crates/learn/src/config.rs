use haggle_env::EnvSpec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Copies of an environment at most.
const COPIES_MAX: usize = 1 << 24;
/// Numbers that a roll-out keeps at most.
const ROLLOUT_MAX: usize = 1 << 31;
/// Numbers that a roll-out keeps of a step at least, whatever the environment.
const STEP_NUMBERS: usize = 16;

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

/// A value that moves on a straight line over the run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// At the first step; not negative.
    pub start: f64,
    /// At the last step; not negative.
    pub end: f64,
}

/// How fast constraints find their price.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MultiplierConfig {
    /// Where each multiplier begins, in [0, max].
    pub start: f64,
    /// Learning rate of the multipliers' own Adam: about the largest change per roll-out. 0: they stay at `start`.
    pub learning_rate: f64,
    /// Largest value, not negative.
    pub max: f64,
}

/// Where the gradient steps run. Roll-outs always run on the processor, beside the environment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeviceChoice {
    /// The GPU where there is one, else the processor.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// The GPU, or an error.
    Cuda,
}

/// How gradient steps are computed. The results are the same to single precision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EngineChoice {
    /// Fused where it applies, else libtorch.
    #[default]
    Auto,
    /// Plain Rust with vector instructions: a processor, layers and inputs of at most 256 numbers.
    Fused,
    /// libtorch: any network, processor or GPU.
    Torch,
}

/// What the critic sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Critic {
    /// The agent's observation and the global state (MAPPO).
    #[default]
    Central,
    /// The agent's observation alone (IPPO).
    Local,
}

/// Which agents share their parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Share {
    /// All of them.
    #[default]
    All,
    /// Those of a group: agents that are alike, where the environment knows which are.
    Group,
    /// None: each has its own.
    None,
}

/// Over which rows advantages are standardised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AdvantageScale {
    /// Over each agent's own rows: agents that earn much do not drown the others.
    #[default]
    Agent,
    /// Over all rows.
    All,
}

/// Why a configuration cannot work.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// One value out of its range.
    #[error("{field} = {value}: {allowed} expected")]
    Range {
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        allowed: &'static str,
    },
    /// Two values that disagree.
    #[error("{first} and {second} disagree: {why}")]
    Disagree {
        /// One field with its value.
        first: String,
        /// The other.
        second: String,
        /// Why they do.
        why: &'static str,
    },
}

impl ConfigError {
    /// The dotted name of the field that is to blame; of two that disagree, the first.
    #[must_use]
    pub fn field(&self) -> &str {
        match self {
            Self::Range { field, .. } => field,
            Self::Disagree { first, .. } => first.split(" = ").next().unwrap_or(first),
        }
    }
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
            entropy: Schedule {
                start: 0.01,
                end: 0.0,
            },
            learning_rate: Schedule {
                start: 1e-3,
                end: 0.0,
            },
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

impl Default for MultiplierConfig {
    fn default() -> Self {
        Self {
            start: 0.0,
            learning_rate: 0.02,
            max: 10.0,
        }
    }
}

impl Schedule {
    /// One value from the first step to the last.
    #[must_use]
    pub fn constant(value: f64) -> Self {
        Self {
            start: value,
            end: value,
        }
    }

    /// The value after `done` of the run, in [0, 1].
    #[must_use]
    pub fn at(&self, done: f64) -> f64 {
        self.start + (self.end - self.start) * done.clamp(0.0, 1.0)
    }
}

impl TrainConfig {
    /// Checks every range, and the pairs of values that could disagree.
    ///
    /// # Errors
    /// The first value out of range, or the first two that disagree.
    pub fn validate(&self) -> Result<(), ConfigError> {
        in_range("steps", self.steps, self.steps >= 1, "at least 1")?;
        let copies = (1..=COPIES_MAX).contains(&self.copies);
        in_range("copies", self.copies, copies, "1 to 16,777,216")?;
        in_range("horizon", self.horizon, self.horizon >= 1, "at least 1")?;
        self.fits(STEP_NUMBERS)?;
        in_range(
            "epochs",
            self.epochs,
            (1..=100).contains(&self.epochs),
            "1 to 100",
        )?;
        let rows = self.minibatch_rows;
        in_range("minibatch_rows", rows, rows >= 1, "at least 1")?;
        unit("gamma", self.gamma)?;
        unit("lambda", self.lambda)?;
        let clip = self.clip_ratio;
        in_range(
            "clip_ratio",
            clip,
            clip > 0.0 && clip < 1.0,
            "above 0 and below 1",
        )?;
        not_negative("value_clip", self.value_clip)?;
        not_negative("entropy.start", self.entropy.start)?;
        not_negative("entropy.end", self.entropy.end)?;
        positive("learning_rate.start", self.learning_rate.start)?;
        not_negative("learning_rate.end", self.learning_rate.end)?;
        self.validate_hidden()?;
        positive("grad_norm_max", self.grad_norm_max)?;
        positive("huber", self.huber)?;
        not_negative("target_kl", self.target_kl)?;
        let floor = self.exploration;
        in_range("exploration", floor, (0.0..1.0).contains(&floor), "0 to below 1")?;
        in_range("threads", self.threads, self.threads <= 1024, "0 to 1024")?;
        let kept = self.checkpoints_keep;
        in_range("checkpoints_keep", kept, kept >= 1, "at least 1")?;
        let milestones = &self.checkpoint_milestones;
        in_range(
            "checkpoint_milestones",
            format!("{milestones:?}"),
            milestones.iter().all(|step| *step >= 1),
            "at least 1 each",
        )?;
        self.validate_memory()?;
        self.multiplier.validate()
    }

    fn validate_memory(&self) -> Result<(), ConfigError> {
        in_range("memory", self.memory, self.memory <= 1024, "0 to 1024")?;
        if self.memory == 0 {
            return Ok(());
        }
        let chunk = self.memory_chunk;
        in_range(
            "memory_chunk",
            chunk,
            (1..=self.horizon).contains(&chunk),
            "1 to horizon",
        )?;
        let disagree = |second: &str, why| {
            Err(ConfigError::Disagree {
                first: format!("memory = {}", self.memory),
                second: second.to_owned(),
                why,
            })
        };
        if self.engine == EngineChoice::Fused {
            return disagree("engine = \"fused\"", "the fused engine has no memory");
        }
        if self.device == DeviceChoice::Cuda {
            return disagree("device = \"cuda\"", "a memory is trained on the processor");
        }
        Ok(())
    }

    fn validate_hidden(&self) -> Result<(), ConfigError> {
        let sound =
            (1..=4).contains(&self.hidden.len()) && self.hidden.iter().all(|n| (1..=1024).contains(n));
        in_range(
            "hidden",
            format!("{:?}", self.hidden),
            sound,
            "1 to 4 layers of 1 to 1024 units",
        )
    }

    /// Checks that an environment is the one this configuration speaks of.
    ///
    /// # Errors
    /// When the number of copies differs, or a central critic has no global state to look at.
    pub fn validate_for(&self, spec: &EnvSpec) -> Result<(), ConfigError> {
        if spec.copies != self.copies {
            return Err(ConfigError::Disagree {
                first: format!("copies = {}", self.copies),
                second: format!("the environment's {} copies", spec.copies),
                why: "a roll-out steps every copy once per step",
            });
        }
        let shape = [spec.agents, spec.obs_width, spec.rungs];
        let sound = shape.iter().all(|n| *n >= 1) && spec.rungs <= haggle_core::LADDER_RUNGS_MAX;
        in_range(
            "environment agents, obs_width, rungs",
            format!("{shape:?}"),
            sound,
            "at least 1 each, at most 64 rungs",
        )?;
        let id = if self.agent_id { spec.agents } else { 0 };
        let of_agent = spec.obs_width + id + spec.state_width + 2 * self.memory + spec.constraints;
        self.fits(of_agent.saturating_mul(spec.agents))
    }

    /// Refuses roll-outs that no machine holds; `numbers` are those that it keeps of one step.
    fn fits(&self, numbers: usize) -> Result<(), ConfigError> {
        let whole = self.copies.checked_mul(self.horizon);
        match whole.and_then(|steps| steps.checked_mul(numbers)) {
            Some(whole) if whole <= ROLLOUT_MAX => Ok(()),
            _ => Err(ConfigError::Disagree {
                first: format!("copies = {}", self.copies),
                second: format!("horizon = {}", self.horizon),
                why: "copies x horizon x agents x columns of a roll-out may be up to 2,147,483,648",
            }),
        }
    }

    /// Checks what an environment forbids whose agents set multipliers.
    pub(crate) fn validate_for_multipliers(&self) -> Result<(), ConfigError> {
        let disagree = |first: String, why| {
            Err(ConfigError::Disagree {
                first,
                second: "the environment's action = \"multiplier\"".to_owned(),
                why,
            })
        };
        if self.exploration > 0.0 {
            let first = format!("exploration = {}", self.exploration);
            return disagree(
                first,
                "a multiplier is explored by its own spread; set exploration = 0",
            );
        }
        if self.memory > 0 {
            return disagree(
                format!("memory = {}", self.memory),
                "a multiplier is set without a memory",
            );
        }
        if self.engine == EngineChoice::Fused {
            return disagree(
                "engine = \"fused\"".to_owned(),
                "multipliers are learnt by libtorch",
            );
        }
        Ok(())
    }

    /// The same, with the length, the device and the bookkeeping of another: what a run may change when it goes on.
    #[must_use]
    pub fn going_on_as(self, other: &Self) -> Self {
        Self {
            steps: other.steps,
            device: other.device,
            threads: other.threads,
            checkpoint_every: other.checkpoint_every,
            checkpoints_keep: other.checkpoints_keep,
            checkpoint_milestones: other.checkpoint_milestones.clone(),
            eval_every: other.eval_every,
            ..self
        }
    }

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

impl MultiplierConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        not_negative("multiplier.max", self.max)?;
        not_negative("multiplier.start", self.start)?;
        not_negative("multiplier.learning_rate", self.learning_rate)?;
        if self.start > self.max {
            return Err(ConfigError::Disagree {
                first: format!("multiplier.start = {}", self.start),
                second: format!("multiplier.max = {}", self.max),
                why: "a multiplier begins inside its limits",
            });
        }
        Ok(())
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "numbers are copied; a reference at every call would only be noise"
)]
fn in_range<T: ToString>(
    field: &'static str,
    value: T,
    sound: bool,
    allowed: &'static str,
) -> Result<(), ConfigError> {
    if sound {
        return Ok(());
    }
    Err(ConfigError::Range {
        field,
        value: value.to_string(),
        allowed,
    })
}

fn unit(field: &'static str, value: f64) -> Result<(), ConfigError> {
    in_range(field, value, (0.0..=1.0).contains(&value), "0 to 1")
}

fn not_negative(field: &'static str, value: f64) -> Result<(), ConfigError> {
    in_range(
        field,
        value,
        value >= 0.0 && value.is_finite(),
        "a finite number, not negative",
    )
}

fn positive(field: &'static str, value: f64) -> Result<(), ConfigError> {
    in_range(
        field,
        value,
        value > 0.0 && value.is_finite(),
        "a finite number above 0",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use haggle_env::{Env, ProbeConfig, ProbeEnv};

    #[test]
    fn the_default_is_sound_and_an_unknown_key_is_not() {
        TrainConfig::default().validate().expect("sound");
        let error = serde_json::from_str::<TrainConfig>(r#"{"gama": 0.9}"#).expect_err("misspelt");
        assert!(error.to_string().contains("gama"));
    }

    #[test]
    fn a_disagreement_names_both_values() {
        let mut config = TrainConfig::default();
        config.multiplier.start = 3.0;
        config.multiplier.max = 2.0;
        let text = config.validate().expect_err("disagree").to_string();
        assert!(text.contains("multiplier.start = 3") && text.contains("multiplier.max = 2"));
    }

    #[test]
    fn a_roll_out_that_no_machine_holds_is_refused() {
        let sized = |copies, horizon| TrainConfig {
            copies,
            horizon,
            ..TrainConfig::default()
        };
        sized(1 << 24, 1).validate().expect("sound");
        sized(64, 1 << 20).validate().expect("sound");
        for (copies, horizon) in [(1_000_000_000, 128), (64, i64::MAX as usize), (1 << 24, 16)] {
            let error = sized(copies, horizon).validate().expect_err("too large");
            assert_eq!(error.field(), "copies", "{error}");
        }
        let probe: ProbeConfig =
            toml::from_str(include_str!("../../../envs/probe/late-sale.toml")).expect("a probe config");
        let wide = EnvSpec {
            agents: 8,
            obs_width: 512,
            ..ProbeEnv::new(probe).expect("an environment").spec().clone()
        };
        let long = sized(wide.copies, (1 << 26) / wide.copies);
        long.validate().expect("sound by itself");
        let error = long.validate_for(&wide).expect_err("too wide").to_string();
        assert!(
            error.contains("copies = ") && error.contains("horizon = "),
            "{error}"
        );
    }

    #[test]
    fn a_schedule_is_a_straight_line() {
        let schedule = Schedule { start: 4.0, end: 2.0 };
        assert_eq!(
            [schedule.at(0.0), schedule.at(0.5), schedule.at(1.0)],
            [4.0, 3.0, 2.0]
        );
    }
}
