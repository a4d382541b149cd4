use crate::bundles::Bundles;
use crate::settings::SettingsFiles;
use std::path::PathBuf;

/// What a daemon starts from.
#[derive(Clone, Debug, Default)]
pub struct EngineConfig {
    /// Folder of the store; made when it is not there.
    pub store: PathBuf,
    /// Folder of the bundle that a new store begins with. A store remembers what it served last: that comes first.
    pub bundle: Option<PathBuf>,
    /// Folder of segments that warm the market's memories before the journal is read; the same at every start.
    pub history: Option<PathBuf>,
    /// Keys the draws of a new store, for repeatable runs; else a secret is taken from the system.
    pub seed: Option<u64>,
    /// Configuration and rulebook.
    pub files: SettingsFiles,
}

impl EngineConfig {
    pub(crate) fn bundles(&self) -> Bundles {
        Bundles::new(&self.store, self.bundle.as_deref())
    }
}
