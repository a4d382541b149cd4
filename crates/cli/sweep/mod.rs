//! `haggle sweep`: trains every trial of a sweep file from several seeds, ranks them, and goes on where it was stopped.

mod board;
pub mod file;
mod trials;

use crate::args::Sweep;
use crate::failure::{Failure, Kind, OrFail};
use crate::jobs::{run_all, side_by_side};
use crate::output::{Label, Output};
use crate::plan::Plan;
use crate::seat::{Existing, Seat, is_done};
use crate::{going_on, train, training};
use board::{Standing, keep, people, rank, recorded, score, tell};
use file::SweepFile;
use haggle_config::Loaded;
use haggle_learn::{last_metrics, point_latest};
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::sync::OnceLock;
use trials::{Round, Trial};

/// The sweep file after defaults and overrides, as the folder keeps it.
const KEPT: &str = "sweep.toml";
/// Checkpoints of a run where the training file writes only the last: what a kill can lose.
const CHECKPOINTS: u64 = 10;

/// `haggle sweep`.
pub fn run(args: &Sweep, output: Output) -> Result<(), Failure> {
    let file = read(&args.config, &args.sets)?.value;
    let (base, _) = Plan::read(&file.train, &[])?;
    let trials = file.trials();
    for trial in &trials {
        Plan::read(&file.train, &trial.sets())?; // a fault in the last trial is told before the first one runs
    }
    let stem = args.config.file_stem().unwrap_or_default().to_string_lossy();
    let folder = args
        .out
        .clone()
        .unwrap_or_else(|| base.runs.join(format!("sweep__{stem}")));
    let _lock = take(&folder, &file, args.restart)?;
    point_latest(&base.runs, &folder)?;
    output.progress(format_args!("sweep      {}", folder.display()));
    let rounds = file.rounds(base.learner.steps);
    let jobs = args
        .jobs
        .map_or_else(|| side_by_side(base.learner.threads), usize::from);
    let mut board = Vec::new();
    let mut alive = trials;
    for (number, round) in rounds.iter().enumerate() {
        alive.truncate(round.trials);
        let standings = play(&file, &folder, number, *round, &alive, jobs, output)?;
        alive = standings.iter().map(|standing| standing.trial.clone()).collect();
        board.push(standings);
        keep(&folder, &file, &board)?;
    }
    let told = tell(&folder, &file, &board);
    output.result(people(&told), &told);
    match told.best {
        Some(_) => Ok(()),
        None => Err(Failure::told(
            Kind::Data,
            "no trial of the last round has a score",
        )),
    }
}

/// Reads and checks a sweep file.
pub fn read(path: &Path, sets: &[String]) -> Result<Loaded<SweepFile>, Failure> {
    let loaded = haggle_config::load::<SweepFile>(path, sets)?;
    loaded.value.check(&loaded.source)?;
    Ok(loaded)
}

/// Makes the sweep's folder, or goes on in it; nobody else may write there meanwhile.
fn take(folder: &Path, file: &SweepFile, restart: Option<Existing>) -> Result<File, Failure> {
    let kept = folder.join(KEPT);
    let text = toml::to_string(file).or_fail(Kind::Usage)?;
    if folder.exists()
        && !kept.exists()
        && fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
    {
        let sentence = format!(
            "{} exists and is no sweep; choose another folder",
            folder.display()
        );
        return Err(Failure::say(Kind::Usage, sentence));
    }
    if kept.exists() {
        let held = lock_in(folder)?; // nobody is writing what may be moved or removed
        match restart {
            Some(Existing::Overwrite) => fs::remove_dir_all(folder),
            Some(Existing::Restart) => fs::rename(folder, crate::seat::beside(folder)),
            Some(Existing::Resume) | None => Ok(()),
        }
        .or_fail_at(Kind::Data, folder)?;
        drop(held);
    }
    fs::create_dir_all(folder).or_fail_at(Kind::Data, folder)?;
    let lock = lock_in(folder)?;
    match fs::read_to_string(&kept) {
        Ok(old) if old != text => {
            let sentence = format!(
                "{} was begun with another sweep file (see {}); say --restart restart or --restart overwrite, or choose another \
                 folder with --out",
                folder.display(),
                kept.display()
            );
            Err(Failure::say(Kind::Usage, sentence))
        }
        Ok(_) => Ok(lock),
        Err(_) => {
            fs::write(&kept, text).or_fail_at(Kind::Data, &kept)?;
            Ok(lock)
        }
    }
}

/// The lock of a sweep's folder.
fn lock_in(folder: &Path) -> Result<File, Failure> {
    let path = folder.join("lock");
    let lock = File::create(&path).or_fail_at(Kind::Data, &path)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            let sentence = format!("another sweep is writing into {}", folder.display());
            Err(Failure::say(Kind::Usage, sentence))
        }
        Err(TryLockError::Error(error)) => Err(error).or_fail_at(Kind::Data, &path),
    }
}

