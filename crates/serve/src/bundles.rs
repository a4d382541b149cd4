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

    /// Writes a copy that is damaged again.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn heal(&self, bundle: &Bundle) -> Result<(), ServeError> {
        // The copy holds nothing that the intact one does not.
        let _ = std::fs::remove_dir_all(self.folder.join(bundle.digest().short()));
        self.keep(bundle)
    }

    /// The bundle of a digest. Where the store's copy is damaged, and the daemon was started with the same bundle, the copy
    /// is written again.
    ///
    /// # Errors
    /// When neither can be read.
    pub fn load(&self, digest: Digest) -> Result<Bundle, ServeError> {
        let folder = self.folder.join(digest.short());
        Bundle::load(&folder).or_else(|source| {
            let damaged = ServeError::Kept {
                folder: folder.clone(),
                source,
            };
            let given = self.given.as_deref().and_then(|given| load(given).ok());
            let Some(given) = given.filter(|given| given.digest() == digest) else {
                return Err(damaged);
            };
            tracing::error!(
                "the store's copy of bundle {digest:?} is damaged or gone; it is written again from --bundle"
            );
            if let Err(error) = self.heal(&given) {
                tracing::error!("the store's copy stays damaged: {}", crate::error::chain(&error));
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
