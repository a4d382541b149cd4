use crate::store_error::StoreError;
use haggle_config::ConfigError;
use haggle_core::{Digest, SegmentError};
use haggle_policy::BundleError;
use haggle_policy::bandit::BanditError;
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

/// Why the daemon cannot start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The bundle cannot be served.
    #[error("{}", folder.display())]
    Bundle {
        /// Its folder.
        folder: PathBuf,
        /// Why.
        source: BundleError,
    },
    /// The store's copy of a bundle that it needs cannot be used.
    #[error(
        "{}: the store needs this bundle, and its copy is damaged or gone; start with `--bundle <an intact copy of it>`, which writes it again",
        folder.display()
    )]
    Kept {
        /// The folder of the copy.
        folder: PathBuf,
        /// Why.
        source: BundleError,
    },
    /// A new store needs a bundle.
    #[error("store {}: it does not say what it serves; name the bundle to serve with --bundle", .0.display())]
    NoBundle(PathBuf),
    /// The bundle that was named in the place of a lost record is not the one.
    #[error("store {}: the record that said what is served is lost, and bundle {bundle:?} has no item `{item}`, which was priced; name the bundle that was served with --bundle", store.display())]
    OtherItems {
        /// The store.
        store: PathBuf,
        /// An item that it lacks.
        item: String,
        /// The bundle.
        bundle: Digest,
    },
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What bandits had learnt is not of their bundle.
    #[error("what the store's bandits had learnt cannot be used")]
    Learnt(#[from] BanditError),
    /// A file of the history is no segment.
    #[error("history {}: it cannot be understood", path.display())]
    History {
        /// The file.
        path: PathBuf,
        /// Why.
        source: SegmentError,
    },
    /// A configuration or a rulebook cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A socket cannot be opened.
    #[error("socket {}: {what}", path.display())]
    Socket {
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A file or folder cannot be read or written.
    #[error("{}: it cannot be read or written", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl ServeError {
    /// An error of the file system at a file or folder.
    pub(crate) fn io(path: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io {
            path: path.clone(),
            source,
        }
    }

    /// The program's exit code: 2 for what the caller has to change on the command line, 3 for data.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NoBundle(_) | Self::OtherItems { .. } | Self::Config(_) | Self::Socket { .. } => 2,
            Self::Bundle { .. }
            | Self::Kept { .. }
            | Self::Store(_)
            | Self::Learnt(_)
            | Self::History { .. }
            | Self::Io { .. } => 3,
        }
    }
}

/// An error with all its causes in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        line.push_str(": ");
        line.push_str(&cause.to_string());
        source = cause.source();
    }
    line
}
