//! What a training run is: an environment file and a training file, read together and written back as one.

use crate::env_file::{EnvFile, ReplayFile};
use crate::failure::{Failure, Kind, OrFail};
use haggle_config::{Fault, Loaded, Origin, Source};
use haggle_env::Credit;
use haggle_learn::{Setting, Share, TrainConfig, read_facts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A training file, as in `configs/train/`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
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

/// A training file with its environment file: every value of a run, and what `config.toml` in a run's folder holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan<E = EnvFile> {
    /// The environment.
    pub env: E,
    /// The learner.
    pub learner: TrainConfig,
    /// The folder that the run's own folder is created in.
    #[serde(default = "default_runs", skip_serializing)]
    pub runs: PathBuf,
    /// The environment file's name without folder and ending: first word of a market run's folder.
    #[serde(skip)]
    pub env_name: String,
}

/// A plan, where the learner's values stand, and where each value comes from.
type Read = (Plan, Source, Vec<Origin>);

/// What stands in front of the environment file's names where a training file is read.
const IN_ENV: &str = "env.";

impl Plan {
    /// Reads a training file, and the environment file that it names; or a run's own `config.toml`, which holds both. Overrides
    /// that begin with `env.` go to the environment.
    pub fn read(path: &Path, sets: &[String]) -> Result<(Self, Vec<Origin>), Failure> {
        let (env_sets, own_sets): (Vec<String>, Vec<String>) = sets
            .iter()
            .cloned()
            .partition(|set| set.trim_start().starts_with(IN_ENV));
        let file: toml::Table = haggle_config::open(path, &own_sets)?.read()?;
        let (plan, source, origins) = match file.get("env") {
            Some(toml::Value::Table(_)) => Self::whole(path, sets)?,
            _ => Self::of_two_files(path, &own_sets, &env_sets)?,
        };
        plan.learner.validate().map_err(|error| {
            // Of two that disagree, the one that was just asked for.
            let said = |field: &&str| source.origin(&format!("learner.{field}")) == "--set";
            let first = Some(error.field()).filter(said);
            let field = first
                .or(error.other_field().filter(said))
                .unwrap_or(error.field());
            source.fault(&format!("learner.{field}"), format!("learner.{error}"))
        })?;
        plan.check_replay(&source)?;
        Ok((plan, origins))
    }

    /// A training file and its environment file.
    fn of_two_files(path: &Path, own_sets: &[String], env_sets: &[String]) -> Result<Read, Failure> {
        let own: Loaded<TrainFile> = haggle_config::load(path, own_sets)?;
        let env = EnvFile::load_below(&own.value.env, env_sets, IN_ENV)?;
        let mut origins = own.origins().or_fail(Kind::Usage)?;
        let inner = env.origins().or_fail(Kind::Usage)?;
        origins.extend(
            inner
                .into_iter()
                .map(|(name, value, origin)| (format!("{IN_ENV}{name}"), value, origin)),
        );
        let plan = Self {
            env: env.value,
            learner: own.value.learner,
            runs: own.value.runs,
            env_name: stem(&own.value.env),
        };
        Ok((plan, own.source, origins))
    }

    /// A file that holds the environment itself. Beside a run's `run.json` it is named as there, elsewhere by the file.
    fn whole(path: &Path, sets: &[String]) -> Result<Read, Failure> {
        let mut whole: Loaded<Self> = haggle_config::load(path, sets)?;
        whole.value.env.check_in(&whole.source, IN_ENV)?;
        let origins = whole.origins().or_fail(Kind::Usage)?;
        let run = path.parent().and_then(|folder| read_facts(folder).ok());
        whole.value.env_name = run.map_or_else(|| stem(path), |facts| facts.subject.env);
        Ok((whole.value, whole.source, origins))
    }

    /// Reads the plan that a run's folder keeps.
    pub fn of_run(folder: &Path) -> Result<Self, Failure> {
        let (mut plan, ..) = Self::whole(&folder.join("config.toml"), &[])?;
        plan.runs = folder.parent().unwrap_or(Path::new(".")).to_owned();
        Ok(plan)
    }

    /// What replayed sessions forbid: the daemon serves one network that sees what it encodes itself.
    fn check_replay(&self, source: &Source) -> Result<(), Fault> {
        let EnvFile::Replay(env) = &self.env else {
            return Ok(());
        };
        let learner = &self.learner;
        if env.replay.credit == Credit::Difference && learner.gamma > 0.0 {
            let sentence = format!(
                "learner.gamma = {} and replay.credit = \"difference\" disagree: difference rewards do not see what a \
                 price does to later visits; set gamma = 0 or credit = \"shared\"",
                learner.gamma
            );
            return Err(source.fault("learner.gamma", sentence));
        }
        let other = [
            (learner.share != Share::All, "learner.share"),
            (learner.agent_id, "learner.agent_id"),
            (learner.memory > 0, "learner.memory"),
        ];
        match other.into_iter().find(|(other, _)| *other) {
            Some((_, field)) => Err(source.fault(
                field,
                "replayed sessions need learner.share = \"all\", agent_id = false and memory = 0: a daemon serves one \
                 network, which sees what the daemon encodes",
            )),
            None => Ok(()),
        }
    }

    /// The plan of a run on replayed sessions.
    pub fn replay(&self) -> Result<Plan<ReplayFile>, Failure> {
        let EnvFile::Replay(env) = &self.env else {
            let sentence =
                "this needs a run on replayed sessions (kind = \"replay\"); its environment is a market";
            return Err(Failure::say(Kind::Usage, sentence));
        };
        Ok(self.in_env((**env).clone()))
    }
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

impl<E: Serialize> Plan<E> {
    /// The same learner in another environment.
    pub fn in_env<F>(&self, env: F) -> Plan<F> {
        Plan {
            env,
            learner: self.learner.clone(),
            runs: self.runs.clone(),
            env_name: self.env_name.clone(),
        }
    }

    /// All values as TOML.
    pub fn to_toml(&self) -> Result<String, Failure> {
        toml::to_string(self).or_fail(Kind::Usage)
    }

    /// All values flattened, for TensorBoard's table of runs.
    pub fn settings(&self) -> Result<Vec<(String, Setting)>, Failure> {
        let rows = haggle_config::rows(self).or_fail(Kind::Usage)?;
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
