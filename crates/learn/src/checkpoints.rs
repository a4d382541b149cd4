//! The checkpoints of a run's folder.

use crate::checkpoint::{BEST, MILESTONE, SUFFIX};
use crate::error::io;
use crate::run_name::unique_name;
use crate::{Checkpoint, LearnError};
use std::fs;
use std::path::{Path, PathBuf};

const FOLDER: &str = "checkpoints";

/// The newest checkpoint of a run's folder.
///
/// # Errors
/// When the folder cannot be read or has none.
pub fn latest_checkpoint(run: &Path) -> Result<PathBuf, LearnError> {
    find_checkpoint(run, "last")
}

/// A checkpoint of a run by its name: `last`, `best`, a number of environment steps, or its path.
///
/// # Errors
/// When the folder cannot be read, or holds no such checkpoint.
pub fn find_checkpoint(run: &Path, name: &str) -> Result<PathBuf, LearnError> {
    let folder = run.join(FOLDER);
    let row = Checkpoint::list(&folder)?;
    let found = match (name, name.parse::<u64>()) {
        ("last", _) => row.last().cloned(),
        ("best", _) => Some(folder.join(BEST)).filter(|path| path.exists()),
        (_, Ok(steps)) => row.iter().find(|path| steps_of(path) == Some(steps)).cloned(),
        _ => Some(PathBuf::from(name)).filter(|path| is_inside(path, &folder)),
    };
    found.ok_or_else(|| LearnError::NoCheckpoint {
        name: name.to_owned(),
        there: names(&all(&folder, row)),
        folder,
    })
}

/// The checkpoints of a run that can be read, the newest first.
///
/// # Errors
/// When the folder cannot be read.
pub fn sound_checkpoints(run: &Path) -> Result<Vec<PathBuf>, LearnError> {
    let folder = run.join(FOLDER);
    let mut paths = all(&folder, Checkpoint::list(&folder)?);
    paths.reverse();
    paths.retain(|path| Checkpoint::read(path).is_ok());
    Ok(paths)
}

/// Moves what a run wrote after `steps` into a folder of its own beside the others: a run that goes on from there goes
/// another way, or comes by again.
pub(crate) fn set_aside_after(run: &Path, steps: u64) -> Result<(), LearnError> {
    let folder = run.join(FOLDER);
    let later = |path: &PathBuf| match steps_of(path) {
        Some(own) => own > steps,
        None => Checkpoint::read(path).map_or(true, |best| best.steps() > steps),
    };
    let mut later_ones = all(&folder, Checkpoint::list(&folder)?);
    later_ones.retain(later);
    if later_ones.is_empty() {
        return Ok(());
    }
    let aside = folder.join(unique_name("aside"));
    fs::create_dir(&aside).map_err(io("create", &aside))?;
    for path in later_ones {
        let to = aside.join(path.file_name().unwrap_or_default());
        fs::rename(&path, &to).map_err(io("move", &path))?;
    }
    Ok(())
}

/// The best one first, where there is one.
fn all(folder: &Path, row: Vec<PathBuf>) -> Vec<PathBuf> {
    let best = Some(folder.join(BEST)).filter(|path| path.exists());
    best.into_iter().chain(row).collect()
}

/// The steps in a file's name; none for the best one.
fn steps_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_string_lossy();
    let steps = name.strip_prefix("step-")?;
    let steps = steps
        .strip_suffix(MILESTONE)
        .or_else(|| steps.strip_suffix(SUFFIX))?;
    steps.parse().ok()
}

fn is_inside(path: &Path, folder: &Path) -> bool {
    let whole = |path: &Path| fs::canonicalize(path).ok();
    let inside = whole(path).zip(whole(folder));
    path.is_file() && inside.is_some_and(|(path, folder)| path.starts_with(folder))
}

/// The names of checkpoints in a sentence.
fn names(paths: &[PathBuf]) -> String {
    let name = |path: &PathBuf| match steps_of(path) {
        Some(steps) => steps.to_string(),
        None => "best".to_owned(),
    };
    if paths.is_empty() {
        return "there is none".to_owned();
    }
    let mut names: Vec<String> = paths.iter().map(name).collect();
    names.dedup();
    format!("there are {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_found_by_name_steps_or_path() {
        let run = tempfile::tempdir().expect("a folder");
        let folder = run.path().join(FOLDER);
        fs::create_dir(&folder).expect("made");
        let error = latest_checkpoint(run.path()).expect_err("none").to_string();
        assert!(error.ends_with("no checkpoint `last`: there is none"), "{error}");
        let put = |name: &str| {
            let path = folder.join(name);
            fs::write(&path, "x").expect("written");
            path
        };
        let milestone = put("step-000000000160-milestone.checkpoint");
        let newest = put("step-000000001280.checkpoint");
        let best = put("best.checkpoint");
        put("step-000000001280.draft");
        let find = |name: &str| find_checkpoint(run.path(), name);
        assert_eq!(find("last").expect("found"), newest);
        assert_eq!(find("best").expect("found"), best);
        assert_eq!(find("160").expect("found"), milestone);
        let path = milestone.to_string_lossy().into_owned();
        assert_eq!(find(&path).expect("found"), milestone);
        for other in ["161", "worst", "/etc/hostname"] {
            let error = find(other).expect_err("not here").to_string();
            assert!(
                error.ends_with(&format!("no checkpoint `{other}`: there are best, 160, 1280")),
                "{error}"
            );
        }
    }

    #[test]
    fn what_was_written_later_is_set_aside_and_not_lost() {
        let run = tempfile::tempdir().expect("a folder");
        let folder = run.path().join(FOLDER);
        fs::create_dir(&folder).expect("made");
        for name in [
            "step-000000000160.checkpoint",
            "step-000000000320.checkpoint",
            "best.checkpoint",
        ] {
            fs::write(folder.join(name), "x").expect("written");
        }
        set_aside_after(run.path(), 160).expect("moved");
        let row = Checkpoint::list(&folder).expect("a list");
        assert_eq!(row, [folder.join("step-000000000160.checkpoint")]);
        let aside = fs::read_dir(&folder).expect("a folder").flatten();
        let aside = aside.map(|entry| entry.path()).find(|path| path.is_dir());
        let aside = aside.expect("a folder");
        assert!(aside.join("step-000000000320.checkpoint").exists());
        assert!(
            aside.join("best.checkpoint").exists(),
            "nobody can say of which step it is"
        );
    }
}
