//! The archive: what is known of decisions that nothing is waited for any more, in files beside the checkpoint.
//!
//! It is a row of runs ([`Run`]), oldest first: files that are never changed. Each checkpoint appends one with what is new, and
//! a run that is not at least twice as long as the one after it is merged with it: so there are few of them, and what a checkpoint
//! costs goes with what is new. Whoever changes an archived decision appends it again: the newest run's entry counts. The
//! checkpoint names its runs; a file that it does not name was written for one that never came about.

mod run;

use crate::known::Known;
use haggle_core::Digest;
use run::{Named, Run};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An archived decision.
#[derive(Debug, Serialize, Deserialize)]
pub struct Archived {
    /// Its id.
    pub id: String,
    /// What is known of it.
    pub known: Known,
    /// The policy that made it.
    pub policy: Digest,
    /// Number of the record that changed it last.
    #[serde(skip)]
    pub touched: u64,
}

/// What a checkpoint says of its archive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    runs: Vec<Named>,
    number: u64,
    horizon: u64,
}

/// The archive as it is at one checkpoint; a clone goes on seeing it so.
#[derive(Clone, Debug)]
pub struct Archive {
    folder: PathBuf,
    runs: Vec<Arc<Run>>,
    /// Of the next file: none is written over one that a checkpoint may name.
    number: u64,
    /// Decisions that were changed last by a record before this one are here no more.
    horizon: u64,
}

impl Archive {
    /// A new one in a folder, without entries.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            runs: Vec::new(),
            number: 0,
            horizon: 0,
        }
    }

    /// The one that a checkpoint names. Files that are open in `known` are not read again, all of every other one is.
    ///
    /// # Errors
    /// When a file cannot be read, or is not the one that was written.
    pub fn open(folder: &Path, contents: Contents, known: Option<&Self>) -> io::Result<Self> {
        let open = |named: Named| {
            let known = known.and_then(|known| known.runs.iter().find(|run| run.named == named));
            known.map_or_else(
                || Run::open(folder, named).map(Arc::new),
                |run| Ok(Arc::clone(run)),
            )
        };
        let runs = contents.runs.into_iter().map(open);
        Ok(Self {
            folder: folder.to_owned(),
            runs: runs.collect::<io::Result<_>>()?,
            number: contents.number,
            horizon: contents.horizon,
        })
    }

    /// What a checkpoint says of it.
    #[must_use]
    pub fn contents(&self) -> Contents {
        Contents {
            runs: self.runs.iter().map(|run| run.named).collect(),
            number: self.number,
            horizon: self.horizon,
        }
    }

    /// Decisions that were changed last by a record before this one are here no more.
    #[must_use]
    pub fn horizon(&self) -> u64 {
        self.horizon
    }

    /// Entries in its files, also those that are hidden: 16 bytes of memory each.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.runs.iter().map(|run| run.named.entries).sum()
    }

    /// What is known of a decision. A decision that is not here costs no look at the disk.
    ///
    /// # Errors
    /// When its entry is damaged, or another one lies in its place.
    pub fn find(&self, id: &str) -> io::Result<Option<Archived>> {
        let hash = hash_of(id);
        for run in self.runs.iter().rev() {
            if let Some(archived) = run.find(id, hash)? {
                return Ok((archived.touched >= self.horizon).then_some(archived));
            }
        }
        Ok(None)
    }

    /// Appends decisions, each of them once. They are on disk when this returns, and count for a checkpoint that is made after it.
    ///
    /// # Errors
    /// When they cannot be written; then nothing has changed.
    pub fn append(&mut self, archived: impl Iterator<Item = Archived>) -> io::Result<()> {
        let mut archived = archived.peekable();
        if archived.peek().is_none() {
            return Ok(());
        }
        let mut runs = self.runs.clone();
        let number = self.next_number();
        runs.push(Arc::new(Run::write(&self.folder, number, archived)?));
        while let [.., older, newer] = runs.as_slice()
            && older.named.entries < 2 * newer.named.entries
        {
            let number = self.next_number();
            let merged = Run::merge(&self.folder, number, &[older, newer], self.horizon)?;
            runs.truncate(runs.len() - 2);
            runs.push(Arc::new(merged));
        }
        self.runs = runs;
        Ok(())
    }

    /// Hides what was changed last by a record before a number.
    pub fn hide_before(&mut self, horizon: u64) {
        self.horizon = self.horizon.max(horizon);
    }

    /// Lets go of runs of which everything is hidden, and writes those again of which about half is.
    ///
    /// # Errors
    /// When a file cannot be written; then nothing has changed.
    pub fn shrink(&mut self) -> io::Result<()> {
        let mut runs = Vec::new();
        for run in self.runs.clone() {
            let (oldest, newest) = (run.named.oldest, run.named.newest);
            if newest < self.horizon {
                continue;
            }
            let hidden = self.horizon.saturating_sub(oldest);
            runs.push(match 2 * hidden > newest.saturating_sub(oldest) {
                true => {
                    let number = self.next_number();
                    Arc::new(Run::merge(&self.folder, number, &[&run], self.horizon)?)
                }
                false => run,
            });
        }
        self.runs = runs;
        Ok(())
    }

    fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    /// Removes every file that is not of this archive: of older checkpoints, and of ones that never came about.
    ///
    /// # Errors
    /// When the folder cannot be read or a file not removed.
    pub fn clean(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let named = self.runs.iter().any(|run| *name == *run.named.file());
            if name.starts_with(run::PREFIX) && !named {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }
}

fn damaged(what: impl Into<Box<dyn Error + Send + Sync>>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

fn hash_of(id: &str) -> u64 {
    let digest = Digest::of(id.as_bytes());
    digest
        .as_bytes()
        .first_chunk()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
