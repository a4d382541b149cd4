use std::path::PathBuf;

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system says no.
    #[error("store {}: it cannot be read or written", store.display())]
    Io {
        /// The store.
        store: PathBuf,
        /// Why.
        source: std::io::Error,
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
    /// Another process has it.
    #[error("store {}: another process is using it (a running haggled?)", store.display())]
    InUse {
        /// The store.
        store: PathBuf,
    },
    /// Made by another version.
    #[error("store {}: its version is `{got}`, this program reads `haggle store 1`", store.display())]
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
    /// What is in it is not what was written.
    #[error("store {}: it is damaged: {what}; move it away or restore it from a copy", store.display())]
    Damaged {
        /// The store.
        store: PathBuf,
        /// What is wrong.
        what: String,
    },
}
