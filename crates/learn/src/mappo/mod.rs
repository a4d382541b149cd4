//! The learner: a roll-out, and the gradient steps on it, until all steps are done.

mod going_on;
mod lesson;
mod metrics;

use crate::episode::Episodes;
use crate::multiplier::Multipliers;
use crate::network::Shape;
use crate::normaliser::RowNormaliser;
use crate::progress::{Iteration, Phases};
use crate::rollout::{MULTIPLIER_SCORES, Rollout, push_id};
use crate::team::Team;
use crate::{Critic, LearnError, TrainConfig};
use haggle_core::Seeds;
use haggle_env::{Env, EnvSpec, StepBuffers};
use haggle_policy::{Actors, BundleError};
use std::time::Instant;

/// Seconds below which a rate is not computed.
const SECONDS_MIN: f64 = 1e-9;

/// Multi-agent PPO (Yu et al. 2022): every active agent is a row of a network that it shares with all, with its group, or
/// with nobody; the critic sees the global state besides (MAPPO) or not (IPPO). Constraints enter the reward through
/// Lagrange multipliers.
pub struct Mappo {
    config: TrainConfig,
    env: Box<dyn Env>,
    spec: EnvSpec,
    seeds: Seeds,
    team: Team,
    obs: RowNormaliser,
    state: RowNormaliser,
    multipliers: Multipliers,
    rollout: Rollout,
    episodes: Episodes,
    iteration: u64,
    rows: u64,
    /// The highest evaluation so far.
    best: Option<f64>,
}

impl std::fmt::Debug for Mappo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mappo")
            .field("spec", &self.spec)
            .field("iteration", &self.iteration)
            .finish_non_exhaustive()
    }
}

impl Mappo {
    /// A learner at its first step; resets the environment.
    ///
    /// # Errors
    /// When the configuration is unsound, does not fit the environment, or asks for a device that is not there.
    pub fn new(config: TrainConfig, mut env: Box<dyn Env>) -> Result<Self, LearnError> {
        config.validate()?;
        let spec = env.spec().clone();
        config.validate_for(&spec)?;
        let multipliers = env.multipliers();
        if !multipliers.is_empty() {
            config.validate_for_multipliers()?;
        }
        let seeds = Seeds::new(config.seed);
        env.reset(&seeds.named("environment"));
        let state_width = if config.critic == Critic::Central {
            spec.state_width
        } else {
            0
        };
        let obs_width = spec.obs_width + if config.agent_id { spec.agents } else { 0 };
        let shape = Shape {
            obs: obs_width,
            critic: obs_width + state_width,
            memory: config.memory,
            hidden: config.hidden.clone(),
            rungs: if multipliers.is_empty() {
                spec.rungs
            } else {
                MULTIPLIER_SCORES
            },
            multiplier: !multipliers.is_empty(),
        };
        let mut learner = Self {
            team: Team::new(&config, env.as_ref(), &shape, &seeds)?,
            obs: RowNormaliser::new(obs_width),
            state: RowNormaliser::new(state_width),
            multipliers: Multipliers::new(spec.constraints, config.multiplier.start),
            rollout: Rollout::new(&spec, state_width, &config).with_multipliers(multipliers),
            episodes: Episodes::new(spec.copies),
            iteration: 0,
            rows: 0,
            best: None,
            config,
            env,
            spec,
            seeds,
        };
        learner.look_once();
        Ok(learner)
    }

    /// First statistics for the normalisers: what the copies show before anything happened.
    fn look_once(&mut self) {
        let mut shown = StepBuffers::new(&self.spec);
        shown.observe(&*self.env);
        let id_width = self.obs.width() - self.spec.obs_width;
        let (mut seen_obs, mut seen_state) = (Vec::new(), Vec::new());
        for row in (0..self.spec.rows()).filter(|row| shown.mask[*row] != 0) {
            let width = self.spec.obs_width;
            seen_obs.extend_from_slice(&shown.obs[row * width..][..width]);
            push_id(row % self.spec.agents, id_width, &mut seen_obs);
            seen_state.extend_from_slice(&shown.state[row * self.spec.state_width..][..self.state.width()]);
        }
        self.obs.update(&seen_obs);
        self.state.update(&seen_state);
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// The environment's shape.
    #[must_use]
    pub fn spec(&self) -> &EnvSpec {
        &self.spec
    }

    /// Environment steps so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.iteration * self.config.rollout_steps()
    }

