//! Folders that appear whole or not at all.

use crate::HistoryError;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Writes a file and waits until it is on disk.
pub(crate) fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), HistoryError> {
    let mut file = File::create(path).map_err(HistoryError::io("write", path))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(HistoryError::io("write", path))
}

/// Waits until a folder's names are on disk.
pub(crate) fn sync(folder: &Path) -> Result<(), HistoryError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(HistoryError::io("write", folder))
}

/// Writes `files` (name, bytes) into a new folder: into a temporary one beside it, which takes the name at the end. A
/// folder of that name, which the caller has checked, is replaced.
pub(crate) fn write_folder(folder: &Path, files: &[(&str, Vec<u8>)]) -> Result<(), HistoryError> {
    let parent = match folder.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent).map_err(HistoryError::io("create", parent))?;
    let part = beside(folder, "part");
    let written = fill(&part, files)
        .and_then(|()| take_name(&part, folder))
        .and_then(|()| sync(parent));
    if written.is_err() {
        let _ = fs::remove_dir_all(&part); // the first error is the one to tell
    }
    written
}

fn fill(part: &Path, files: &[(&str, Vec<u8>)]) -> Result<(), HistoryError> {
    fs::create_dir(part).map_err(HistoryError::io("create", part))?;
    for (name, bytes) in files {
        write_synced(&part.join(name), bytes)?;
    }
    sync(part)
}

fn take_name(part: &Path, folder: &Path) -> Result<(), HistoryError> {
    if !folder.exists() {
        return fs::rename(part, folder).map_err(HistoryError::io("write", folder));
    }
    let old = beside(folder, "old");
    fs::rename(folder, &old).map_err(HistoryError::io("replace", folder))?;
    if let Err(error) = fs::rename(part, folder) {
        let _ = fs::rename(&old, folder); // put it back; the first error is the one to tell
        return Err(HistoryError::io("write", folder)(error));
    }
    fs::remove_dir_all(&old).map_err(HistoryError::io("remove", &old))
}

/// A hidden name beside a folder that no other process uses.
fn beside(folder: &Path, purpose: &str) -> PathBuf {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    folder.with_file_name(format!(".{name}.{purpose}-{}", std::process::id()))
}
