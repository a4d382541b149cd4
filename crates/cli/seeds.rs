//! `haggle train --seeds`: the same training from several seeds, and what they say together.

use crate::aligned::aligned;
use crate::args::Train;
use crate::failure::{Failure, Kind, OrFail, Report};
use crate::jobs::{run_all, side_by_side};
use crate::output::{Label, Output};
use crate::plan::Plan;
use crate::seat::{Existing, Seat, is_done};
use crate::seed_list::SeedList;
use crate::{going_on, train, training};
use haggle_eval::{Aggregate, Bootstrap, Interval, Scores};
use haggle_learn::{Metrics, last_metrics, point_latest, unique_name};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The file in the group's folder.
const SUMMARY: &str = "summary.json";
/// Tags that are told over seeds begin with one of these.
const TOLD: [&str; 3] = ["eval/", "pricing/", "rollout/ep_rew_mean"];

/// A summary for programs; where a seed failed, with what every failure tells them.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    failure: Option<Report<'a>>,
    #[serde(flatten)]
    summary: &'a Summary,
}

/// What several runs say together.
#[derive(Debug, Serialize)]
struct Summary {
    /// The folder that holds the runs.
    folder: PathBuf,
    runs: Vec<SeedRun>,
    /// The last value of each tag over the seeds whose runs finished.
    over_seeds: BTreeMap<String, OverSeeds>,
}

#[derive(Debug, Serialize)]
struct SeedRun {
    seed: u64,
    run: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    metrics: Metrics,
}

/// One number over seeds, with the 95 % bootstrap interval of its interquartile mean.
#[derive(Debug, Serialize)]
struct OverSeeds {
    iqm: Interval,
    mean: f64,
    least: f64,
    most: f64,
}

/// `haggle train` from every seed; a seed that fails does not take the others with it.
pub fn run(args: &Train, seeds: &SeedList, output: Output) -> Result<(), Failure> {
    let (plan, origins) = Plan::read(&args.config, &args.sets)?;
    let folder = match &args.out {
        Some(folder) => folder.clone(),
        None => plan
            .runs
            .join(unique_name(&format!("{}__seeds-{seeds}", plan.env_name))),
    };
    let seated = seat_all(&folder, seeds, args.restart)?;
    std::fs::create_dir_all(&folder).or_fail_at(Kind::Data, &folder)?;
    point_latest(&plan.runs, &folder)?;
    output.progress(format_args!("runs       {}", folder.display()));
    let jobs = args
        .jobs
        .map_or_else(|| side_by_side(plan.learner.threads), usize::from);
    let results = run_all(&seated, jobs, |(seed, seat)| {
        let Some(seat) = seat else {
            return Ok(()); // done by an earlier call
        };
        if training::is_stopping() {
            return Err(Failure::say(Kind::Interrupted, "not begun"));
        }
        let mut plan = plan.clone();
        plan.learner.seed = *seed;
        going_on::check(&plan, seat, &origins)?;
        train::train(
            &plan,
            seat,
            output.labelled(Label {
                trial: None,
                seed: *seed,
            }),
        )
        .map(drop)
    });
    let runs: Vec<SeedRun> = seated
        .iter()
        .zip(&results)
        .map(|((seed, _), result)| {
            let run = seed_folder(&folder, *seed);
            SeedRun {
                seed: *seed,
                error: result.as_ref().err().map(ToString::to_string),
                metrics: last_metrics(&run),
                run,
            }
        })
        .collect();
    let summary = Summary {
        over_seeds: over_seeds(&runs),
        folder,
        runs,
    };
    let json = serde_json::to_vec_pretty(&summary).or_fail(Kind::Data)?;
    let path = summary.folder.join(SUMMARY);
    std::fs::write(&path, json).or_fail_at(Kind::Data, &path)?;
    let failures: Vec<Failure> = results.into_iter().filter_map(Result::err).collect();
    let failure = verdict(&failures, &summary);
    let told = Told {
        failure: failure.as_ref().map(Failure::report),
        summary: &summary,
    };
    output.result(people(&summary), &told);
    failure.map_or(Ok(()), Err)
}

/// What the seeds that did not finish say together.
fn verdict(failures: &[Failure], summary: &Summary) -> Option<Failure> {
    let interrupted = failures.iter().any(|failure| failure.kind() == Kind::Interrupted);
    if interrupted {
        let sentence = format!(
            "interrupted; go on with --out {} --restart resume",
            summary.folder.display()
        );
        return Some(Failure::told(Kind::Interrupted, sentence));
    }
    let first = failures.first()?;
    let (failed, seeds) = (failures.len(), summary.runs.len());
    let sentence = format!("{failed} of {seeds} seeds failed; the first: {first}");
    Some(Failure::told(first.kind(), sentence))
}

