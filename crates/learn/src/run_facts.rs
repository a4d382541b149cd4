//! `run.json`: where a run comes from and how it stands.

use crate::LearnError;
use crate::error::io;
use crate::metrics_file::replace;
use haggle_core::Digest;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;
use std::process::Command;

pub(crate) const FACTS: &str = "run.json";
/// The program with its version, as runs and bundles name it.
pub const PROGRAM: &str = concat!("haggle ", env!("CARGO_PKG_VERSION"));
const STARTED: &str = "%Y-%m-%dT%H:%M:%SZ";

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

impl RunSubject {
    /// What stands in front of the names of all runs that are about it, and in the bundles that they make: two runs that
    /// learn the same make the same bundle.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{}__{}__s{}", self.env, self.algorithm, self.seed)
    }
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
    /// Where gradient steps run, in words.
    #[serde(default)]
    pub device: Option<String>,
    /// The version of libtorch, where it says so itself.
    #[serde(default)]
    pub libtorch: Option<String>,
    /// The bundle that it wrote last.
    #[serde(default)]
    pub bundle: Option<Digest>,
    /// Every time that it went on from a checkpoint.
    #[serde(default)]
    pub resumed: Vec<Resumption>,
    /// Every time that it diverged.
    #[serde(default)]
    pub diverged: Vec<Divergence>,
}

/// How a run went on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resumption {
    /// Environment steps done before.
    pub steps: u64,
    /// The checkpoint's file name.
    pub checkpoint: String,
    /// When, UTC, `2026-04-12T09:15:00Z`.
    pub started: String,
    /// The command line.
    pub argv: Vec<String>,
    /// What was set otherwise before.
    pub changes: Vec<Change>,
}

/// A setting that a run has another value of than before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Its dotted name.
    pub field: String,
    /// The value before, as TOML.
    pub old: String,
    /// The value from then on, as TOML.
    pub new: String,
}

/// How a run diverged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Divergence {
    /// The update, from 1.
    pub update: u64,
    /// Environment steps done before it.
    pub steps: u64,
    /// The quantity that was not finite.
    pub what: String,
    /// File name of the checkpoint that holds the state before it.
    pub checkpoint: String,
}

impl Resumption {
    pub(crate) fn now(steps: u64, checkpoint: &Path, changes: Vec<Change>) -> Self {
        Self {
            steps,
            checkpoint: file_name(checkpoint),
            started: now(),
            argv: std::env::args().collect(),
            changes,
        }
    }
}

impl RunFacts {
    /// Of a run that begins now, on this machine.
    pub(crate) fn begin(name: String, subject: RunSubject) -> Self {
        Self {
            name,
            subject,
            status: RunStatus::Running,
            steps: 0,
            started: now(),
            program: PROGRAM.to_owned(),
            revision: git(&["rev-parse", "HEAD"]),
            dirty: git(&["status", "--porcelain"]).map(|changes| !changes.is_empty()),
            host: host_name(),
            argv: std::env::args().collect(),
            device: None,
            libtorch: None,
            bundle: None,
            resumed: Vec::new(),
            diverged: Vec::new(),
        }
    }

    pub(crate) fn write(&self, folder: &Path) -> Result<(), LearnError> {
        let path = folder.join(FACTS);
        let mut bytes = serde_json::to_vec_pretty(self)
            .map_err(std::io::Error::other)
            .map_err(io("write", &path))?;
        bytes.push(b'\n');
        replace(&path, &bytes)
    }
}

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    /// Under way; or, where nobody holds its lock, ended without a word: such a run is listed as interrupted.
    Running,
    /// All steps done.
    Finished,
    /// Stopped after a checkpoint.
    Interrupted,
    /// Ended by an error.
    Failed,
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

fn now() -> String {
    jiff::Timestamp::now().strftime(STARTED).to_string()
}

/// The last part of a path.
pub(crate) fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
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
