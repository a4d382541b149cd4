use crate::error::io;
use crate::events::{EventWriter, Setting};
use crate::progress::Metrics;
use crate::{Checkpoint, LearnError};
use haggle_core::Digest;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

const CONFIG: &str = "config.toml";
const FACTS: &str = "run.json";
const METRICS: &str = "metrics.jsonl";
const LATEST: &str = "latest";
const STARTED: &str = "%Y-%m-%dT%H:%M:%SZ";
/// Results that TensorBoard's table of runs shows beside the settings.
const RESULTS: [&str; 4] = [
    "eval/mean_reward",
    "rollout/ep_rew_mean",
    "pricing/price_index",
    "time/fps",
];

/// What a run is about; decides its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSubject {
    /// The environment, e.g. `replay`.
    pub env: String,
    /// The algorithm, e.g. `mappo`.
    pub algorithm: String,
    /// Root seed.
    pub seed: u64,
    /// What it learns from: name and digest.
    pub data: Vec<(String, Digest)>,
}

/// `run.json`: where a run comes from and how it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunFacts {
    /// Its name: that of its folder.
    pub name: String,
    /// What it is about.
    pub subject: RunSubject,
    /// How it stands.
    pub status: RunStatus,
    /// Environment steps done, as of the last change of status.
    pub steps: u64,
    /// When it began, UTC, `2026-04-12T09:15:00Z`.
    pub started: String,
    /// The program with its version.
    pub program: String,
    /// Revision of the source tree it was started in; none outside one.
    pub revision: Option<String>,
    /// Whether that tree had uncommitted changes.
    pub dirty: Option<bool>,
    /// Name of the machine.
    pub host: String,
    /// The command line.
    pub argv: Vec<String>,
}

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    /// Under way, or ended without a word.
    Running,
    /// All steps done.
    Finished,
    /// Stopped after a checkpoint.
    Interrupted,
    /// Ended by an error.
    Failed,
}

/// A run's folder while the run writes into it.
#[derive(Debug)]
pub struct Run {
    folder: PathBuf,
    facts: RunFacts,
    metrics: File,
    events: EventWriter,
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
        point_latest(parent, &run.facts.name)?;
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
        for part in ["tb", "checkpoints", "bundles", "eval"] {
            fs::create_dir(folder.join(part)).map_err(io("create", folder.join(part)))?;
        }
        fs::write(folder.join(CONFIG), config_toml).map_err(io("write", folder.join(CONFIG)))?;
        let facts = RunFacts {
            subject,
            status: RunStatus::Running,
            steps: 0,
            started: jiff::Timestamp::now().strftime(STARTED).to_string(),
            program: concat!("haggle ", env!("CARGO_PKG_VERSION")).to_owned(),
            revision: git(&["rev-parse", "HEAD"]),
            dirty: git(&["status", "--porcelain"]).map(|changes| !changes.is_empty()),
            host: host_name(),
            argv: std::env::args().collect(),
            name,
        };
        let mut run = Self::open_files(folder.to_owned(), facts)?;
        run.write_facts()?;
        run.events.settings(&run.facts.name, settings, &RESULTS);
        run.events
            .text("config", &format!("```toml\n{config_toml}\n```"), 0);
        Ok(run)
    }

    /// Goes on in an existing folder: a new event file beside the old ones, metrics after `steps` cut off, so that
    /// nothing is told twice.
    ///
    /// # Errors
    /// When the folder is no run or cannot be written.
    pub fn resume(folder: &Path, steps: u64) -> Result<Self, LearnError> {
        let mut facts = read_facts(folder)?;
        facts.status = RunStatus::Running;
        let path = folder.join(METRICS);
        let old = fs::read_to_string(&path).map_err(io("read", &path))?;
        let of = |line: &str| serde_json::from_str::<Line>(line).ok().map(|line| line.step);
        let kept: Vec<&str> = old
            .lines()
            .filter(|line| of(line).is_some_and(|step| step <= steps))
            .collect();
        let mut text = kept.join("\n");
        if !text.is_empty() {
            text.push('\n');
        }
        replace(&path, text.as_bytes())?;
        let run = Self::open_files(folder.to_owned(), facts)?;
        run.write_facts()?;
        Ok(run)
    }

    fn open_files(folder: PathBuf, facts: RunFacts) -> Result<Self, LearnError> {
        let path = folder.join(METRICS);
        let metrics = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(io("open", &path))?;
        let events =
            EventWriter::create(&folder.join("tb")).map_err(io("create events in", folder.join("tb")))?;
        Ok(Self {
            folder,
            facts,
            metrics,
            events,
        })
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
        let line = Line {
            step,
            scalars: scalars.clone(),
        };
        let written = serde_json::to_vec(&line)
            .map_err(std::io::Error::other)
            .and_then(|mut bytes| {
                bytes.push(b'\n');
                self.metrics.write_all(&bytes)
            });
        written.map_err(io("write", self.folder.join(METRICS)))?;
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

    /// A text for TensorBoard, in Markdown.
    pub fn record_text(&mut self, tag: &str, markdown: &str, step: u64) {
        self.events.text(tag, markdown, step);
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
        let path = self.folder.join(FACTS);
        let mut bytes = serde_json::to_vec_pretty(&self.facts)
            .map_err(std::io::Error::other)
            .map_err(io("write", &path))?;
        bytes.push(b'\n');
        replace(&path, &bytes)
    }
}

#[derive(Serialize, Deserialize)]
struct Line {
    step: u64,
    #[serde(flatten)]
    scalars: Metrics,
}

