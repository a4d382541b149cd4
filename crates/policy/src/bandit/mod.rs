//! Bandits: policies that learn from every outcome. Each is a pure state machine: [`Bandit::update`] takes an outcome in,
//! [`Bandit::pmf`] answers with the whole distribution over rungs. Configuration and outcomes in their order make the state
//! to the bit; its digest is chained over both. `docs/bandits.md` has formulas, sources and defaults.

mod bandits;
mod belief;
mod config;
mod corridor;
mod curve;
mod cusum;
mod design;
mod error;
mod memory;
mod model;
mod plan;
mod prior;
mod stock;

pub use bandits::{Bandits, ItemBandit};
pub use config::{BanditConfig, COEFFICIENTS_MAX, DemandModel, Forgetting, Pooling, Rule};
pub use corridor::Corridor;
pub use error::BanditError;
pub use plan::BanditPlan;
pub use stock::Stock;

use haggle_core::{Digest, Mask, Pmf, PmfError, Seeds};
use model::Model;
use serde::{Deserialize, Serialize};

/// Who is in front of the price: a segment (0 where there is one) and the numbers known of the visit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Context<'a> {
    /// Number of the segment.
    pub segment: usize,
    /// As many finite numbers as the bandit was made for, in any scale.
    pub x: &'a [f64],
}

/// A policy that learns from every outcome. Serialised and read back it goes on to the same bits.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Saved")]
pub struct Bandit {
    config: BanditConfig,
    /// One, or one per segment.
    models: Vec<Model>,
    digest: Digest,
    #[serde(skip)]
    seeds: Seeds,
}

/// A bandit as it was written, before it is known to be one.
#[derive(Deserialize)]
struct Saved {
    config: BanditConfig,
    models: Vec<Model>,
    digest: Digest,
}

impl TryFrom<Saved> for Bandit {
    type Error = BanditError;

    fn try_from(saved: Saved) -> Result<Self, BanditError> {
        let fresh = Self::new(saved.config)?;
        let pairs = saved.models.iter().zip(&fresh.models);
        if saved.models.len() != fresh.models.len()
            || !pairs.into_iter().all(|(model, fresh)| model.fits(fresh))
        {
            return Err(BanditError::State);
        }
        Ok(Self {
            models: saved.models,
            digest: saved.digest,
            ..fresh
        })
    }
}

impl Bandit {
    /// A bandit that has seen nothing.
    ///
    /// # Errors
    /// When a setting is out of its range.
    pub fn new(config: BanditConfig) -> Result<Self, BanditError> {
        config.check()?;
        let models = match config.pooling {
            Pooling::Pooled | Pooling::Partial(_) => 1,
            Pooling::Separate(segments) => segments,
        };
        let seeds = Seeds::new(config.seed).named("bandit");
        let models = (0..models)
            .map(|model| Model::new(&config, &seeds.indexed(model as u64)))
            .collect();
        let digest = Digest::of(format!("haggle bandit 2 {config:?}").as_bytes());
        Ok(Self {
            config,
            models,
            digest,
            seeds,
        })
    }

    /// Its settings.
    #[must_use]
    pub fn config(&self) -> &BanditConfig {
        &self.config
    }

    /// The name of exactly this state: a chain over the settings and every outcome.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// How many outcomes it has taken in.
    #[must_use]
    pub fn outcomes(&self) -> u64 {
        self.models.iter().map(Model::outcomes).sum()
    }

    /// What is usual of each number of a segment's contexts, as far as it is known yet; else 0.
    #[must_use]
    pub fn usual(&self, segment: usize) -> &[f64] {
        let (model, _) = self.route(segment);
        self.models[model].usual()
    }

    /// The distribution over rungs for a context; at least `floor / allowed` where allowed, exactly 0 elsewhere. The same
    /// state, context and mask give the same bits.
    ///
    /// # Errors
    /// When the context does not fit or is not finite, or nothing is allowed.
    pub fn pmf(&self, context: Context<'_>, allowed: Mask) -> Result<Pmf, BanditError> {
        let allowed = self.allowed(context, allowed)?;
        let (model, segment) = self.route(context.segment);
        let model = &self.models[model];
        let best = |demand: &[f64]| self.best(demand, allowed);
        let mut weights = vec![0.0; self.config.prices.len()];
        let mut floor = self.exploration(context.segment);
        match self.config.rule {
            Rule::Thompson { .. } => {
                model.for_each_draw(segment, context.x, |demand| weights[best(demand)] += 1.0);
            }
            Rule::EpsilonGreedy { epsilon } => {
                weights[best(&model.demand(segment, context.x, 0.0))] = 1.0;
                floor = floor.max(epsilon / (1.0 + model.outcomes() as f64 / 100.0).sqrt());
            }
            Rule::SquareCb { scale } => {
                let demand = model.demand(segment, context.x, 0.0);
                let gamma = scale * (allowed.count() as f64 * (1.0 + model.sold().max(0.0))).sqrt();
                self.weigh_gaps(&demand, gamma, allowed, &mut weights);
            }
            Rule::UpperBound { width } => weights[best(&model.demand(segment, context.x, width))] = 1.0,
        }
        Ok(Pmf::from_weights(weights, allowed, floor)?)
    }

