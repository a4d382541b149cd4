//! What a training run is: an environment file and a training file, read together and written back as one.

use crate::config::{self, Loaded};
use crate::failure::{Failure, Kind, OrFail};
use crate::weeks::Weeks;
use anyhow::Context;
use haggle_env::{Credit, Earning, ReplayConfig};
use haggle_learn::{Setting, TrainConfig};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A training file, as in `configs/train/`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainFile {
    /// The environment file, relative to the folder in which haggle is started.
    pub env: PathBuf,
    /// The folder that the run's own folder is created in.
    #[serde(default = "default_runs")]
    pub runs: PathBuf,
    /// How the policy is learnt.
    #[serde(default)]
    pub learner: TrainConfig,
}

fn default_runs() -> PathBuf {
    PathBuf::from("runs")
}

/// An environment file, as in `envs/`: sessions that are replayed through a demand model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvFile {
    /// Which kind of environment it is.
    pub kind: EnvKind,
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

/// The kinds of environment that a file can describe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EnvKind {
    /// Logged sessions, answered by a demand model.
    Replay,
}

fn default_members() -> usize {
    8
}

fn default_fit_seed() -> u64 {
    1
}

/// A training file with its environment file: every value of a run, and what `config.toml` in a run's folder holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The environment.
    pub env: EnvFile,
    /// The learner.
    pub learner: TrainConfig,
    /// The folder that the run's own folder is created in.
    #[serde(skip)]
    pub runs: PathBuf,
}

/// A value with its name and where it came from.
pub type Origin = (String, String, &'static str);

impl Plan {
    /// Reads a training file and the environment file that it names. Overrides that begin with `env.` go to the latter.
    pub fn read(path: &Path, sets: &[String]) -> Result<(Self, Vec<Origin>), Failure> {
        let (env_sets, own_sets): (Vec<String>, Vec<String>) = sets
            .iter()
            .cloned()
            .partition(|set| set.trim_start().starts_with("env."));
        let env_sets: Vec<String> = env_sets
            .iter()
            .map(|set| set.trim_start()["env.".len()..].to_owned())
            .collect();
        let own: Loaded<TrainFile> = config::load(path, &own_sets)?;
        let env: Loaded<EnvFile> = config::load(&own.value.env, &env_sets)?;
        let mut origins = own.origins().or_fail(Kind::Usage)?;
        let inner = env.origins().or_fail(Kind::Usage)?;
        origins.extend(
            inner
                .into_iter()
                .map(|(name, value, origin)| (format!("env.{name}"), value, origin)),
        );
        let plan = Self {
            env: env.value,
            learner: own.value.learner,
            runs: own.value.runs,
        };
        plan.check(path, &own.value.env)?;
        Ok((plan, origins))
    }

    /// Reads the plan that a run's folder keeps.
    pub fn of_run(folder: &Path) -> Result<Self, Failure> {
        let mut plan: Self = config::load(&folder.join("config.toml"), &[])?.value;
        plan.runs = folder.parent().unwrap_or(Path::new(".")).to_owned();
        Ok(plan)
    }

    fn check(&self, train: &Path, env: &Path) -> Result<(), Failure> {
        self.learner
            .validate()
            .with_context(|| train.display().to_string())
            .or_fail(Kind::Usage)?;
        self.env
            .check()
            .with_context(|| env.display().to_string())
            .or_fail(Kind::Usage)?;
        if self.env.replay.credit == Credit::Difference && self.learner.gamma > 0.0 {
            return Err(Failure::say(
                Kind::Usage,
                format!(
                    "{}: learner.gamma = {} and replay.credit = \"difference\" disagree: difference rewards do not see \
                     what a price does to later visits; set gamma = 0 or credit = \"shared\"",
                    train.display(),
                    self.learner.gamma
                ),
            ));
        }
        Ok(())
    }

    /// All values as TOML.
    pub fn to_toml(&self) -> Result<String, Failure> {
        toml::to_string(self).or_fail(Kind::Usage)
    }

    /// All values flattened, for TensorBoard's table of runs.
    pub fn settings(&self) -> Result<Vec<(String, Setting)>, Failure> {
        let rows = config::rows(self).or_fail(Kind::Usage)?;
        Ok(rows
            .into_iter()
            .map(|(name, value)| (name, setting(&value)))
            .collect())
    }
}

fn setting(value: &toml::Value) -> Setting {
    match value {
        toml::Value::Boolean(truth) => Setting::Flag(*truth),
        toml::Value::Integer(number) => Setting::Number(*number as f64),
        toml::Value::Float(number) => Setting::Number(*number),
        toml::Value::String(text) => Setting::Text(text.clone()),
        other => Setting::Text(other.to_string()),
    }
}

impl EnvFile {
    fn check(&self) -> anyhow::Result<()> {
        self.replay.check()?;
        let train = self.replay.week_range();
        let held_out = self.held_out_weeks.range();
        anyhow::ensure!(
            train.end <= held_out.start,
            "held_out_weeks = \"{}\" must lie after replay.weeks = {:?}: a learner must not see the future",
            self.held_out_weeks,
            self.replay.weeks
        );
        anyhow::ensure!(
            self.replay.reward != Earning::Margin || self.replay.cost_share.is_some(),
            "replay.reward = \"margin\" needs replay.cost_share: the sessions do not say what an item costs"
        );
        anyhow::ensure!(
            self.members >= 8,
            "members = {}: an ensemble needs at least 8",
            self.members
        );
        anyhow::ensure!(
            self.accept_confounded,
            "the price effects of logged sessions are observational (rung R1: promotion and habit are controlled for, \
             hidden demand is not); say accept_confounded = true to train on them"
        );
        Ok(())
    }
}
