//! A training run in a market or a probe environment.

use crate::failure::{Failure, Kind, OrFail};
use crate::output::Output;
use crate::plan::Plan;
use crate::training::{Facts, Training};
use haggle_core::Digest;
use haggle_env::market::Market;
use haggle_env::{Env, ProbeConfig, ProbeEnv};
use haggle_learn::{Metrics, RunSubject};
use haggle_policy::{Actors, DataSource, MarketBundle, MarketTerms, Provenance};
use serde::Serialize;
use std::path::Path;

/// What is priced.
pub enum Stage<'a> {
    /// A market.
    Market(&'a Market),
    /// A probe.
    Probe(&'a ProbeConfig),
}

#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    run: &'a Facts,
}

/// `haggle train` in a market: trains, and says what the last policy is worth.
pub fn run(plan: &Plan, stage: &Stage<'_>, resume: Option<&Path>, output: Output) -> Result<(), Failure> {
    let env = stage.environment(plan.learner.copies)?;
    let obs_width = env.spec().obs_width;
    let training = Training {
        env,
        subject: stage.subject(plan)?,
        resume,
        valuation: Box::new(|_: &Actors, _: &[f64]| Ok(Metrics::new())),
    };
    let trained = training.run(plan, output)?;
    let actors = trained.learner.actors().or_fail(Kind::Data)?;
    let terms = stage.terms(plan, obs_width, &trained.name())?;
    let bundle = MarketBundle::new(terms, &actors).or_fail(Kind::Data)?;
    let facts = trained.keep(|folder| bundle.write(folder))?;
    output.result(facts.summary(), &Told { run: &facts });
    Ok(())
}

impl Stage<'_> {
    fn environment(&self, copies: usize) -> Result<Box<dyn Env>, Failure> {
        match self {
            Self::Market(_) => todo!(),
            Self::Probe(probe) => {
                let probe = ProbeConfig {
                    copies,
                    ..(*probe).clone()
                };
                Ok(Box::new(ProbeEnv::new(probe).or_fail(Kind::Usage)?))
            }
        }
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

    fn terms(&self, plan: &Plan, obs_width: usize, run: &str) -> Result<MarketTerms, Failure> {
        let file = self.file()?;
        let (kind, prices) = match self {
            Self::Market(_) => todo!(),
            Self::Probe(probe) => ("probe", probe.prices.clone()),
        };
        Ok(MarketTerms {
            kind: kind.to_owned(),
            file,
            obs_width,
            prices,
            floor: plan.learner.exploration,
            provenance: Provenance {
                data: vec![self.source()?],
                run: run.to_owned(),
                seed: plan.learner.seed,
                identification: "exact: the market is its own model".to_owned(),
                objective: "money of the market".to_owned(),
                program: concat!("haggle ", env!("CARGO_PKG_VERSION")).to_owned(),
                ..Provenance::default()
            },
        })
    }
}
