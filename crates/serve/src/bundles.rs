use crate::error::ServeError;
use haggle_core::{Digest, Policy};
use haggle_policy::Bundle;
use std::path::{Path, PathBuf};

/// The bundles of a store: every one that was served, in a folder named by its digest, because a restart must not depend on
/// somebody else's folder.
#[derive(Clone, Debug)]
pub(crate) struct Bundles {
    folder: PathBuf,
    /// The one that the daemon was started with: it heals its copy in the store.
    given: Option<PathBuf>,
}

impl Bundles {
    pub fn new(store: &Path, given: Option<&Path>) -> Self {
        Self {
            folder: store.join("bundles"),
            given: given.map(Path::to_owned),
        }
    }

    /// Keeps a copy.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, bundle: &Bundle) -> Result<(), ServeError> {
        let kept = bundle.write(&self.folder);
        kept.map(|_| ()).map_err(|source| ServeError::Bundle {
            folder: self.folder.clone(),
            source,
        })
    }

    /// The bundle of a digest. Where the store's copy is damaged, and the daemon was started with the same bundle, the copy
    /// is written again.
    ///
    /// # Errors
    /// When neither can be read.
    pub fn load(&self, digest: Digest) -> Result<Bundle, ServeError> {
        let folder = self.folder.join(digest.short());
        load(&folder).or_else(|damaged| {
            let given = self.given.as_deref().and_then(|given| load(given).ok());
            let Some(given) = given.filter(|given| given.digest() == digest) else {
                return Err(damaged);
            };
            tracing::error!(
                "{}; it is taken from --bundle again",
                crate::swap::chain(&damaged)
            );
            // The copy holds nothing that the given one does not.
            let _ = std::fs::remove_dir_all(&folder);
            if let Err(error) = self.keep(&given) {
                tracing::error!("the store's copy stays damaged: {}", crate::swap::chain(&error));
            }
            Ok(given)
        })
    }
}

/// The bundle in a folder.
///
/// # Errors
/// When there is none, or it is unsound.
pub(crate) fn load(folder: &Path) -> Result<Bundle, ServeError> {
    Bundle::load(folder).map_err(|source| ServeError::Bundle {
        folder: folder.to_owned(),
        source,
    })
}
