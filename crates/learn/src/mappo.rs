use crate::advantage::standardise;
use crate::checkpoint::Checkpoint;
use crate::engine::{Engine, UPDATE_METRICS};
use crate::multiplier::Multipliers;
use crate::network::Shape;
use crate::normaliser::{RowNormaliser, ValueNormaliser};
use crate::progress::{Iteration, Metrics, Phases};
use crate::rollout::{Eyes, Rollout, Spent};
use crate::table::Table;
use crate::{CheckpointError, Critic, LearnError, TrainConfig, network_of};
use haggle_core::Seeds;
use haggle_env::{Env, EnvSpec, StepEnd};
use haggle_policy::{Actors, BundleError};
use std::time::Instant;

/// Seconds below which a rate is not computed.
const SECONDS_MIN: f64 = 1e-9;

/// Multi-agent PPO with shared parameters (Yu et al. 2022): every active agent is a row of one network; the critic sees
/// the global state besides. Constraints enter the reward through Lagrange multipliers.
pub struct Mappo {
    config: TrainConfig,
    env: Box<dyn Env>,
    spec: EnvSpec,
    seeds: Seeds,
    engine: Engine,
    obs: RowNormaliser,
    state: RowNormaliser,
    values: ValueNormaliser,
    multipliers: Multipliers,
    rollout: Rollout,
    episodes: Vec<Episode>,
    iteration: u64,
    rows: u64,
}