    /// Takes in what a price at `rung` sold in a context.
    ///
    /// # Errors
    /// When context or rung do not fit, or the outcome is none; the state is then as before.
    pub fn update(&mut self, context: Context<'_>, rung: usize, outcome: f64) -> Result<(), BanditError> {
        self.check(context)?;
        let rungs = self.config.prices.len();
        if rung >= rungs {
            return Err(BanditError::Rung { got: rung, rungs });
        }
        let (sound, expected) = match self.config.demand {
            DemandModel::Logit => (outcome == 0.0 || outcome == 1.0, "0 or 1"),
            DemandModel::Linear => (outcome.is_finite(), "a finite number"),
        };
        if !sound {
            return Err(BanditError::Outcome {
                got: outcome,
                expected,
            });
        }
        let (at, segment) = self.route(context.segment);
        let model = &mut self.models[at];
        model.learn(segment, context.x, rung, outcome, &self.config);
        model.redraw(self.config.rule, &self.seeds.indexed(at as u64));
        self.digest = self.chained(context, rung, outcome);
        Ok(())
    }

    fn chained(&self, context: Context<'_>, rung: usize, outcome: f64) -> Digest {
        let mut bytes = Vec::with_capacity(8 * (context.x.len() + 3));
        bytes.extend_from_slice(&(context.segment as u64).to_le_bytes());
        bytes.extend_from_slice(&(rung as u64).to_le_bytes());
        bytes.extend_from_slice(&outcome.to_le_bytes());
        for x in context.x {
            bytes.extend_from_slice(&x.to_le_bytes());
        }
        Digest::of_parts(&[self.digest.as_bytes(), &bytes])
    }

    /// The allowed rungs of the ladder, for a context that fits.
    fn allowed(&self, context: Context<'_>, allowed: Mask) -> Result<Mask, BanditError> {
        self.check(context)?;
        let rungs = self.config.prices.len();
        let allowed = allowed.and(Mask::all(rungs));
        if allowed.is_empty() {
            return Err(PmfError::NothingAllowed(rungs).into());
        }
        Ok(allowed)
    }

    fn check(&self, context: Context<'_>) -> Result<(), BanditError> {
        let (expected, got) = (self.config.contexts, context.x.len());
        if expected != got {
            return Err(BanditError::Width { expected, got });
        }
        if let Some(at) = context.x.iter().position(|x| !x.is_finite()) {
            return Err(BanditError::NotFinite(at));
        }
        let (got, segments) = (context.segment, self.config.pooling.segments());
        if got >= segments {
            return Err(BanditError::Segment { got, segments });
        }
        Ok(())
    }

    /// The model of a segment, and its number inside that model.
    fn route(&self, segment: usize) -> (usize, usize) {
        match self.config.pooling {
            Pooling::Pooled | Pooling::Partial(_) => (0, segment),
            Pooling::Separate(_) => (segment, 0),
        }
    }

    /// Share of draws that are uniform over what is allowed.
    fn exploration(&self, segment: usize) -> f64 {
        let (model, _) = self.route(segment);
        self.config.floor.max(self.models[model].ignorance())
    }

    fn reward(&self, rung: usize, demand: f64) -> f64 {
        (self.config.prices[rung] - self.config.cost) * demand
    }

    /// The allowed rung with the largest expected reward; the lowest of several.
    fn best(&self, demand: &[f64], allowed: Mask) -> usize {
        let mut best = (0, f64::NEG_INFINITY);
        for (rung, demand) in demand.iter().enumerate() {
            let reward = self.reward(rung, *demand);
            if allowed.allows(rung) && reward > best.1 {
                best = (rung, reward);
            }
        }
        best.0
    }

    /// Inverse gap weights: the best rung takes what the others leave.
    fn weigh_gaps(&self, demand: &[f64], gamma: f64, allowed: Mask, weights: &mut [f64]) {
        let best = self.best(demand, allowed);
        let most = self.reward(best, demand[best]);
        let scale = most.abs().max(f64::MIN_POSITIVE);
        let mut left = 1.0;
        for rung in allowed.iter().filter(|rung| *rung != best) {
            let gap = (most - self.reward(rung, demand[rung])) / scale;
            weights[rung] = 1.0 / (allowed.count() as f64 + gamma * gap);
            left -= weights[rung];
        }
        weights[best] = left;
    }
}