    /// Whether the configured number of steps is done.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.iteration >= self.config.iterations()
    }

    /// The price of each constraint.
    #[must_use]
    pub fn multipliers(&self) -> &[f64] {
        &self.multipliers.values
    }

    /// Where gradient steps run, in words.
    #[must_use]
    pub fn device(&self) -> String {
        self.team.device()
    }

    /// The policy as it stands, for bundles and evaluation.
    ///
    /// # Errors
    /// When a weight is not finite.
    pub fn actors(&self) -> Result<Actors, LearnError> {
        let actors = self.team.actors(&self.obs.frozen())?;
        let ranges = self.rollout.multipliers.clone();
        Ok(actors.with_multipliers(ranges).map_err(BundleError::from)?)
    }

    /// Takes note of what the policy as it stands is worth; says whether it was never worth more.
    pub(crate) fn note(&mut self, worth: f64) -> bool {
        let better = self.best.is_none_or(|best| worth > best) && worth.is_finite();
        if better {
            self.best = Some(worth);
        }
        better
    }

    /// One roll-out and the gradient steps on it.
    ///
    /// # Errors
    /// When nobody may act somewhere, or a number stops being one; the learner must not be used afterwards.
    pub fn iterate(&mut self) -> Result<Iteration, LearnError> {
        let started = Instant::now();
        let done = self.iteration as f64 / self.config.iterations() as f64;
        let spent = self.collect()?;
        let collected = Instant::now();
        let (learnt, mut scalars) = self.prepare()?;
        let update = self.update(&learnt, done)?;
        let updated = Instant::now();
        self.take_in_statistics(&mut scalars);
        self.iteration += 1;
        self.rows += self.rollout.len() as u64;
        scalars.extend(update);
        let seconds = started.elapsed().as_secs_f64().max(SECONDS_MIN);
        scalars.insert("time/fps".into(), self.config.rollout_steps() as f64 / seconds);
        scalars.insert("time/rows_per_second".into(), self.rollout.len() as f64 / seconds);
        Ok(Iteration {
            iteration: self.iteration,
            steps: self.steps(),
            steps_total: self.config.iterations() * self.config.rollout_steps(),
            rows: self.rows,
            scalars,
            rung_counts: self.agents_counts(),
            phases: Phases {
                environment_s: spent.environment.as_secs_f64(),
                inference_s: spent.inference.as_secs_f64(),
                training_s: (updated - collected).as_secs_f64(),
                total_s: seconds,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::host_reads;
    use crate::{DeviceChoice, EngineChoice};
    use haggle_env::{ProbeConfig, ProbeEnv};

    /// How often an iteration with libtorch waits for its device.
    fn reads(horizon: usize, epochs: usize, minibatch_rows: usize) -> u64 {
        let file = include_str!("../../../../envs/probe/late-sale.toml");
        let mut probe: ProbeConfig = toml::from_str(file).expect("a probe config");
        probe.copies = 4;
        let config = TrainConfig {
            copies: 4,
            horizon,
            epochs,
            minibatch_rows,
            target_kl: 0.0,
            engine: EngineChoice::Torch,
            device: DeviceChoice::Cpu,
            ..TrainConfig::default()
        };
        let env = ProbeEnv::new(probe).expect("an environment");
        let mut learner = Mappo::new(config, Box::new(env)).expect("a learner");
        let before = host_reads();
        learner.iterate().expect("an iteration");
        host_reads() - before
    }

    #[test]
    fn each_of_several_agents_is_told_its_reward() {
        let told = |file: &str| {
            let mut probe: ProbeConfig = toml::from_str(file).expect("a probe config");
            probe.copies = 4;
            let config = TrainConfig {
                copies: 4,
                horizon: 8,
                minibatch_rows: 16,
                device: DeviceChoice::Cpu,
                ..TrainConfig::default()
            };
            let env = ProbeEnv::new(probe).expect("an environment");
            let mut learner = Mappo::new(config, Box::new(env)).expect("a learner");
            learner.iterate().expect("an iteration").scalars
        };
        let two = told(include_str!("../../../../envs/probe/two-sellers.toml"));
        let each = [&two["agents/0/reward"], &two["agents/1/reward"]];
        assert!(
            (0.5 * (each[0] + each[1]) - two["rollout/reward_mean"]).abs() < 1e-9,
            "{two:?}"
        );
        let prices = [&two["agents/0/price"], &two["agents/1/price"]];
        assert!(
            (0.5 * (prices[0] + prices[1]) - two["pricing/price"]).abs() < 1e-9,
            "{two:?}"
        );
        let one = told(include_str!("../../../../envs/probe/late-sale.toml"));
        let probe: ProbeConfig =
            toml::from_str(include_str!("../../../../envs/probe/late-sale.toml")).expect("a probe config");
        let (low, high) = (probe.prices[0], probe.prices[probe.prices.len() - 1]);
        assert!(
            low < one["pricing/price"] && one["pricing/price"] < high,
            "{one:?}"
        );
        assert!(!one.contains_key("agents/0/reward"), "{one:?}");
    }

    #[test]
    fn an_iteration_waits_for_the_device_three_times_however_long_it_is() {
        // Values of the roll-out, values of what follows it, means of the update.
        assert_eq!(reads(6, 1, 1000), 3);
        assert_eq!(reads(62, 5, 16), 3);
    }
}
