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
}

impl RunFacts {
    /// Of a run that begins now, on this machine.
    pub(crate) fn begin(name: String, subject: RunSubject) -> Self {
        Self {
            name,
            subject,
            status: RunStatus::Running,
            steps: 0,
            started: jiff::Timestamp::now().strftime(STARTED).to_string(),
            program: concat!("haggle ", env!("CARGO_PKG_VERSION")).to_owned(),
            revision: git(&["rev-parse", "HEAD"]),
            dirty: git(&["status", "--porcelain"]).map(|changes| !changes.is_empty()),
            host: host_name(),
            argv: std::env::args().collect(),
            device: None,
            libtorch: None,
            bundle: None,
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

/// Notes the bundle that a run wrote last.
///
/// # Errors
/// When `run.json` cannot be read or written.
pub fn record_bundle(folder: &Path, bundle: Digest) -> Result<(), LearnError> {
    let mut facts = read_facts(folder)?;
    facts.bundle = Some(bundle);
    facts.write(folder)
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
