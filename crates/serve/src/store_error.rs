use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system says no.
    #[error("store {}: it cannot be read or written", store.display())]
    Io {
        /// The store.
        store: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Too little space is left.
    #[error("store {}: the disk is full", store.display())]
    Full {
        /// The store.
        store: PathBuf,
    },
    /// There is none.
    #[error("store {}: {what}", store.display())]
    Missing {
        /// The store.
        store: PathBuf,
        /// What is not there.
        what: &'static str,
    },
    /// A folder to be written lies in it.
    #[error("store {}: {} lies inside of it; name a folder elsewhere", store.display(), out.display())]
    Inside {
        /// The store.
        store: PathBuf,
        /// The folder.
        out: PathBuf,
    },
    /// A folder to be written is there already.
    #[error("{} is there already; name a new folder", .0.display())]
    There(PathBuf),
    /// Another process has it.
    #[error("store {}: another process is using it (a running haggled?)", store.display())]
    InUse {
        /// The store.
        store: PathBuf,
    },
    /// Made by another version.
    #[error("store {}: its version is `{got}`, this program reads `haggle store 3`; export it with the haggled that made it, and begin a new store with --history on what was exported", store.display())]
    Version {
        /// The store.
        store: PathBuf,
        /// The version found.
        got: String,
    },
    /// Another seed than the one that it was made with.
    #[error("store {}: it was made with another seed; leave --seed out to go on with its own", store.display())]
    Seed {
        /// The store.
        store: PathBuf,
    },
    /// What stands in the place of dropped records is damaged.
    #[error("store {}: its files `base` and `base.copy` are damaged or missing: what the daemon remembered of the records that retention has dropped; restore the store from a backup", store.display())]
    Base {
        /// The store.
        store: PathBuf,
    },
    /// Bundles that it needs are not in it.
    #[error("store {}: {what}", store.display())]
    Bundles {
        /// The store.
        store: PathBuf,
        /// Which.
        what: String,
    },
    /// A check found something.
    #[error("store {}: {what}", store.display())]
    Unsound {
        /// The store.
        store: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// What is in it is not what was written.
    #[error("store {}: it is damaged: {what}; `haggled check --repair` keeps the rest, or restore a backup", store.display())]
    Damaged {
        /// The store.
        store: PathBuf,
        /// What is wrong.
        what: String,
    },
}

impl StoreError {
    /// An error of the file system at a store.
    pub(crate) fn io(store: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let store = store.to_owned();
        move |source| Self::Io {
            store: store.clone(),
            source,
        }
    }

    /// The same, where a full disk is told apart.
    pub(crate) fn full_or_io(store: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let store = store.to_owned();
        move |source| match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full { store: store.clone() },
            _ => Self::Io {
                store: store.clone(),
                source,
            },
        }
    }

    /// Records from a number on, up to the other one without it, are not there.
    pub(crate) fn lost(store: &Path, from: u64, next: u64) -> Self {
        Self::Damaged {
            store: store.to_owned(),
            what: lost(from, next),
        }
    }
}

/// Says that records from a number on, up to the other one without it, are not there.
pub(crate) fn lost(from: u64, next: u64) -> String {
    match next.saturating_sub(1) {
        last if last > from => format!("records {from} to {last} are lost"),
        _ => format!("record {from} is lost"),
    }
}
