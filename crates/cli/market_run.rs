//! A training run in a market or a probe environment.

use crate::env_file::EnvFile;
use crate::failure::{Failure, Kind, OrFail};
use crate::market_worth::{self, Worth};
use crate::output::Output;
use crate::plan::Plan;
use crate::seat::Seat;
use crate::training::{RunSummary, Training};
use haggle_core::{Digest, Seeds};
use haggle_env::market::{Market, MarketEnv, Oracle};
use haggle_env::{Env, ProbeConfig, ProbeEnv};
use haggle_eval::{MarketValue, MarketValueError};
use haggle_learn::{Mappo, Metrics, PROGRAM, RunSubject};
use haggle_policy::{Actors, DataSource, MarketBundle, MarketTerms, Provenance};
use serde::Serialize;

/// What is priced.
pub enum Stage<'a> {
    /// A market.
    Market(&'a Market),
    /// A probe.
    Probe(&'a ProbeConfig),
}

/// What a run tells programs.
#[derive(Serialize)]
pub struct Told {
    /// The run.
    #[serde(flatten)]
    pub run: RunSummary,
    /// Absent for a probe.
    score: Option<MarketValue>,
}

/// A market with what is known of it.
struct Judge<'a> {
    market: &'a Market,
    oracle: Oracle,
}

/// Episodes in each of 256 copies for a point of a learning curve, where a value is not exact.
const EPISODES: usize = 2;

impl Judge<'_> {
    /// Figures of a policy; none for one that remembers in a market without end.
    fn score(&self, actors: &Actors) -> Result<Option<MarketValue>, String> {
        let seeds = Seeds::new(1);
        match MarketValue::of(self.market, &self.oracle, actors, (EPISODES, &seeds)) {
            Err(MarketValueError::Endless) => Ok(None),
            value => value.map(Some).map_err(|error| error.to_string()),
        }
    }
}

/// The figures under the tags of learning curves.
fn metrics(value: &MarketValue) -> Metrics {
    let mut metrics = Metrics::from([
        ("eval/mean_reward".to_owned(), value.value),
        ("pricing/ratio_to_optimum".to_owned(), value.ratio),
        ("pricing/guardrail_hits".to_owned(), value.guardrail_hits),
    ]);
    metrics.extend(value.gap_score.map(|gap| ("pricing/gap_score".to_owned(), gap)));
    if let Some(open) = &value.open_prices {
        metrics.insert("pricing/delta".to_owned(), open.delta);
        metrics.insert("pricing/nash_distance".to_owned(), open.nash_distance_max);
    }
    if let Some(rivalry) = &value.rivalry {
        metrics.insert("pricing/delta".to_owned(), rivalry.delta);
        metrics.insert("pricing/reply_gain".to_owned(), rivalry.reply_gain_max);
    }
    metrics
}

/// `haggle train` in a market: trains, and says what the last policy is worth.
pub fn run(plan: &Plan, stage: &Stage<'_>, seat: &Seat, output: Output) -> Result<(String, Told), Failure> {
    let env = stage.environment(plan.learner.copies)?;
    let judge = stage.judge()?;
    let score = |actors: &Actors| judge.as_ref().map_or(Ok(None), |judge| judge.score(actors));
    let training = Training {
        env,
        subject: stage.subject(plan)?,
        seat,
        valuation: Box::new(|actors: &Actors, _: &[f64]| {
            Ok(score(actors)?.as_ref().map(metrics).unwrap_or_default())
        }),
    };
    let trained = training.run(plan, output)?;
    let (bundle, facts) = trained.keep(|learner| stage.bundle(plan, learner), MarketBundle::write)?;
    let worth = match stage {
        Stage::Market(_) => Some(Worth::of(&facts.bundle, &bundle, None)?),
        Stage::Probe(_) => None,
    };
    if let Some(worth) = &worth {
        market_worth::keep(&facts.run, &worth.value)?;
    }
    let text = worth
        .as_ref()
        .map_or_else(String::new, |worth| format!("{worth}\n\n"));
    let score = worth.map(|worth| worth.value);
    Ok((format!("{text}{}", facts.summary()), Told { run: facts, score }))
}

