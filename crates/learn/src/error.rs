use crate::{CheckpointError, ConfigError};
use std::path::PathBuf;

/// Why learning stopped without what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum LearnError {
    /// A setting out of range, or two that disagree.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The environment is not what the configuration was written for.
    #[error("the environment has {name} = {got}, the configuration expects {expected}")]
    Environment {
        /// The quantity.
        name: &'static str,
        /// What the environment says.
        got: usize,
        /// What the configuration says.
        expected: usize,
    },
    /// A copy of the environment in which nobody may set a price.
    #[error(
        "environment step {step}, copy {copy}: the masks of all its agents (0 to {last_agent}) are empty, so nobody may set a price"
    )]
    NobodyActs {
        /// The copy.
        copy: usize,
        /// The last of its agents.
        last_agent: usize,
        /// Environment steps of all copies before.
        step: u64,
    },
    /// The asked device is not there.
    #[error("device `{asked}` is not available: {reason}")]
    Device {
        /// What the configuration asked for.
        asked: &'static str,
        /// Why not.
        reason: String,
    },
    /// Something stopped being a number.
    #[error(
        "learning diverged in update {update}, after {steps} environment steps: {what} is not finite{kept}"
    )]
    Diverged {
        /// The update, from 1.
        update: u64,
        /// Environment steps so far.
        steps: u64,
        /// The quantity.
        what: String,
        /// Where the state before it is kept, as a clause; empty without one.
        kept: String,
    },
    /// A checkpoint that cannot be used.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A run without a checkpoint of that name.
    #[error("{}: no checkpoint `{name}`: {there}", folder.display())]
    NoCheckpoint {
        /// The folder of the checkpoints.
        folder: PathBuf,
        /// What was asked for.
        name: String,
        /// Which ones there are, as a clause.
        there: String,
    },
    /// The evaluation that the caller hung in failed.
    #[error("evaluation failed: {0}")]
    Evaluation(String),
    /// A bundle that cannot be made or read.
    #[error(transparent)]
    Bundle(#[from] haggle_policy::BundleError),
    /// Logged offers that cannot be tuned on.
    #[error("cannot tune: {0}")]
    Log(String),
    /// A run's folder that somebody else writes into.
    #[error("{folder}: another process is training in this folder; let it end, or choose another one", folder = folder.display())]
    Busy {
        /// The folder.
        folder: PathBuf,
    },
    /// A file or folder.
    #[error("cannot {doing} {path}", path = path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which path.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Wraps an input/output error with what was being done to which path.
pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> LearnError {
    let path = path.into();
    move |source| LearnError::Io { doing, path, source }
}