/// The newest checkpoint of a run's folder.
///
/// # Errors
/// When the folder cannot be read or has none.
pub fn latest_checkpoint(folder: &Path) -> Result<PathBuf, LearnError> {
    let folder = folder.join("checkpoints");
    let none = || std::io::Error::new(ErrorKind::NotFound, "no checkpoint was written");
    Checkpoint::list(&folder)?
        .pop()
        .ok_or_else(none)
        .map_err(io("resume from", &folder))
}

/// `run.json` of a run's folder.
///
/// # Errors
/// When it cannot be read or is none.
pub fn read_facts(folder: &Path) -> Result<RunFacts, LearnError> {
    let path = folder.join(FACTS);
    let bytes = fs::read(&path).map_err(io("read", &path))?;
    serde_json::from_slice(&bytes)
        .map_err(std::io::Error::other)
        .map_err(io("understand", &path))
}

/// The last value of every tag in a run's `metrics.jsonl`; empty where nothing was recorded yet.
#[must_use]
pub fn last_metrics(folder: &Path) -> Metrics {
    let text = fs::read_to_string(folder.join(METRICS)).unwrap_or_default();
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Line>(line).ok());
    lines.flat_map(|line| line.scalars).collect()
}

/// A run as it stands in a list.
#[derive(Clone, Debug, Serialize)]
pub struct ListedRun {
    /// Its folder.
    pub folder: PathBuf,
    /// Where it comes from.
    #[serde(flatten)]
    pub facts: RunFacts,
    /// The last value of every tag.
    pub metrics: Metrics,
    /// Seconds since it began.
    pub age_s: i64,
}

/// All runs of a folder and of the groups in it (several seeds, a sweep), oldest first. Folders that are no runs are
/// passed over.
///
/// # Errors
/// When the folder cannot be read.
pub fn list_runs(parent: &Path) -> Result<Vec<ListedRun>, LearnError> {
    let mut runs = Vec::new();
    for folder in folders(parent)? {
        if let Some(run) = listed(&folder) {
            runs.push(run);
        } else {
            let group = folders(&folder).unwrap_or_default();
            runs.extend(group.iter().filter_map(|folder| listed(folder)));
        }
    }
    runs.sort_by(|a, b| (&a.facts.started, &a.folder).cmp(&(&b.facts.started, &b.folder)));
    Ok(runs)
}

/// The folders in a folder; links (`latest`) are none.
fn folders(parent: &Path) -> Result<Vec<PathBuf>, LearnError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(parent).map_err(io("read", parent))? {
        let entry = entry.map_err(io("read", parent))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn listed(folder: &Path) -> Option<ListedRun> {
    let mut facts = read_facts(folder).ok()?;
    let metrics = last_metrics(folder);
    let began: Option<jiff::Timestamp> = facts.started.parse().ok();
    let age_s = began.map_or(0, |began| jiff::Timestamp::now().as_second() - began.as_second());
    facts.steps = facts.steps.max(last_step(folder)); // `run.json` is written only when the status changes
    Some(ListedRun {
        folder: folder.to_owned(),
        facts,
        metrics,
        age_s,
    })
}

fn last_step(folder: &Path) -> u64 {
    let text = fs::read_to_string(folder.join(METRICS)).unwrap_or_default();
    let last = text
        .lines()
        .rev()
        .find_map(|line| serde_json::from_str::<Line>(line).ok());
    last.map_or(0, |line| line.step)
}

/// `<stem>__<utc>-<id>`: a name that no other folder has.
#[must_use]
pub fn unique_name(stem: &str) -> String {
    let now = jiff::Timestamp::now();
    let id = Digest::of_parts(&[
        &now.as_nanosecond().to_le_bytes(),
        &std::process::id().to_le_bytes(),
        stem.as_bytes(),
    ]);
    format!("{stem}__{}-{}", now.strftime("%Y%m%d-%H%M%S"), &id.short()[..4])
}

/// Writes a file whole or not at all.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), LearnError> {
    let draft = path.with_extension("draft");
    fs::write(&draft, bytes)
        .and_then(|()| fs::rename(&draft, path))
        .map_err(io("write", path))
}

fn point_latest(parent: &Path, name: &str) -> Result<(), LearnError> {
    let link = parent.join(LATEST);
    let draft = parent.join(format!(".{LATEST}.{}", std::process::id()));
    let swap = || {
        std::os::unix::fs::symlink(name, &draft)?;
        fs::rename(&draft, &link)
    };
    swap().map_err(io("link", &link))
}

/// What git says, where there is git and a repository.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() {
        "unknown".to_owned()
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let text = fs::read_to_string(folder.join(METRICS)).expect("metrics");
        assert_eq!(text, "{\"step\":64,\"time/fps\":5.0}\n");
        let runs = list_runs(parent.path()).expect("a list");
        assert_eq!(
            (runs.len(), runs[0].facts.status, runs[0].facts.steps),
            (1, RunStatus::Finished, 64)
        );
        assert!(runs[0].facts.name.starts_with("one-price__mappo__s3__"));
        let latest = fs::canonicalize(parent.path().join(LATEST)).expect("the link");
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
        let text = fs::read_to_string(folder.join(METRICS)).expect("metrics");
        assert_eq!(text, "{\"step\":64}\n{\"step\":128}\n{\"step\":192,\"a\":1.0}\n");
        assert!(Run::resume(parent.path(), 0).is_err());
    }
}
