use crate::LearnError;
use crate::checkpoints::set_aside_after;
use crate::error::io;
use crate::events::{EventWriter, Setting};
use crate::machine::libtorch_version;
use crate::metrics_file::MetricsFile;
use crate::metrics_file::replace;
use crate::progress::Metrics;
use crate::run_facts::{Change, Divergence, Resumption, RunFacts, RunStatus, RunSubject, read_facts};
use crate::run_name::{point_latest, unique_name};
use haggle_core::Digest;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

const CONFIG: &str = "config.toml";
const LOCK: &str = "lock";
/// Results that TensorBoard's table of runs shows beside the settings.
const RESULTS: [&str; 4] = [
    "eval/mean_reward",
    "rollout/ep_rew_mean",
    "pricing/price_index",
    "time/fps",
];

/// A run's folder while the run writes into it.
#[derive(Debug)]
pub struct Run {
    folder: PathBuf,
    facts: RunFacts,
    metrics: MetricsFile,
    events: EventWriter,
    _lock: File,
}

/// A run's folder for one process alone, for as long as the file stays open.
///
/// # Errors
/// When another process has it, or the file cannot be made.
pub fn lock_run(folder: &Path) -> Result<File, LearnError> {
    let path = folder.join(LOCK);
    let lock = File::create(&path).map_err(io("create", &path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(LearnError::Busy {
            folder: folder.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(io("lock", &path)(error)),
    }
}

/// Whether a process has a run's folder for itself.
pub(crate) fn is_locked(folder: &Path) -> bool {
    let lock = File::open(folder.join(LOCK));
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

impl Run {
    /// Makes `<parent>/<env>__<algorithm>__s<seed>__<utc>-<id>/` with its subfolders, and points `<parent>/latest` at it.
    /// `config_toml` is every value after defaults; `settings` the same, flattened, for TensorBoard.
    ///
    /// # Errors
    /// When something cannot be written, or the folder exists already.
    pub fn create(
        parent: &Path,
        subject: RunSubject,
        config_toml: &str,
        settings: &[(String, Setting)],
    ) -> Result<Self, LearnError> {
        let folder = parent.join(unique_name(&subject.title()));
        let run = Self::create_at(&folder, subject, config_toml, settings)?;
        point_latest(parent, &folder)?;
        Ok(run)
    }

    /// Makes a run's folder under a name that the caller chose; `latest` is not touched.
    ///
    /// # Errors
    /// When something cannot be written, or the folder exists already and is not empty.
    pub fn create_at(
        folder: &Path,
        subject: RunSubject,
        config_toml: &str,
        settings: &[(String, Setting)],
    ) -> Result<Self, LearnError> {
        let name = folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        fs::create_dir_all(folder).map_err(io("create", folder))?;
        let lock = lock_run(folder)?;
        for part in ["tb", "checkpoints", "bundles", "eval"] {
            fs::create_dir(folder.join(part)).map_err(io("create", folder.join(part)))?;
        }
        fs::write(folder.join(CONFIG), config_toml).map_err(io("write", folder.join(CONFIG)))?;
        let facts = RunFacts::begin(name, subject);
        let metrics = MetricsFile::open(folder)?;
        let mut run = Self::open(folder, facts, metrics, lock)?;
        run.write_facts()?;
        run.events.settings(&run.facts.name, settings, &RESULTS);
        run.events
            .text("config", &format!("```toml\n{config_toml}\n```"), 0);
        Ok(run)
    }

    /// Goes on in an existing folder: a new event file beside the old ones, metrics after `steps` cut off, so that
    /// nothing is told twice, and later checkpoints set aside.
    ///
    /// # Errors
    /// When the folder is no run, cannot be written, or another process trains in it.
    pub fn resume(folder: &Path, steps: u64) -> Result<Self, LearnError> {
        let mut facts = read_facts(folder)?;
        let lock = lock_run(folder)?;
        facts.status = RunStatus::Running;
        facts.steps = steps;
        set_aside_after(folder, steps)?;
        let metrics = MetricsFile::resume(folder, steps)?;
        let run = Self::open(folder, facts, metrics, lock)?;
        run.write_facts()?;
        Ok(run)
    }

    fn open(folder: &Path, facts: RunFacts, metrics: MetricsFile, lock: File) -> Result<Self, LearnError> {
        let events = EventWriter::create(&folder.join("tb"));
        Ok(Self {
            events: events.map_err(io("create events in", folder.join("tb")))?,
            folder: folder.to_owned(),
            facts,
            metrics,
            _lock: lock,
        })
    }

    /// Notes from which checkpoint it goes on, and with which values: `config_toml` is every one of them, `changes` are those
    /// that were others before.
    ///
    /// # Errors
    /// When `config.toml` or `run.json` cannot be written.
    pub fn goes_on(
        &mut self,
        checkpoint: &Path,
        config_toml: &str,
        changes: Vec<Change>,
    ) -> Result<(), LearnError> {
        let steps = self.facts.steps;
        self.facts
            .resumed
            .push(Resumption::now(steps, checkpoint, changes));
        self.write_facts()?;
        replace(&self.folder.join(CONFIG), config_toml.as_bytes())?;
        let text = format!("```toml\n{config_toml}\n```");
        self.events.text("config", &text, steps);
        Ok(())
    }

    /// Notes that it diverged, and where the state before that is kept.
    ///
    /// # Errors
    /// When `run.json` cannot be written.
    pub(crate) fn diverged(&mut self, divergence: Divergence) -> Result<(), LearnError> {
        self.facts.diverged.push(divergence);
        self.write_facts()
    }

    /// Notes the bundle that it wrote last; on disk it is noted when the run is closed.
    pub fn wrote(&mut self, bundle: Digest) {
        self.facts.bundle = Some(bundle);
    }

    /// Notes where gradient steps run.
    ///
    /// # Errors
    /// When `run.json` cannot be written.
    pub fn runs_on(&mut self, device: String) -> Result<(), LearnError> {
        self.facts.device = Some(device);
        self.facts.libtorch = libtorch_version();
        self.write_facts()
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where it comes from.
    #[must_use]
    pub fn facts(&self) -> &RunFacts {
        &self.facts
    }

    /// Where checkpoints go.
    #[must_use]
    pub fn checkpoints(&self) -> PathBuf {
        self.folder.join("checkpoints")
    }

    /// Where bundles go.
    #[must_use]
    pub fn bundles(&self) -> PathBuf {
        self.folder.join("bundles")
    }

    /// One line of `metrics.jsonl`, and the same scalars as TensorBoard events.
    ///
    /// # Errors
    /// When the line cannot be written.
    pub fn record(&mut self, step: u64, scalars: &Metrics) -> Result<(), LearnError> {
        self.metrics.append(step, scalars)?;
        for (tag, value) in scalars {
            self.events.scalar(tag, *value, step);
        }
        self.facts.steps = self.facts.steps.max(step);
        Ok(())
    }

    /// How often each agent chose each rung, as TensorBoard histograms.
    pub fn record_rungs(&mut self, step: u64, counts: &[Vec<f64>]) {
        for (agent, counts) in counts.iter().enumerate() {
            self.events.counts(&format!("agents/{agent}/rung"), counts, step);
        }
    }

    /// Closes the run. Returns a warning when TensorBoard events were lost.
    ///
    /// # Errors
    /// When `run.json` cannot be written.
    pub fn finish(mut self, status: RunStatus) -> Result<Option<String>, LearnError> {
        self.facts.status = status;
        self.write_facts()?;
        Ok(self.events.finish(status == RunStatus::Finished))
    }

    fn write_facts(&self) -> Result<(), LearnError> {
        self.facts.write(&self.folder)
    }
}

#[cfg(test)]
mod tests;
