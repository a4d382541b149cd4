//! Other people's learners, as Python programs in a folder: each prints one line of JSON with its `steps_per_s`.

use crate::failure::{Failure, Kind, OrFail};
use anyhow::Context;
use haggle_learn::TrainConfig;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the name of a peer's program ends with.
const ENDING: &str = "_ppo.py";

/// The peers of a folder, by the names of their programs.
#[derive(Debug)]
pub struct Peers {
    folder: PathBuf,
    python: PathBuf,
    names: Vec<String>,
}

impl Peers {
    /// The programs in `folder`, none without one.
    ///
    /// # Errors
    /// When the folder holds none, or there is no Python to run them.
    pub fn find(folder: Option<&Path>, python: &Path) -> Result<Self, Failure> {
        let Some(folder) = folder else {
            return Ok(Self {
                folder: PathBuf::new(),
                python: PathBuf::new(),
                names: Vec::new(),
            });
        };
        let entries = std::fs::read_dir(folder)
            .with_context(|| format!("cannot read the folder of peers {}", folder.display()))
            .or_fail(Kind::Usage)?;
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter_map(|name| name.strip_suffix(ENDING).map(str::to_owned))
            .collect();
        names.sort_unstable();
        if names.is_empty() {
            let sentence = format!(
                "{} holds no program whose name ends with {ENDING}",
                folder.display()
            );
            return Err(Failure::say(Kind::Usage, sentence));
        }
        if !python.is_file() {
            let sentence = format!(
                "there is no Python at {}; make one with `python3 -m venv .peers` and `.peers/bin/pip install torch==2.11.0 \
                 stable-baselines3==2.9.2 jax==0.10.2 optax`, or name another with --python",
                python.display()
            );
            return Err(Failure::say(Kind::Usage, sentence));
        }
        Ok(Self {
            folder: folder.to_owned(),
            python: python.to_owned(),
            names,
        })
    }

    /// The programs' names without their common ending.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Trains a peer with these settings and returns its environment steps per second, by its own clock: without process
    /// start, compilation and evaluation.
    ///
    /// # Errors
    /// When the program fails or does not print what is expected.
    pub fn steps_per_second(&self, name: &str, config: &TrainConfig) -> Result<f64, Failure> {
        let program = self.folder.join(format!("{name}{ENDING}"));
        let mut command = Command::new(&self.python);
        command.arg(&program);
        let settings = [
            ("--steps", config.steps.to_string()),
            ("--envs", config.copies.to_string()),
            ("--rollout", config.horizon.to_string()),
            ("--minibatch", config.minibatch_rows.to_string()),
            ("--epochs", config.epochs.to_string()),
            ("--lr", config.learning_rate.start.to_string()),
            ("--ent", config.entropy.start.to_string()),
            ("--threads", config.threads.to_string()),
            ("--eval-every", u32::MAX.to_string()),
        ];
        command.args(settings.iter().flat_map(|(name, value)| [*name, value.as_str()]));
        command.env("OMP_NUM_THREADS", config.threads.to_string());
        let told = command
            .output()
            .with_context(|| format!("cannot start {}", self.python.display()))
            .or_fail(Kind::Usage)?;
        let text = String::from_utf8_lossy(&told.stdout);
        let line = text.lines().last().unwrap_or_default();
        let result: Option<serde_json::Value> = serde_json::from_str(line).ok();
        let speed = result
            .as_ref()
            .and_then(|result| result.get("steps_per_s")?.as_f64());
        speed.ok_or_else(|| {
            let errors = String::from_utf8_lossy(&told.stderr);
            let last = errors.lines().last().unwrap_or("it printed no steps_per_s");
            Failure::say(Kind::Data, format!("{}: {last}", program.display()))
        })
    }
}
