//! What an iteration does: play, see what it was worth, and learn from it.

use super::Mappo;
use super::metrics::mean;
use crate::LearnError;
use crate::progress::Metrics;
use crate::rollout::{Eyes, Idle, Spent};
use crate::update::UPDATE_METRICS;

/// What gradient steps learn from, per active row: standardised advantages, returns and values in money.
pub(super) struct Learnt {
    advantages: Vec<f32>,
    returns: Vec<f32>,
    values: Vec<f32>,
}

impl Mappo {
    pub(super) fn collect(&mut self) -> Result<Spent, LearnError> {
        let eyes = Eyes {
            obs: self.obs.frozen(),
            state: self.state.frozen(),
        };
        let mut rng = self.seeds.named("draws").indexed(self.iteration).rng();
        let (env, team, rollout) = (self.env.as_mut(), &mut self.team, &mut self.rollout);
        let mut play = || rollout.collect(env, team, &eyes, &mut rng);
        // On one of rayon's threads what is shared out in every step goes to another that is awake; from outside, both must
        // be woken each time. (Networks with a memory leave sharing to libtorch, whose team of threads belongs to this one.)
        let played = if self.config.threads == 1 || self.config.memory > 0 {
            play()
        } else {
            rayon::scope(|_| play())
        };
        played.map_err(|Idle { copy, t }| LearnError::NobodyActs {
            copy,
            last_agent: self.spec.agents - 1,
            step: self.steps() + (t * self.spec.copies) as u64,
        })
    }

    /// Advantages and targets of the roll-out; and what the roll-out says.
    pub(super) fn prepare(&mut self) -> Result<(Learnt, Metrics), LearnError> {
        if let Some(row) = self.rollout.reward.iter().position(|reward| !reward.is_finite()) {
            let agent = self.rollout.agent[row];
            return Err(self.diverged(&format!("a reward of the environment's agent {agent}")));
        }
        let values = self.rollout.values(&mut self.team);
        let (gamma, lambda) = (self.config.gamma, self.config.lambda);
        let mut advantages = self.rollout.advantages(&values, &self.multipliers, gamma, lambda);
        let returns: Vec<f32> = advantages
            .iter()
            .zip(&values)
            .map(|(advantage, value)| advantage + value)
            .collect();
        if returns.iter().any(|x| !x.is_finite()) {
            return Err(self.diverged("a return"));
        }
        let mut scalars = self.rollout_metrics(&returns, &values);
        if self.config.normalise_values {
            self.team.take_units(&self.rollout.agent, &returns);
        }
        scalars.insert("rollout/return_mean".into(), mean(&returns));
        self.rollout
            .standardise(&mut advantages, self.config.normalise_advantages);
        let learnt = Learnt {
            advantages,
            returns,
            values,
        };
        Ok((learnt, scalars))
    }

    /// Epochs of minibatches.
    pub(super) fn update(&mut self, learnt: &Learnt, done: f64) -> Result<Metrics, LearnError> {
        let shuffles = self.seeds.named("shuffles").indexed(self.iteration);
        let rates = (self.config.learning_rate.at(done), self.config.entropy.at(done));
        let rows = (&learnt.advantages[..], &learnt.returns[..], &learnt.values[..]);
        let (updated, sights) = self
            .team
            .update(&self.rollout, rows, &self.config, rates, &shuffles);
        if let Some(sick) = updated.means.iter().position(|mean| !mean.is_finite()) {
            return Err(self.diverged(&format!("train/{}", UPDATE_METRICS[sick])));
        }
        let named = UPDATE_METRICS.iter().zip(updated.means);
        let mut metrics: Metrics = named
            .map(|(name, mean)| (format!("train/{name}"), mean))
            .collect();
        metrics.insert("rollout/sights".into(), sights as f64);
        metrics.insert("train/learning_rate".into(), rates.0);
        metrics.insert("train/entropy_weight".into(), rates.1);
        metrics.insert("train/epochs".into(), updated.epochs as f64);
        Ok(metrics)
    }

    /// Normalisers and multipliers learn from the roll-out only after it was used.
    pub(super) fn take_in_statistics(&mut self, scalars: &mut Metrics) {
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

    /// The error of a quantity that stopped being a number in this update.
    fn diverged(&self, what: &str) -> LearnError {
        LearnError::Diverged {
            update: self.iteration + 1,
            steps: self.steps(),
            what: what.to_owned(),
            kept: String::new(),
        }
    }
}
