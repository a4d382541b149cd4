//! The runs of a folder.

use crate::LearnError;
use crate::error::io;
use crate::metrics_file::{last_metrics, last_step};
use crate::progress::Metrics;
use crate::run::is_locked;
use crate::run_facts::{FACTS, RunFacts, RunStatus, read_facts};
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};

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
/// passed over, and so are [`damaged_runs`].
///
/// # Errors
/// When the folder cannot be read.
pub fn list_runs(parent: &Path) -> Result<Vec<ListedRun>, LearnError> {
    let mut runs: Vec<ListedRun> = candidates(parent)?
        .iter()
        .filter_map(|folder| listed(folder))
        .collect();
    runs.sort_by(|a, b| (&a.facts.started, &a.folder).cmp(&(&b.facts.started, &b.folder)));
    Ok(runs)
}

/// The runs of a folder whose `run.json` cannot be read, and why not; by name.
///
/// # Errors
/// When the folder cannot be read.
pub fn damaged_runs(parent: &Path) -> Result<Vec<(PathBuf, LearnError)>, LearnError> {
    let mut damaged: Vec<(PathBuf, LearnError)> = candidates(parent)?
        .into_iter()
        .filter_map(|folder| read_facts(&folder).err().map(|why| (folder, why)))
        .collect();
    damaged.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(damaged)
}

/// The folders that hold a `run.json`, here or one below.
fn candidates(parent: &Path) -> Result<Vec<PathBuf>, LearnError> {
    let mut found = Vec::new();
    for folder in folders(parent)? {
        if is_run(&folder) {
            found.push(folder);
        } else {
            let group = folders(&folder).unwrap_or_default();
            found.extend(group.into_iter().filter(|folder| is_run(folder)));
        }
    }
    Ok(found)
}

fn is_run(folder: &Path) -> bool {
    folder.join(FACTS).exists()
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
    if facts.status == RunStatus::Running && !is_locked(folder) {
        facts.status = RunStatus::Interrupted; // by a kill, which leaves no word
    }
    Some(ListedRun {
        folder: folder.to_owned(),
        facts,
        metrics,
        age_s,
    })
}
