//! What runs, groups of seeds and sweeps are called, and the link to the last of them.

use crate::LearnError;
use crate::error::io;
use haggle_core::Digest;
use std::fs;
use std::path::{Path, PathBuf};

const LATEST: &str = "latest";

/// `<stem>__<utc>-<id>`: a name that no other folder has.
#[must_use]
pub fn unique_name(stem: &str) -> String {
    let now = jiff::Timestamp::now();
    let id = Digest::of_parts(&[
        &now.as_nanosecond().to_le_bytes(),
        &std::process::id().to_le_bytes(),
        stem.as_bytes(),
    ]);
    format!("{stem}__{}-{}", now.strftime("%Y%m%d-%H%M%S"), &id.short()[..4])
}

/// Points `<runs>/latest` at a run, a group of seeds or a sweep, wherever it stands.
///
/// # Errors
/// When the link cannot be made.
pub fn point_latest(runs: &Path, folder: &Path) -> Result<(), LearnError> {
    fs::create_dir_all(runs).map_err(io("create", runs))?;
    let target = match folder.file_name() {
        Some(name) if folder.parent() == Some(runs) => PathBuf::from(name),
        _ => fs::canonicalize(folder).map_err(io("find", folder))?,
    };
    let link = runs.join(LATEST);
    let draft = runs.join(format!(".{LATEST}.{}", std::process::id()));
    let swap = || {
        std::os::unix::fs::symlink(target, &draft)?;
        fs::rename(&draft, &link)
    };
    swap().map_err(io("link", &link))
}