impl<'a> Stage<'a> {
    /// The stage of an environment file.
    pub fn of(env: &'a EnvFile) -> Result<Self, Failure> {
        match env {
            EnvFile::Market(market) => Ok(Self::Market(market)),
            EnvFile::Probe(probe) => Ok(Self::Probe(probe)),
            EnvFile::Replay(_) => Err(Failure::say(
                Kind::Usage,
                "this needs a run in a market or a probe; its environment is replayed sessions",
            )),
        }
    }

    /// What a learner learns in.
    pub fn environment(&self, copies: usize) -> Result<Box<dyn Env>, Failure> {
        match self {
            Self::Market(market) => Ok(Box::new(MarketEnv::new(market, copies).or_fail(Kind::Usage)?)),
            Self::Probe(probe) => {
                let probe = ProbeConfig {
                    copies,
                    ..(*probe).clone()
                };
                Ok(Box::new(ProbeEnv::new(probe).or_fail(Kind::Usage)?))
            }
        }
    }

    /// None for a probe.
    fn judge(&self) -> Result<Option<Judge<'_>>, Failure> {
        let Self::Market(market) = self else {
            return Ok(None);
        };
        let oracle = market.oracle().or_fail(Kind::Usage)?;
        Ok(Some(Judge { market, oracle }))
    }

    /// The content of the environment's file.
    fn file(&self) -> Result<serde_json::Value, Failure> {
        match self {
            Self::Market(market) => serde_json::to_value(market),
            Self::Probe(probe) => serde_json::to_value(probe),
        }
        .or_fail(Kind::Usage)
    }

    fn source(&self) -> Result<DataSource, Failure> {
        Ok(DataSource {
            name: "environment file".to_owned(),
            digest: Digest::of(self.file()?.to_string().as_bytes()),
        })
    }

    fn subject(&self, plan: &Plan) -> Result<RunSubject, Failure> {
        let source = self.source()?;
        Ok(RunSubject {
            env: plan.env_name.clone(),
            algorithm: "mappo".to_owned(),
            seed: plan.learner.seed,
            data: vec![(source.name, source.digest)],
        })
    }

    /// The policy of a learner, with the terms under which it was trained.
    pub fn bundle(&self, plan: &Plan, learner: &Mappo) -> Result<MarketBundle, Failure> {
        let actors = learner.actors()?;
        let terms = MarketTerms {
            multipliers: actors.multipliers().to_vec(),
            ..self.terms(plan, learner.spec().obs_width)?
        };
        MarketBundle::new(terms, &actors).or_fail(Kind::Data)
    }

    fn terms(&self, plan: &Plan, obs_width: usize) -> Result<MarketTerms, Failure> {
        let file = self.file()?;
        let prices = match self {
            Self::Market(market) => market.prices().or_fail(Kind::Usage)?,
            Self::Probe(probe) => probe.prices.clone(),
        };
        let kind = file["kind"].as_str().unwrap_or("probe").to_owned();
        Ok(MarketTerms {
            kind,
            file,
            obs_width,
            // "No offer" is a price that nobody pays.
            prices: prices
                .into_iter()
                .map(|price| price.is_finite().then_some(price))
                .collect(),
            multipliers: Vec::new(),
            floor: plan.learner.exploration,
            provenance: Provenance {
                data: vec![self.source()?],
                run: self.subject(plan)?.title(),
                seed: plan.learner.seed,
                identification: "exact: the market is its own model".to_owned(),
                objective: "money of the market".to_owned(),
                program: PROGRAM.to_owned(),
                ..Provenance::default()
            },
        })
    }
}