/// What a copy's running episode has earned so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Episode {
    reward: f64,
    steps: u64,
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
        let seeds = Seeds::new(config.seed);
        env.reset(&seeds.named("environment"));
        let state_width = if config.critic == Critic::Central {
            spec.state_width
        } else {
            0
        };
        let shape = Shape {
            obs: spec.obs_width,
            critic: spec.obs_width + state_width,
            hidden: config.hidden.clone(),
            rungs: spec.rungs,
        };
        let parameters = shape.initial(&seeds.named("initial weights"));
        let mut learner = Self {
            engine: Engine::new(&config, shape, &parameters)?,
            obs: RowNormaliser::new(spec.obs_width),
            state: RowNormaliser::new(state_width),
            values: ValueNormaliser::new(),
            multipliers: Multipliers::new(spec.constraints, config.multiplier.start),
            rollout: Rollout::new(&spec, config.horizon, state_width, config.exploration),
            episodes: vec![Episode::default(); spec.copies],
            iteration: 0,
            rows: 0,
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
        let rows = self.spec.rows();
        let mut obs = vec![0.0; rows * self.spec.obs_width];
        let mut state = vec![0.0; rows * self.spec.state_width];
        let mut mask = vec![0; rows];
        self.env.observe(&mut haggle_env::ObserveOut {
            obs: &mut obs,
            state: &mut state,
            mask: &mut mask,
        });
        let active = |numbers: &[f32], width: usize| -> Vec<f32> {
            let rows = (0..rows).filter(|row| mask[*row] != 0);
            rows.flat_map(|row| numbers[row * width..][..width].to_vec())
                .collect()
        };
        self.obs.update(&active(&obs, self.spec.obs_width));
        if self.state.width() > 0 {
            self.state.update(&active(&state, self.spec.state_width));
        }
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
        self.engine.device()
    }

    /// The policy as it stands, for bundles and evaluation.
    ///
    /// # Errors
    /// When a weight is not finite.
    pub fn actors(&self) -> Result<Actors, LearnError> {
        let network = network_of(self.engine.shape(), &self.engine.parameters(), &self.obs.frozen())?;
        let shared = vec![0; self.spec.agents];
        Ok(Actors::new(vec![network], shared, false, self.config.exploration).map_err(BundleError::from)?)
    }

    /// Everything that is needed to go on from here.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            config: self.config.clone(),
            parameters: self.engine.parameters(),
            adam: self.engine.optimiser(),
            obs: self.obs.clone(),
            state: self.state.clone(),
            values: self.values.clone(),
            multipliers: self.multipliers.clone(),
            episodes: self.episodes.clone(),
            iteration: self.iteration,
            rows: self.rows,
            environment: self.env.save(),
        }
    }

    /// Goes on from a checkpoint of the same configuration (only `steps` and what does not touch learning may differ).
    ///
    /// # Errors
    /// When the checkpoint belongs to another configuration or environment.
    pub fn restore(&mut self, checkpoint: &Checkpoint) -> Result<(), LearnError> {
        checkpoint.check(&self.config)?;
        let shapes = [
            (
                "parameters",
                self.engine.shape().parameters(),
                checkpoint.parameters.len(),
            ),
            (
                "optimiser state",
                self.engine.shape().parameters(),
                checkpoint.adam.mean.len(),
            ),
            ("obs_width", self.obs.width(), checkpoint.obs.width()),
            ("state_width", self.state.width(), checkpoint.state.width()),
            (
                "constraints",
                self.spec.constraints,
                checkpoint.multipliers.values.len(),
            ),
            ("copies", self.spec.copies, checkpoint.episodes.len()),
        ];
        if let Some((what, expected, got)) = shapes.into_iter().find(|(_, expected, got)| expected != got) {
            return Err(CheckpointError::Shape { what, expected, got }.into());
        }
        self.env
            .load(&checkpoint.environment)
            .map_err(CheckpointError::Environment)?;
        self.engine.load(&checkpoint.parameters, &checkpoint.adam);
        self.obs = checkpoint.obs.clone();
        self.state = checkpoint.state.clone();
        self.values = checkpoint.values.clone();
        self.multipliers = checkpoint.multipliers.clone();
        self.episodes.clone_from(&checkpoint.episodes);
        self.iteration = checkpoint.iteration;
        self.rows = checkpoint.rows;
        Ok(())
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
        let (table, mut scalars) = self.prepare()?;
        let update = self.update(&table, done)?;
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

    fn collect(&mut self) -> Result<Spent, LearnError> {
        let eyes = Eyes {
            obs: self.obs.frozen(),
            state: self.state.frozen(),
        };
        let mut rng = self.seeds.named("draws").indexed(self.iteration).rng();
        let engine = &mut self.engine;
        self.rollout.collect(self.env.as_mut(), engine, &eyes, &mut rng)
    }

    /// Advantages and targets of the roll-out, as the table that gradient steps run on; and what the roll-out says.
    fn prepare(&mut self) -> Result<(Table, Metrics), LearnError> {
        let mut values = self.rollout.values(&mut self.engine);
        values
            .iter_mut()
            .for_each(|value| *value = self.values.restore(*value));
        let (gamma, lambda) = (self.config.gamma, self.config.lambda);
        let mut scaled = self.rollout.advantages(&values, &self.multipliers, gamma, lambda);
        let returns: Vec<f32> = scaled
            .iter()
            .zip(&values)
            .map(|(advantage, value)| advantage + value)
            .collect();
        let unfit = returns.iter().any(|x| !x.is_finite());
        if unfit {
            return Err(self.diverged("a return"));
        }
        let mut scalars = self.rollout_metrics(&returns, &values);
        if self.config.normalise_values {
            let old = (self.values.mean(), self.values.std());
            self.values.update(&returns);
            self.engine
                .rescale_values(old, (self.values.mean(), self.values.std()));
        }
        scalars.insert("rollout/return_mean".into(), mean(&returns));
        standardise(&mut scaled);
        let old = &values[..self.rollout.len()];
        let table = self.rollout.table(&scaled, &returns, old, &self.values);
        Ok((table, scalars))
    }

    /// Epochs of minibatches.
    fn update(&mut self, table: &Table, done: f64) -> Result<Metrics, LearnError> {
        let mut shuffles = self.seeds.named("shuffles").indexed(self.iteration).rng();
        let rates = (self.config.learning_rate.at(done), self.config.entropy.at(done));
        let updated = self.engine.update(table, &self.config, rates, &mut shuffles);
        if updated.means.iter().any(|mean| !mean.is_finite()) {
            return Err(self.diverged("a loss or gradient"));
        }
        let named = UPDATE_METRICS.iter().zip(updated.means);
        let mut metrics: Metrics = named
            .map(|(name, mean)| (format!("train/{name}"), mean))
            .collect();
        metrics.insert("train/learning_rate".into(), rates.0);
        metrics.insert("train/entropy_weight".into(), rates.1);
        metrics.insert("train/epochs".into(), updated.epochs as f64);
        Ok(metrics)
    }

    /// Normalisers and multipliers learn from the roll-out only after it was used.
    fn take_in_statistics(&mut self, scalars: &mut Metrics) {
        self.obs.update(&self.rollout.raw_obs);
        self.state.update(&self.rollout.raw_state);
        let steps = self.config.rollout_steps() as f64;
        let violation: Vec<f64> = self.rollout.violation.iter().map(|sum| sum / steps).collect();
        for (n, name) in self
            .spec
            .constraint_names
            .iter()
            .enumerate()
            .take(violation.len())
        {
            scalars.insert(format!("pricing/violation_{name}"), violation[n]);
            scalars.insert(format!("pricing/multiplier_{name}"), self.multipliers.values[n]);
        }
        if let [only] = self.multipliers.values[..] {
            scalars.insert("pricing/multiplier".into(), only);
        }
        self.multipliers.update(&violation, &self.config.multiplier);
    }

    fn rollout_metrics(&mut self, returns: &[f32], values: &[f32]) -> Metrics {
        let mut finished = Vec::new();
        for t in 0..self.config.horizon {
            for copy in 0..self.spec.copies {
                let reward = self.rollout.copy_reward(t, copy);
                let episode = &mut self.episodes[copy];
                episode.reward += reward;
                episode.steps += 1;
                if self.rollout.ends(t)[copy] != StepEnd::Go {
                    finished.push(std::mem::take(episode));
                }
            }
        }
        let mut scalars = Metrics::new();
        if !finished.is_empty() {
            let count = finished.len() as f64;
            let rewards: f64 = finished.iter().map(|episode| episode.reward).sum();
            let steps: u64 = finished.iter().map(|episode| episode.steps).sum();
            scalars.insert("rollout/ep_rew_mean".into(), rewards / count);
            scalars.insert("rollout/ep_len_mean".into(), steps as f64 / count);
        }
        scalars.insert("rollout/reward_mean".into(), mean(&self.rollout.reward));
        scalars.insert(
            "train/explained_variance".into(),
            explained_variance(values, returns),
        );
        let rungs: Vec<f32> = self.rollout.rung.iter().map(|rung| f32::from(*rung)).collect();
        scalars.insert("pricing/rung_mean".into(), mean(&rungs));
        scalars
    }

    fn agents_counts(&self) -> Vec<Vec<f64>> {
        self.rollout
            .rung_counts()
            .chunks_exact(self.spec.rungs)
            .map(<[f64]>::to_vec)
            .collect()
    }

    fn diverged(&self, what: &str) -> LearnError {
        LearnError::Diverged {
            steps: self.steps(),
            what: what.to_owned(),
            kept: String::new(),
        }
    }
}

fn mean(numbers: &[f32]) -> f64 {
    numbers.iter().map(|x| f64::from(*x)).sum::<f64>() / numbers.len().max(1) as f64
}

/// `1 - var(return - value) / var(return)`; 0 where returns do not vary.
fn explained_variance(values: &[f32], returns: &[f32]) -> f64 {
    let variance = |numbers: &[f32]| {
        let middle = mean(numbers);
        numbers
            .iter()
            .map(|x| (f64::from(*x) - middle).powi(2))
            .sum::<f64>()
            / numbers.len().max(1) as f64
    };
    let errors: Vec<f32> = returns.iter().zip(values).map(|(a, b)| a - b).collect();
    let spread = variance(returns);
    if spread > 1e-12 {
        1.0 - variance(&errors) / spread
    } else {
        0.0
    }
}
