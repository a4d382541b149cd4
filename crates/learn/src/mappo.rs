use crate::adam::{Adam, clip_norm, to_host};
use crate::advantage::standardise;
use crate::checkpoint::Checkpoint;
use crate::device::set_threads;
use crate::gradient;
use crate::multiplier::Multipliers;
use crate::network::{ActorCritic, Shape};
use crate::normaliser::{RowNormaliser, ValueNormaliser};
use crate::progress::{Iteration, Metrics, Phases};
use crate::rollout::{Columns, Eyes, Rollout, Spent};
use crate::{CheckpointError, Critic, LearnError, TrainConfig, choose_device, network_of};
use haggle_core::Seeds;
use haggle_env::{Env, EnvSpec, StepEnd};
use haggle_policy::Network;
use rand::seq::SliceRandom;
use std::time::Instant;
use tch::{Device, Kind, Tensor, no_grad, no_grad_guard};

/// An update ends early once the divergence passes this multiple of its target.
const KL_SLACK: f64 = 1.5;
/// Seconds below which a rate is not computed.
const SECONDS_MIN: f64 = 1e-9;

/// Multi-agent PPO with shared parameters (Yu et al. 2022): every active agent is a row of one network; the critic sees
/// the global state besides. Constraints enter the reward through Lagrange multipliers.
pub struct Mappo {
    config: TrainConfig,
    env: Box<dyn Env>,
    spec: EnvSpec,
    seeds: Seeds,
    device: Device,
    net: ActorCritic,
    /// A copy of the policy beside the environment, where `net` lives on a GPU.
    acting: Option<ActorCritic>,
    adam: Adam,
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

/// Means over the minibatches of an update, in one device vector.
const UPDATE_METRICS: usize = 6;

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
        let device = choose_device(config.device)?;
        set_threads(config.threads);
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
        let acting =
            (device != Device::Cpu).then(|| ActorCritic::new(shape.clone(), &parameters, Device::Cpu));
        let mut learner = Self {
            adam: Adam::new(parameters.len(), device),
            net: ActorCritic::new(shape, &parameters, device),
            acting,
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
            device,
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
        format!("{:?}", self.device).to_lowercase()
    }

    /// The policy as it stands, for bundles and evaluation.
    ///
    /// # Errors
    /// When a weight is not finite.
    pub fn network(&self) -> Result<Network, LearnError> {
        network_of(&self.net, &self.obs.frozen())
    }

    /// Everything that is needed to go on from here.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            config: self.config.clone(),
            parameters: to_host(&self.net.flat),
            adam: self.adam.save(),
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
                self.net.shape().parameters(),
                checkpoint.parameters.len(),
            ),
            (
                "optimiser state",
                self.net.shape().parameters(),
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
        no_grad(|| self.net.set(&checkpoint.parameters));
        self.refresh_acting();
        self.adam.load(&checkpoint.adam);
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
        let _guard = no_grad_guard();
        let eyes = Eyes {
            obs: self.obs.frozen(),
            state: self.state.frozen(),
        };
        let mut rng = self.seeds.named("draws").indexed(self.iteration).rng();
        let net = self.acting.as_ref().unwrap_or(&self.net);
        self.rollout.collect(self.env.as_mut(), net, &eyes, &mut rng)
    }

    /// Advantages and targets of the roll-out, as the table that gradient steps run on; and what the roll-out says.
    fn prepare(&mut self) -> Result<(Tensor, Metrics), LearnError> {
        let _guard = no_grad_guard();
        let rows = self.rollout.critic_rows().to_device(self.device);
        let mut values = to_host(&self.net.values(&rows));
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
            self.net
                .rescale_values(old, (self.values.mean(), self.values.std()));
        }
        scalars.insert("rollout/return_mean".into(), mean(&returns));
        standardise(&mut scaled);
        let old = &values[..self.rollout.len()];
        let table = self.rollout.table(&scaled, &returns, old, &self.values);
        Ok((table.to_device(self.device), scalars))
    }

    /// Epochs of minibatches. The device is waited for once at the end, and once per epoch if a divergence is watched.
    fn update(&mut self, table: &Tensor, done: f64) -> Result<Metrics, LearnError> {
        let mut rng = self.seeds.named("shuffles").indexed(self.iteration).rng();
        let rows = self.rollout.len();
        let batches = rows.div_ceil(self.config.minibatch_rows).max(1);
        let rates = (self.config.learning_rate.at(done), self.config.entropy.at(done));
        let mut order: Vec<i64> = (0..rows as i64).collect();
        let mut sums = Tensor::zeros([UPDATE_METRICS as i64], (Kind::Float, self.device));
        let mut epochs = 0;
        let mut before = 0.0;
        for epoch in 0..self.config.epochs {
            order.shuffle(&mut rng);
            let shuffled = table.index_select(0, &Tensor::from_slice(&order).to_device(self.device));
            for batch in 0..batches {
                let (from, to) = (batch * rows / batches, (batch + 1) * rows / batches);
                let block = shuffled.narrow(0, from as i64, (to - from) as i64);
                let metrics = self.gradient_step(&block, rates);
                let _ = sums.g_add_(&metrics);
            }
            epochs = epoch + 1;
            if self.config.target_kl > 0.0 && epochs < self.config.epochs {
                let total = f64::from(to_host(&sums)[3]);
                if (total - before) / batches as f64 > KL_SLACK * self.config.target_kl {
                    break;
                }
                before = total;
            }
        }
        self.refresh_acting();
        let means: Vec<f64> = to_host(&sums)
            .iter()
            .map(|sum| f64::from(*sum) / (epochs * batches) as f64)
            .collect();
        if means.iter().any(|mean| !mean.is_finite()) {
            return Err(self.diverged("a loss or gradient"));
        }
        let names = [
            "policy_gradient_loss",
            "value_loss",
            "entropy_loss",
            "approx_kl",
            "clip_fraction",
            "grad_norm",
        ];
        let mut metrics: Metrics = names
            .iter()
            .zip(means)
            .map(|(name, mean)| (format!("train/{name}"), mean))
            .collect();
        metrics.insert("train/learning_rate".into(), rates.0);
        metrics.insert("train/entropy_weight".into(), rates.1);
        metrics.insert("train/epochs".into(), epochs as f64);
        Ok(metrics)
    }

    fn gradient_step(&mut self, block: &Tensor, (learning_rate, entropy_weight): (f64, f64)) -> Tensor {
        let _guard = no_grad_guard();
        let columns = Columns::of(block, self.rollout.width() as i64, self.spec.rungs as i64);
        let step = gradient::step(
            &self.net,
            &columns,
            self.spec.obs_width as i64,
            &self.config,
            entropy_weight,
        );
        let mut gradient = step.gradient;
        let norm = clip_norm(&mut gradient, self.config.grad_norm_max);
        self.adam.step(&mut self.net.flat, &gradient, learning_rate);
        let parts = [
            step.surrogate,
            step.value_loss,
            -step.entropy,
            step.divergence,
            step.clipped,
            norm,
        ];
        Tensor::stack(&parts, 0)
    }

    fn refresh_acting(&mut self) {
        if let Some(acting) = &mut self.acting {
            no_grad(|| acting.flat.copy_(&self.net.flat));
        }
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
