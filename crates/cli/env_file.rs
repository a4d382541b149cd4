//! What an environment file of `envs/` can describe: replayed sessions, a market, or a probe.

use crate::config::{self, Loaded};
use crate::failure::Failure;
use crate::weeks::Weeks;
use haggle_env::market::Market;
use haggle_env::{Earning, ProbeConfig, ReplayConfig};
use schemars::JsonSchema;
use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// An environment file. Its `kind` says which it is; a file with a table `problem` is a probe.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum EnvFile {
    /// Logged sessions, answered by a demand model.
    Replay(Box<ReplayFile>),
    /// A market with an exact optimum.
    Market(Market),
    /// One question with a known answer.
    Probe(ProbeConfig),
}

/// Which of them a file is.
enum Family {
    Replay,
    Market,
    Probe,
}

impl Family {
    fn of(file: &toml::Table) -> Self {
        match file.get("kind").and_then(toml::Value::as_str) {
            Some("replay") => Self::Replay,
            None if file.contains_key("problem") => Self::Probe,
            _ => Self::Market,
        }
    }
}

impl EnvFile {
    /// Reads and checks one with its overrides. Each family is read as what it is, so that its errors name the line.
    pub fn load(path: &Path, sets: &[String]) -> Result<Loaded<Self>, Failure> {
        let source = config::open(path, sets)?;
        let value = match Family::of(&source.read()?) {
            Family::Replay => Self::Replay(source.read()?),
            Family::Market => Self::Market(source.read()?),
            Family::Probe => Self::Probe(source.read()?),
        };
        if let Err((field, sentence)) = value.check() {
            return Err(source.fault(field, sentence).into());
        }
        Ok(Loaded { value, source })
    }

    /// The field at fault (none where it is no single one) and the sentence.
    fn check(&self) -> Result<(), (&'static str, String)> {
        match self {
            Self::Replay(file) => file.check(),
            Self::Market(market) => match market.oracle() {
                Ok(_) => Ok(()),
                Err(error) => Err((error.field(), error.to_string())),
            },
            Self::Probe(probe) => match probe.optimum() {
                Ok(_) => Ok(()),
                Err(error) => Err((error.field(), error.to_string())),
            },
        }
    }
}

impl<'de> Deserialize<'de> for EnvFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let file = toml::Table::deserialize(deserializer)?;
        let read = match Family::of(&file) {
            Family::Replay => file.try_into().map(Self::Replay),
            Family::Market => file.try_into().map(Self::Market),
            Family::Probe => file.try_into().map(Self::Probe),
        };
        read.map_err(D::Error::custom)
    }
}

/// Sessions that are replayed through a demand model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayFile {
    /// `replay`.
    pub kind: ReplayKind,
    /// Its name: the first word of a run's folder.
    pub name: String,
    /// The sessions: a folder with the files of complete-journey, or a session store.
    pub sessions: PathBuf,
    /// The weeks that nobody learns from; policies are valued on them.
    pub held_out_weeks: Weeks,
    /// Members of each demand model's ensemble besides the point estimate.
    #[serde(default = "default_members")]
    pub members: usize,
    /// Root of the random numbers of the demand fits.
    #[serde(default = "default_fit_seed")]
    pub fit_seed: u64,
    /// States that the price effects were only observed, never randomised (identification rungs R0 and R1). Without this
    /// word no policy is trained on such a model.
    #[serde(default)]
    pub accept_confounded: bool,
    /// What agents may do and what they earn.
    pub replay: ReplayConfig,
}

/// The word that tells a replay from a market.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReplayKind {
    /// Logged sessions, answered by a demand model.
    Replay,
}

fn default_members() -> usize {
    8
}

fn default_fit_seed() -> u64 {
    1
}

impl ReplayFile {
    fn check(&self) -> Result<(), (&'static str, String)> {
        if let Err(error) = self.replay.check() {
            return Err((error.field(), error.to_string()));
        }
        let weeks = self.replay.week_range();
        let faults = [
            (
                weeks.end > self.held_out_weeks.range().start,
                "held_out_weeks",
                format!(
                    "held_out_weeks = \"{}\" must lie after replay.weeks = {:?}: a learner must not see the future",
                    self.held_out_weeks, self.replay.weeks
                ),
            ),
            (
                self.replay.reward == Earning::Margin && self.replay.cost_share.is_none(),
                "replay.reward",
                "replay.reward = \"margin\" needs replay.cost_share: the sessions do not say what an item costs".to_owned(),
            ),
            (
                self.members < 8,
                "members",
                format!("members = {}: an ensemble needs at least 8", self.members),
            ),
            (
                !self.accept_confounded,
                "accept_confounded",
                "the price effects of logged sessions are observational (rung R1: promotion and habit are controlled for, \
                 hidden demand is not); say accept_confounded = true to train on them"
                    .to_owned(),
            ),
        ];
        match faults.into_iter().find(|(wrong, ..)| *wrong) {
            Some((_, field, sentence)) => Err((field, sentence)),
            None => Ok(()),
        }
    }
}