fn seed_folder(group: &Path, seed: u64) -> PathBuf {
    group.join(format!("s{seed}"))
}

/// The seat of each seed, before any of them begins; none for a run that `--restart resume` finds done.
fn seat_all(
    group: &Path,
    seeds: &SeedList,
    restart: Option<Existing>,
) -> Result<Vec<(u64, Option<Seat>)>, Failure> {
    let seat = |seed: &u64| {
        let folder = seed_folder(group, *seed);
        if restart == Some(Existing::Resume) && is_done(&folder) {
            return Ok((*seed, None));
        }
        Ok((*seed, Some(Seat::at(&folder, restart)?.of_group())))
    };
    seeds.seeds().iter().map(seat).collect()
}

fn over_seeds(runs: &[SeedRun]) -> BTreeMap<String, OverSeeds> {
    let finished: Vec<&SeedRun> = runs.iter().filter(|run| run.error.is_none()).collect();
    let tags = finished
        .first()
        .map(|run| run.metrics.keys())
        .into_iter()
        .flatten();
    let told = tags.filter(|tag| TOLD.iter().any(|begin| tag.starts_with(begin)));
    let of = |tag: &String| -> Option<(String, OverSeeds)> {
        let values: Option<Vec<f64>> = finished.iter().map(|run| run.metrics.get(tag).copied()).collect();
        let values = values?;
        let scores = Scores::of_one_task(&values).ok()?; // not told where a run has no number
        Some((
            tag.clone(),
            OverSeeds {
                iqm: Bootstrap::default().aggregate(&scores, Aggregate::InterquartileMean),
                mean: scores.aggregate(Aggregate::Mean),
                least: values.iter().copied().fold(f64::INFINITY, f64::min),
                most: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            },
        ))
    };
    told.filter_map(of).collect()
}

fn people(summary: &Summary) -> String {
    let mut rows = vec![["tag", "IQM", "low", "high", "mean", "least", "most"].map(str::to_owned)];
    rows.extend(summary.over_seeds.iter().map(|(tag, over)| {
        let numbers = [
            over.iqm.value,
            over.iqm.low,
            over.iqm.high,
            over.mean,
            over.least,
            over.most,
        ];
        let [iqm, low, high, mean, least, most] = numbers.map(|number| format!("{number:.5}"));
        [tag.clone(), iqm, low, high, mean, least, most]
    }));
    let finished = summary.runs.iter().filter(|run| run.error.is_none()).count();
    let mut text = format!(
        "{finished} of {} seeds finished\n{}",
        summary.runs.len(),
        aligned(&rows)
    );
    for run in &summary.runs {
        if let Some(error) = &run.error {
            text += &format!("seed {} did not finish: {error}\n", run.seed);
        }
    }
    text + &format!("runs     {}", summary.folder.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(seed: u64, value: f64, error: Option<&str>) -> SeedRun {
        SeedRun {
            seed,
            run: PathBuf::from("r"),
            error: error.map(str::to_owned),
            metrics: Metrics::from([
                ("eval/mean_reward".to_owned(), value),
                ("time/fps".to_owned(), 1.0),
            ]),
        }
    }

    #[test]
    fn an_interruption_is_no_failure_of_seeds() {
        let summary = Summary {
            folder: PathBuf::from("sd"),
            runs: vec![run(1, 0.0, None), run(2, 0.0, None)],
            over_seeds: BTreeMap::new(),
        };
        let told = |failures: &[Failure]| verdict(failures, &summary).map(|failure| failure.to_string());
        let diverged = || Failure::say(Kind::Diverged, "loss is NaN");
        assert_eq!(told(&[]), None);
        assert_eq!(
            told(&[diverged()]).as_deref(),
            Some("1 of 2 seeds failed; the first: loss is NaN")
        );
        let stopped = Failure::say(
            Kind::Interrupted,
            "interrupted at 64 steps; go on with --resume sd/s1",
        );
        assert_eq!(
            told(&[diverged(), stopped]).as_deref(),
            Some("interrupted; go on with --out sd --restart resume")
        );
    }

    #[test]
    fn the_middle_half_of_the_finished_seeds_is_averaged() {
        let mut runs: Vec<SeedRun> = [0.0, 2.0, 4.0, 100.0]
            .iter()
            .enumerate()
            .map(|(n, v)| run(n as u64, *v, None))
            .collect();
        runs.push(run(9, 1e9, Some("diverged")));
        let over = over_seeds(&runs);
        assert_eq!(over.len(), 1, "time is not told over seeds");
        let reward = &over["eval/mean_reward"];
        assert_eq!(
            (reward.iqm.value, reward.mean, reward.least, reward.most),
            (3.0, 26.5, 0.0, 100.0)
        );
        assert!(reward.iqm.low >= 0.0 && reward.iqm.high <= 100.0);
    }
}