/// Runs every trial of one round from every seed; the trials come back best first.
fn play(
    file: &SweepFile,
    folder: &Path,
    number: usize,
    round: Round,
    trials: &[Trial],
    jobs: usize,
    output: Output,
) -> Result<Vec<Standing>, Failure> {
    let seeds = file.seeds.seeds();
    let cells: Vec<(&Trial, u64)> = trials
        .iter()
        .flat_map(|trial| seeds.iter().map(move |seed| (trial, *seed)))
        .collect();
    let place = |trial: &Trial, seed: u64| folder.join(format!("r{number}-t{:03}-s{seed}", trial.trial));
    let unrecorded = OnceLock::new(); // told of a run that finished: no other one needs to be trained
    let results = run_all(&cells, jobs, |(trial, seed)| {
        if training::is_stopping() || unrecorded.get().is_some() {
            return Err(Failure::say(Kind::Interrupted, "not begun"));
        }
        let output = output.labelled(Label {
            trial: Some(trial.trial),
            seed: *seed,
        });
        let run = place(trial, *seed);
        train_cell(file, trial, *seed, round, &run, output)?;
        if let Err(failure) = recorded(&file.metric, &run, &last_metrics(&run)) {
            unrecorded.get_or_init(|| failure);
        }
        Ok(())
    });
    if training::is_stopping() {
        let sentence = format!("interrupted; the same command goes on in {}", folder.display());
        return Err(Failure::say(Kind::Interrupted, sentence));
    }
    if let Some(failure) = unrecorded.into_inner() {
        return Err(failure);
    }
    let mut results = results.into_iter();
    let mut standings: Vec<Standing> = trials
        .iter()
        .map(|trial| {
            let (mut by_seed, mut errors) = (BTreeMap::new(), BTreeMap::new());
            for (seed, result) in seeds.iter().zip(results.by_ref()) {
                if let Err(error) = result {
                    errors.insert(*seed, error.to_string());
                }
                by_seed.insert(
                    *seed,
                    last_metrics(&place(trial, *seed)).get(&file.metric).copied(),
                );
            }
            Standing {
                trial: trial.clone(),
                steps: round.steps,
                score: if errors.is_empty() {
                    score(by_seed.values().copied())
                } else {
                    None
                },
                seeds: by_seed,
                errors,
            }
        })
        .collect();
    rank(&mut standings, file.goal);
    Ok(standings)
}

fn train_cell(
    file: &SweepFile,
    trial: &Trial,
    seed: u64,
    round: Round,
    folder: &Path,
    output: Output,
) -> Result<(), Failure> {
    if is_done(folder) {
        return Ok(());
    }
    let (mut plan, _) = Plan::read(&file.train, &trial.sets())?;
    plan.learner.seed = seed;
    plan.learner.steps = round.steps;
    if plan.learner.checkpoint_every == 0 {
        plan.learner.checkpoint_every = round.steps.div_ceil(CHECKPOINTS);
    }
    let seat = Seat::at(folder, Some(Existing::Resume))?.of_group();
    going_on::check(&plan, &seat, &[])?;
    train::train(&plan, &seat, output).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_belongs_to_one_sweep_and_one_process() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = parent.path().join("sweep");
        let read = |metric: &str| -> SweepFile {
            let text = format!(
                "train = \"t.toml\"\nseeds = \"1\"\nmetric = \"{metric}\"\nsearch = {{ kind = \"grid\" }}\n[space]\na = {{ choice = [1] }}\n"
            );
            toml::from_str(&text).expect("a sweep")
        };
        let lock = take(&folder, &read("m"), None).expect("taken");
        fs::write(folder.join("board.json"), "x").expect("written");
        for restart in [None, Some(Existing::Restart), Some(Existing::Overwrite)] {
            let busy = take(&folder, &read("m"), restart)
                .expect_err("locked")
                .to_string();
            assert!(busy.contains("another sweep"), "{busy}");
            assert!(folder.join("board.json").exists(), "{restart:?}");
        }
        drop(lock);
        take(&folder, &read("m"), None).expect("goes on");
        let other = take(&folder, &read("n"), None)
            .expect_err("another file")
            .to_string();
        assert!(other.contains("--restart overwrite"), "{other}");
        drop(take(&folder, &read("n"), Some(Existing::Restart)).expect("moved"));
        assert!(parent.path().join("sweep.1/board.json").exists() && !folder.join("board.json").exists());
        fs::write(parent.path().join("x"), "").expect("written");
        assert!(take(parent.path(), &read("m"), Some(Existing::Overwrite)).is_err());
        assert!(parent.path().join("x").exists());
    }
}
