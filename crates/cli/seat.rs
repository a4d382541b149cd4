//! Where a run writes: a new folder, a named one, or one that it goes on in.

use crate::failure::{Failure, Kind, OrFail};
use clap::ValueEnum;
use haggle_learn::{Checkpoint, RunStatus, lock_run, read_facts};
use std::fs;
use std::path::{Path, PathBuf};

/// Where a run writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seat {
    /// A folder of its own, with a name that is new.
    New,
    /// This folder, which does not exist yet.
    Named(PathBuf),
    /// The same, for one of several runs: `latest` points at all of them.
    OfGroup(PathBuf),
    /// A run goes on.
    Resume {
        /// Its folder.
        folder: PathBuf,
        /// The name of the checkpoint, as [`haggle_learn::find_checkpoint`] reads it; the last one where there is none.
        from: Option<String>,
    },
}

/// What to do where a run's folder exists already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Existing {
    /// Go on from its last checkpoint.
    Resume,
    /// Begin again; the old run is kept beside it, with a number behind its name.
    Restart,
    /// Begin again; the old run is removed.
    Overwrite,
}

impl Seat {
    /// The seat of a run in a named folder.
    pub fn at(folder: &Path, restart: Option<Existing>) -> Result<Self, Failure> {
        let empty = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
        if !folder.exists() || empty {
            return Ok(Self::Named(folder.to_owned()));
        }
        if read_facts(folder).is_err() {
            let sentence = format!("{} exists and is no run; choose another folder", folder.display());
            return Err(Failure::say(Kind::Usage, sentence));
        }
        let Some(restart) = restart else {
            let sentence = format!(
                "{} exists already; say --restart resume (go on from its last checkpoint), --restart restart (begin again, \
                 keep the old run beside it) or --restart overwrite (begin again, remove the old run)",
                folder.display()
            );
            return Err(Failure::say(Kind::Usage, sentence));
        };
        drop(lock_run(folder)?); // nobody is writing what may be moved or removed
        let checkpoints = Checkpoint::list(&folder.join("checkpoints")).unwrap_or_default();
        match restart {
            Existing::Resume if !checkpoints.is_empty() => {
                return Ok(Self::Resume {
                    folder: folder.to_owned(),
                    from: None,
                });
            }
            // Stopped before its first checkpoint: there is nothing to go on from, and nothing to lose.
            Existing::Resume | Existing::Overwrite => fs::remove_dir_all(folder),
            Existing::Restart => fs::rename(folder, beside(folder)),
        }
        .or_fail_at(Kind::Data, folder)?;
        Ok(Self::Named(folder.to_owned()))
    }

    /// The same for one of several runs.
    pub fn of_group(self) -> Self {
        match self {
            Self::Named(folder) => Self::OfGroup(folder),
            other => other,
        }
    }
}

/// Whether the run of a folder has done all its steps and written its bundle.
pub fn is_done(folder: &Path) -> bool {
    let bundled = fs::read_dir(folder.join("bundles")).is_ok_and(|mut entries| entries.next().is_some());
    bundled && read_facts(folder).is_ok_and(|facts| facts.status == RunStatus::Finished)
}

/// The first free name with a number behind.
pub fn beside(folder: &Path) -> PathBuf {
    let numbered = |number: u32| {
        let mut name = folder.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    (1..)
        .map(numbered)
        .find(|path| !path.exists())
        .unwrap_or_else(|| numbered(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use haggle_learn::{Run, RunSubject};

    fn run_in(folder: &Path) {
        let subject = RunSubject {
            env: "a4".into(),
            algorithm: "mappo".into(),
            seed: 1,
            data: Vec::new(),
        };
        Run::create_at(folder, subject, "", &[]).expect("a run");
    }

    #[test]
    fn an_existing_run_is_kept_moved_or_removed_only_when_asked() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = parent.path().join("mine");
        assert_eq!(
            Seat::at(&folder, None).expect("free"),
            Seat::Named(folder.clone())
        );
        run_in(&folder);
        let refused = Seat::at(&folder, None).expect_err("taken").to_string();
        assert!(refused.contains("--restart resume"), "{refused}");

        let busy = lock_run(&folder).expect("nobody's");
        for restart in [Existing::Resume, Existing::Restart, Existing::Overwrite] {
            let refused = Seat::at(&folder, Some(restart)).expect_err("busy");
            assert_eq!(refused.kind(), Kind::Usage);
            assert!(
                refused.to_string().contains("another process is training"),
                "{refused}"
            );
        }
        assert!(folder.join("run.json").exists());
        drop(busy);

        let checkpoint = folder.join("checkpoints/step-1.checkpoint");
        fs::write(&checkpoint, "x").expect("written");
        let resumed = Seat::at(&folder, Some(Existing::Resume)).expect("resumed");
        let (at, from) = (folder.clone(), None);
        assert_eq!(resumed, Seat::Resume { folder: at, from });

        Seat::at(&folder, Some(Existing::Restart)).expect("moved");
        assert!(!folder.exists() && parent.path().join("mine.1/run.json").exists());
        run_in(&folder);
        Seat::at(&folder, Some(Existing::Overwrite)).expect("removed");
        assert!(!folder.exists());
    }

    #[test]
    fn a_folder_that_is_no_run_is_never_touched() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("thesis.tex"), "x").expect("written");
        for restart in [
            None,
            Some(Existing::Overwrite),
            Some(Existing::Restart),
            Some(Existing::Resume),
        ] {
            assert!(Seat::at(folder.path(), restart).is_err());
        }
        assert!(folder.path().join("thesis.tex").exists());
    }
}
