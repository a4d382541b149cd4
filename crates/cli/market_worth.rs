//! What a bundle for a market is worth, in the market that it was trained on or in another one.

use crate::failure::{Failure, Kind, OrFail};
use haggle_core::Seeds;
use haggle_env::market::Market;
use haggle_eval::{MarketValue, MarketValueError};
use haggle_policy::MarketBundle;
use serde::Serialize;
use serde_json::Value;
use std::fmt;
use std::path::{Path, PathBuf};

/// Episodes in each of 256 copies, where a value is not exact.
const EPISODES: usize = 32;
/// Values with one seed meet the same shoppers.
const SEED: u64 = 1;

/// A bundle's value with what has to be said about it.
#[derive(Debug, Serialize)]
pub struct Worth {
    /// The bundle's folder, or the checkpoint that the policy is of.
    pub bundle: PathBuf,
    /// What differs between the market of the training and this one; empty where they are one.
    pub trained_elsewhere: Vec<String>,
    /// The value.
    #[serde(flatten)]
    pub value: MarketValue,
}

/// The market that a bundle was trained on.
pub fn home(bundle: &MarketBundle) -> Result<Market, Failure> {
    let terms = &bundle.manifest().market;
    if terms.kind == "probe" {
        let sentence = "the policy answers a probe environment, which asks a learner one question; values are those of markets";
        return Err(Failure::say(Kind::Usage, sentence));
    }
    serde_json::from_value(terms.file.clone()).or_fail(Kind::Data)
}

impl Worth {
    /// Values a bundle, in the market of its training where no other is given.
    pub fn of(folder: &Path, bundle: &MarketBundle, elsewhere: Option<&Market>) -> Result<Self, Failure> {
        let home = home(bundle)?;
        let market = elsewhere.unwrap_or(&home);
        let oracle = market.oracle().or_fail(Kind::Usage)?;
        let value = MarketValue::of(market, &oracle, bundle.actors(), (EPISODES, &Seeds::new(SEED)));
        let value = value.map_err(|error| match error {
            MarketValueError::Policy(_) => Failure::new(Kind::Data, error),
            _ => Failure::new(Kind::Usage, error),
        })?;
        Ok(Self {
            bundle: folder.to_owned(),
            trained_elsewhere: differences(&json(&home)?, &json(market)?),
            value,
        })
    }
}

fn json(market: &Market) -> Result<Value, Failure> {
    serde_json::to_value(market).or_fail(Kind::Data)
}

/// The top-level keys in which two market files differ, with both values.
fn differences(trained: &Value, valued: &Value) -> Vec<String> {
    let keys = |file: &Value| -> Vec<String> {
        file.as_object()
            .map(|table| table.keys().cloned().collect())
            .unwrap_or_default()
    };
    let mut names = keys(trained);
    names.extend(keys(valued));
    names.sort();
    names.dedup();
    names.retain(|name| trained[name] != valued[name]);
    let told = |name: String| format!("{name} = {} in training, {} here", trained[&name], valued[&name]);
    names.into_iter().map(told).collect()
}

impl fmt::Display for Worth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for difference in &self.trained_elsewhere {
            writeln!(f, "trained in another market: {difference}")?;
        }
        self.value.fmt(f)
    }
}

/// Keeps a value in a run's folder.
pub fn keep(run: &Path, value: &MarketValue) -> Result<(), Failure> {
    let path = run.join("eval").join("value.json");
    let json = serde_json::to_vec_pretty(value).or_fail(Kind::Data)?;
    std::fs::write(&path, json).or_fail_at(Kind::Data, &path)
}
