//! The learner on disk: `MAGIC | BLAKE3 of the rest | version byte and record (postcard)`.
//!
//! Losses to prevent: a damaged or half-written file taken for a sound one (digest, rename); a run continued under other
//! settings without anybody saying so (the settings are part of the record).

use crate::adam::AdamState;
use crate::episode::Episodes;
use crate::error::io;
use crate::multiplier::Multipliers;
use crate::normaliser::{RowNormaliser, ValueNormaliser};
use crate::{LearnError, TrainConfig};
use haggle_core::{Digest, FrameError, decode_record, encode_record};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

const MAGIC: &[u8] = b"haggle learner checkpoint 4\n";
const DIGEST_BYTES: usize = 32;
pub(crate) const SUFFIX: &str = ".checkpoint";
pub(crate) const MILESTONE: &str = "-milestone.checkpoint";
pub(crate) const BEST: &str = "best.checkpoint";

/// Everything that is needed to go on learning bit for bit. Streams of random numbers are named by the iteration, so its
/// number is their position.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    pub(crate) config: TrainConfig,
    pub(crate) team: Vec<Saved>,
    pub(crate) obs: RowNormaliser,
    pub(crate) state: RowNormaliser,
    pub(crate) multipliers: Multipliers,
    pub(crate) episodes: Episodes,
    pub(crate) iteration: u64,
    pub(crate) rows: u64,
    /// The highest evaluation so far.
    pub(crate) best: Option<f64>,
    /// What every agent remembers in its running episode.
    pub(crate) memory: Vec<f32>,
    pub(crate) environment: Vec<u8>,
}

/// One parameter set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Saved {
    pub(crate) parameters: Vec<f32>,
    pub(crate) adam: AdamState,
    pub(crate) units: ValueNormaliser,
}

/// Why a checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// Not a checkpoint at all.
    #[error("{} is not a learner checkpoint of this program", .0.display())]
    Foreign(PathBuf),
    /// Its digest does not match.
    #[error("{} is damaged: its digest does not match", .0.display())]
    Damaged(PathBuf),
    /// Sound, but not readable by this version.
    #[error("{} cannot be read", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Why.
        source: FrameError,
    },
    /// Made under other settings.
    #[error("the checkpoint was made with {field} = {checkpoint}, the configuration says {config}")]
    Config {
        /// The first field that differs.
        field: String,
        /// In the checkpoint.
        checkpoint: String,
        /// In the configuration.
        config: String,
    },
    /// Made in an environment of another shape.
    #[error("the checkpoint has {got} {what}, this learner has {expected}")]
    Shape {
        /// What differs.
        what: &'static str,
        /// Here.
        expected: usize,
        /// In the checkpoint.
        got: usize,
    },
    /// Refused by the environment.
    #[error("the environment cannot go on from the checkpoint: {0}")]
    Environment(String),
}

impl Checkpoint {
    /// Environment steps done.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.iteration * self.config.rollout_steps()
    }

    /// The settings that it was made with.
    #[must_use]
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// Writes it as `step-<steps>.checkpoint` into a folder, whole or not at all, and removes all but the newest `keep`. A
    /// milestone, `step-<steps>-milestone.checkpoint`, is never removed and not counted.
    ///
    /// # Errors
    /// When something cannot be written or removed.
    pub fn write(&self, folder: &Path, keep: usize, milestone: bool) -> Result<PathBuf, LearnError> {
        let suffix = if milestone { MILESTONE } else { SUFFIX };
        let path = self.put(folder, &format!("step-{:012}{suffix}", self.steps()))?;
        let mut passing = Self::list(folder)?;
        passing.retain(|path| !path.to_string_lossy().ends_with(MILESTONE));
        for old in passing.iter().rev().skip(keep.max(1)) {
            fs::remove_file(old).map_err(io("remove", old))?;
        }
        Ok(path)
    }

    /// Writes it as `best.checkpoint`, in place of the one that stands there.
    ///
    /// # Errors
    /// When something cannot be written.
    pub fn write_best(&self, folder: &Path) -> Result<PathBuf, LearnError> {
        self.put(folder, BEST)
    }

    fn put(&self, folder: &Path, name: &str) -> Result<PathBuf, LearnError> {
        fs::create_dir_all(folder).map_err(io("create", folder))?;
        let path = folder.join(name);
        let draft = path.with_extension("draft");
        let record = encode_record(self);
        let put = || {
            let mut file = File::create(&draft)?;
            file.write_all(MAGIC)?;
            file.write_all(Digest::of(&record).as_bytes())?;
            file.write_all(&record)?;
            file.sync_all()?;
            fs::rename(&draft, &path)?;
            File::open(folder)?.sync_all()
        };
        put().map_err(io("write", &path))?;
        Ok(path)
    }

    /// Reads and checks one.
    ///
    /// # Errors
    /// When the file cannot be read, is damaged, or is no checkpoint.
    pub fn read(path: &Path) -> Result<Self, LearnError> {
        let bytes = fs::read(path).map_err(io("read", path))?;
        let body = bytes
            .strip_prefix(MAGIC)
            .ok_or_else(|| CheckpointError::Foreign(path.to_owned()))?;
        let damaged = || CheckpointError::Damaged(path.to_owned());
        let (digest, record) = body.split_at_checked(DIGEST_BYTES).ok_or_else(damaged)?;
        if Digest::of(record).as_bytes() != digest {
            return Err(damaged().into());
        }
        decode_record(record).map_err(|source| {
            let path = path.to_owned();
            CheckpointError::Content { path, source }.into()
        })
    }

    /// The checkpoints in a folder, oldest first; without the best one, which is a copy out of their row.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list(folder: &Path) -> Result<Vec<PathBuf>, LearnError> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).map_err(io("read", folder))? {
            let path = entry.map_err(io("read", folder))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with("step-") && name.ends_with(SUFFIX) {
                found.push(path);
            }
        }
        found.sort();
        Ok(found)
    }

    /// Checks that a configuration is of the same problem and networks, see [`crate::Freedom`].
    pub(crate) fn check(&self, config: &TrainConfig) -> Result<(), CheckpointError> {
        match self.config.fixed_difference(config) {
            None => Ok(()),
            Some((field, checkpoint, config)) => Err(CheckpointError::Config {
                field,
                checkpoint,
                config,
            }),
        }
    }

    /// Whether every weight is a number.
    pub(crate) fn is_finite(&self) -> bool {
        let numbers = self.team.iter().flat_map(|saved| &saved.parameters);
        numbers.into_iter().all(|weight| weight.is_finite())
    }
}
