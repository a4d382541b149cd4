//! How the trials of a sweep stand.

use super::file::{Goal, SweepFile};
use super::trials::Trial;
use crate::aligned::aligned;
use crate::failure::{Failure, Kind, OrFail};
use haggle_config::did_you_mean;
use haggle_eval::{Aggregate, Scores};
use haggle_learn::Metrics;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const RESULTS: &str = "sweep.json";

/// How a trial stands after a round.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Standing {
    #[serde(flatten)]
    pub(super) trial: Trial,
    /// Environment steps of each run.
    pub(super) steps: u64,
    /// The metric's interquartile mean over the seeds; none where a run failed or did not record it.
    pub(super) score: Option<f64>,
    /// The metric by seed.
    pub(super) seeds: BTreeMap<u64, Option<f64>>,
    /// What went wrong, by seed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) errors: BTreeMap<u64, String>,
}

/// `sweep.json`.
#[derive(Debug, Serialize)]
pub(super) struct Board<'a> {
    metric: &'a str,
    goal: Goal,
    folder: &'a Path,
    /// The best trial of the last round.
    pub(super) best: Option<&'a Standing>,
    /// Each round's trials, best first.
    rounds: &'a [Vec<Standing>],
}

/// The interquartile mean over the seeds.
pub(super) fn score(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let values: Option<Vec<f64>> = values.collect();
    let scores = Scores::of_one_task(&values?).ok()?;
    Some(scores.aggregate(Aggregate::InterquartileMean))
}

/// Refuses a metric that a finished run did not record, before other trials are trained for it.
pub(super) fn recorded(metric: &str, run: &Path, metrics: &Metrics) -> Result<(), Failure> {
    if metrics.contains_key(metric) {
        return Ok(());
    }
    let tags: Vec<&str> = metrics.keys().map(String::as_str).collect();
    let sentence = format!(
        "metric: {} recorded no `{metric}`, only {}{}",
        run.display(),
        tags.join(", "),
        did_you_mean(metric, tags.iter().copied())
    );
    Err(Failure::say(Kind::Usage, sentence))
}

/// Best first; without a score last; the lower number first where scores are equal.
pub(super) fn rank(standings: &mut [Standing], goal: Goal) {
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

/// The board of the rounds played so far.
pub(super) fn tell<'a>(folder: &'a Path, file: &'a SweepFile, rounds: &'a [Vec<Standing>]) -> Board<'a> {
    let best = rounds.last().and_then(|last| last.first());
    Board {
        metric: &file.metric,
        goal: file.goal,
        folder,
        best: best.filter(|standing| standing.score.is_some()),
        rounds,
    }
}

/// Writes `sweep.json`, whole or not at all.
pub(super) fn keep(folder: &Path, file: &SweepFile, rounds: &[Vec<Standing>]) -> Result<(), Failure> {
    let json = serde_json::to_vec_pretty(&tell(folder, file, rounds)).or_fail(Kind::Data)?;
    let draft = folder.join(".sweep.json");
    fs::write(&draft, json)
        .and_then(|()| fs::rename(&draft, folder.join(RESULTS)))
        .or_fail_at(Kind::Data, &draft)
}

/// The board as a table.
pub(super) fn people(board: &Board<'_>) -> String {
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
    fn a_metric_that_no_run_records_is_told_with_the_nearest_one() {
        let metrics = Metrics::from([("eval/mean_reward".to_owned(), 1.0), ("time/fps".to_owned(), 5.0)]);
        assert!(recorded("time/fps", Path::new("r0"), &metrics).is_ok());
        let refused = recorded("eval/mean_rewrad", Path::new("r0"), &metrics).expect_err("no such tag");
        assert_eq!(
            refused.to_string(),
            "metric: r0 recorded no `eval/mean_rewrad`, only eval/mean_reward, time/fps; did you mean `eval/mean_reward`?"
        );
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
}
