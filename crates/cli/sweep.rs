//! `haggle sweep`: trains every trial of a sweep file from several seeds, ranks them, and goes on where it was stopped.

use crate::args::Sweep;
use crate::failure::{Failure, Kind, OrFail};
use crate::jobs::{run_all, side_by_side};
use crate::output::{Label, Output};
use crate::plan::Plan;
use crate::runs::aligned;
use crate::seat::{Existing, Seat, is_done};
use crate::sweep_file::{Goal, Round, SweepFile, Trial};
use crate::{going_on, train, training};
use haggle_config::Loaded;
use haggle_eval::{Aggregate, Scores};
use haggle_learn::{last_metrics, point_latest};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::Path;

/// The sweep file after defaults and overrides, as the folder keeps it.
const KEPT: &str = "sweep.toml";
const RESULTS: &str = "sweep.json";
/// Checkpoints of a run where the training file writes only the last: what a kill can lose.
const CHECKPOINTS: u64 = 10;

/// How a trial stands after a round.
#[derive(Clone, Debug, Serialize)]
struct Standing {
    #[serde(flatten)]
    trial: Trial,
    /// Environment steps of each run.
    steps: u64,
    /// The metric's interquartile mean over the seeds; none where a run failed or did not record it.
    score: Option<f64>,
    /// The metric by seed.
    seeds: BTreeMap<u64, Option<f64>>,
    /// What went wrong, by seed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    errors: BTreeMap<u64, String>,
}

/// `sweep.json`.
#[derive(Debug, Serialize)]
struct Board<'a> {
    metric: &'a str,
    goal: Goal,
    folder: &'a Path,
    /// The best trial of the last round.
    best: Option<&'a Standing>,
    /// Each round's trials, best first.
    rounds: &'a [Vec<Standing>],
}

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
    point_latest(&base.runs, &folder).map_err(training::failure)?;
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
    match restart {
        Some(Existing::Overwrite) if kept.exists() => fs::remove_dir_all(folder).or_fail(Kind::Data)?,
        Some(Existing::Restart) if kept.exists() => {
            fs::rename(folder, crate::seat::beside(folder)).or_fail(Kind::Data)?;
        }
        _ => {}
    }
    fs::create_dir_all(folder).or_fail(Kind::Data)?;
    let lock = File::create(folder.join("lock")).or_fail(Kind::Data)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let sentence = format!("another sweep is writing into {}", folder.display());
            return Err(Failure::say(Kind::Usage, sentence));
        }
        Err(TryLockError::Error(error)) => return Err(Failure::new(Kind::Data, error)),
    }
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
            fs::write(&kept, text).or_fail(Kind::Data)?;
            Ok(lock)
        }
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
    let results = run_all(&cells, jobs, |(trial, seed)| {
        if training::is_stopping() {
            return Err(Failure::say(Kind::Interrupted, "not begun"));
        }
        let output = output.labelled(Label {
            trial: Some(trial.trial),
            seed: *seed,
        });
        train_cell(file, trial, *seed, round, &place(trial, *seed), output)
    });
    if training::is_stopping() {
        let sentence = format!("interrupted; the same command goes on in {}", folder.display());
        return Err(Failure::say(Kind::Interrupted, sentence));
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

/// The interquartile mean over the seeds.
fn score(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let values: Option<Vec<f64>> = values.collect();
    let scores = Scores::of_one_task(&values?).ok()?;
    Some(scores.aggregate(Aggregate::InterquartileMean))
}

/// Best first; without a score last; the lower number first where scores are equal.
fn rank(standings: &mut [Standing], goal: Goal) {
    let worth = |standing: &Standing| match (standing.score, goal) {
        (None, _) => f64::NEG_INFINITY,
        (Some(score), Goal::Maximise) => score,
        (Some(score), Goal::Minimise) => -score,
    };
    standings.sort_by(|a, b| {
        worth(b)
            .total_cmp(&worth(a))
            .then(a.trial.trial.cmp(&b.trial.trial))
    });
}

fn tell<'a>(folder: &'a Path, file: &'a SweepFile, rounds: &'a [Vec<Standing>]) -> Board<'a> {
    let best = rounds.last().and_then(|last| last.first());
    Board {
        metric: &file.metric,
        goal: file.goal,
        folder,
        best: best.filter(|standing| standing.score.is_some()),
        rounds,
    }
}

fn keep(folder: &Path, file: &SweepFile, rounds: &[Vec<Standing>]) -> Result<(), Failure> {
    let json = serde_json::to_vec_pretty(&tell(folder, file, rounds)).or_fail(Kind::Data)?;
    let draft = folder.join(".sweep.json");
    fs::write(&draft, json).or_fail(Kind::Data)?;
    fs::rename(&draft, folder.join(RESULTS)).or_fail(Kind::Data)
}

fn people(board: &Board<'_>) -> String {
    let mut rows = vec![["trial", "steps", "score", "values"].map(str::to_owned)];
    // A trial stands in the table once: in the last round that it reached.
    let mut seen = Vec::new();
    for standing in board.rounds.iter().rev().flatten() {
        if seen.contains(&standing.trial.trial) {
            continue;
        }
        seen.push(standing.trial.trial);
        rows.push([
            standing.trial.trial.to_string(),
            standing.steps.to_string(),
            standing
                .score
                .map_or_else(|| "-".to_owned(), |score| format!("{score:.5}")),
            standing.trial.sets().join(" "),
        ]);
    }
    let mut text = format!(
        "{} ({:?}), best first\n{}",
        board.metric,
        board.goal,
        aligned(&rows)
    );
    for standing in board.rounds.iter().flatten() {
        for (seed, error) in &standing.errors {
            text += &format!("trial {} seed {seed} failed: {error}\n", standing.trial.trial);
        }
    }
    let folder = board.folder.display();
    text + &format!("sweep    {folder}\nwatch    tensorboard --logdir {folder}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(trial: usize, score: Option<f64>) -> Standing {
        Standing {
            trial: Trial {
                trial,
                values: BTreeMap::new(),
            },
            steps: 1,
            score,
            seeds: BTreeMap::new(),
            errors: BTreeMap::new(),
        }
    }

    #[test]
    fn trials_rank_by_goal_and_failures_come_last() {
        let mut standings = vec![
            standing(0, Some(1.0)),
            standing(1, None),
            standing(2, Some(3.0)),
            standing(3, Some(1.0)),
        ];
        let order =
            |standings: &[Standing]| -> Vec<usize> { standings.iter().map(|s| s.trial.trial).collect() };
        rank(&mut standings, Goal::Maximise);
        assert_eq!(order(&standings), [2, 0, 3, 1]);
        rank(&mut standings, Goal::Minimise);
        assert_eq!(order(&standings), [0, 3, 2, 1]);
        assert_eq!(
            score([Some(0.0), Some(2.0), Some(4.0), Some(100.0)].into_iter()),
            Some(3.0)
        );
        assert_eq!(score([Some(1.0), None].into_iter()), None);
    }

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
        assert!(
            take(&folder, &read("m"), None)
                .expect_err("locked")
                .to_string()
                .contains("another sweep")
        );
        drop(lock);
        take(&folder, &read("m"), None).expect("goes on");
        let other = take(&folder, &read("n"), None)
            .expect_err("another file")
            .to_string();
        assert!(other.contains("--restart overwrite"), "{other}");
        fs::write(parent.path().join("x"), "").expect("written");
        assert!(take(parent.path(), &read("m"), Some(Existing::Overwrite)).is_err());
        assert!(parent.path().join("x").exists());
    }
}
