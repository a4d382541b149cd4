use crate::engine_config::EngineConfig;
use crate::error::ServeError;
use crate::market::Market;
use haggle_core::{Digest, SEGMENT_EXTENSION, read_segment};
use std::fs;
use std::path::{Path, PathBuf};

impl EngineConfig {
    /// Tells one history from another, by names, sizes and times of its files.
    pub(crate) fn history_digest(&self) -> Result<Option<Digest>, ServeError> {
        let Some(folder) = &self.history else {
            return Ok(None);
        };
        let mut told = String::new();
        for path in segments(folder)? {
            let io = ServeError::io(&path);
            let meta = fs::metadata(&path).map_err(&io)?;
            let modified = meta.modified().map_err(&io)?;
            told += &format!("{} {} {modified:?}\n", path.display(), meta.len());
        }
        Ok(Some(Digest::of(told.as_bytes())))
    }
}

/// Warms a market with every segment of a folder, in the order of their names.
///
/// # Errors
/// When one cannot be read.
pub(crate) fn prime(market: &mut Market, folder: &Path) -> Result<(), ServeError> {
    for path in segments(folder)? {
        let bytes = fs::read(&path).map_err(ServeError::io(&path))?;
        let offers = read_segment(&bytes).map_err(|source| ServeError::History {
            path: path.clone(),
            source,
        })?;
        let primed = market.prime(&offers);
        tracing::info!(
            used = primed.used,
            skipped = primed.skipped,
            "history {}",
            path.display()
        );
    }
    Ok(())
}

/// The segments of a folder, in the order of their names.
pub(crate) fn segments(folder: &Path) -> Result<Vec<PathBuf>, ServeError> {
    let io = ServeError::io(folder);
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(&io)? {
        let path = entry.map_err(&io)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == SEGMENT_EXTENSION)
        {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
