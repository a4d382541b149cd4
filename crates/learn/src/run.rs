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
        let stem = format!("{}__{}__s{}", subject.env, subject.algorithm, subject.seed);
        let folder = parent.join(unique_name(&stem));
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

    /// Where evaluations go.
    #[must_use]
    pub fn evaluations(&self) -> PathBuf {
        self.folder.join("eval")
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
mod tests {
    use super::*;
    use crate::list_runs;

    fn subject() -> RunSubject {
        RunSubject {
            env: "one-price".into(),
            algorithm: "mappo".into(),
            seed: 3,
            data: vec![("store".into(), Digest::of(b"rows"))],
        }
    }

    #[test]
    fn a_run_explains_itself_and_is_listed() {
        let parent = tempfile::tempdir().expect("a folder");
        let mut run = Run::create(parent.path(), subject(), "gamma = 0.9\n", &[]).expect("a run");
        run.record(64, &Metrics::from([("time/fps".to_owned(), 5.0)]))
            .expect("a line");
        let folder = run.folder().to_owned();
        assert_eq!(run.finish(RunStatus::Finished).expect("finished"), None);
        let text = fs::read_to_string(folder.join("metrics.jsonl")).expect("metrics");
        assert_eq!(text, "{\"step\":64,\"time/fps\":5.0}\n");
        let runs = list_runs(parent.path()).expect("a list");
        assert_eq!(
            (runs.len(), runs[0].facts.status, runs[0].facts.steps),
            (1, RunStatus::Finished, 64)
        );
        assert!(runs[0].facts.name.starts_with("one-price__mappo__s3__"));
        let latest = fs::canonicalize(parent.path().join("latest")).expect("the link");
        assert_eq!(latest, fs::canonicalize(folder).expect("the folder"));
    }

    #[test]
    fn runs_of_a_group_are_listed_with_their_last_numbers() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = parent.path().join("group/s3");
        let mut run = Run::create_at(&folder, subject(), "", &[]).expect("a run");
        for (step, value) in [(64, 5.0), (128, 6.0)] {
            run.record(step, &Metrics::from([("a".to_owned(), value)]))
                .expect("a line");
        }
        run.record(128, &Metrics::from([("b".to_owned(), 1.0)]))
            .expect("a line");
        let runs = list_runs(parent.path()).expect("a list");
        assert_eq!(
            (runs.len(), runs[0].facts.steps, runs[0].facts.name.as_str()),
            (1, 128, "s3")
        );
        assert_eq!(
            runs[0].metrics,
            Metrics::from([("a".to_owned(), 6.0), ("b".to_owned(), 1.0)])
        );
        assert!(
            Run::create_at(&folder, subject(), "", &[]).is_err(),
            "a run is never written over another"
        );
    }

    #[test]
    fn resuming_forgets_what_came_after_the_checkpoint() {
        let parent = tempfile::tempdir().expect("a folder");
        let mut run = Run::create(parent.path(), subject(), "", &[]).expect("a run");
        for step in [64, 128, 192] {
            run.record(step, &Metrics::new()).expect("a line");
        }
        let folder = run.folder().to_owned();
        run.finish(RunStatus::Interrupted).expect("finished");
        let mut run = Run::resume(&folder, 128).expect("resumed");
        run.record(192, &Metrics::from([("a".to_owned(), 1.0)]))
            .expect("a line");
        let text = fs::read_to_string(folder.join("metrics.jsonl")).expect("metrics");
        assert_eq!(text, "{\"step\":64}\n{\"step\":128}\n{\"step\":192,\"a\":1.0}\n");
        assert!(Run::resume(parent.path(), 0).is_err());
    }
}
