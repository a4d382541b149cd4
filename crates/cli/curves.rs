//! Learning curves: the scalars that runs of several seeds left in `metrics.jsonl`.

use crate::failure::{Failure, Kind, OrFail};
use crate::group::Group;
use anyhow::Context;
use haggle_core::Seeds;
use haggle_eval::plot::{Level, LineChart, Point, Series};
use haggle_eval::{Aggregate, Bootstrap, Scores};
use std::collections::BTreeMap;
use std::path::Path;

/// A line is drawn through so many points at most.
const POINTS_MAX: usize = 150;
/// Replicates behind the interval at each point: a band is looked at, not quoted.
const REPLICATES: usize = 1_000;

/// The scalars that are drawn, where a run has them: tag, title, name of the axis, sign.
const DRAWN: [(&str, &str, &str, f64); 11] = [
    (RATIO, "Value of the policy beside the optimum", "V / V*", 1.0),
    (
        "pricing/delta",
        "Between equilibrium (0) and cartel (1)",
        "Delta",
        1.0,
    ),
    (
        "pricing/reply_gain",
        "What a best reply would win",
        "share of profit",
        1.0,
    ),
    (VALUE, "Value of the policy", "money", 1.0),
    (
        "pricing/price_index",
        "Price index",
        "baskets at its prices / at posted prices",
        1.0,
    ),
    (
        "rollout/ep_rew_mean",
        "Return of an episode in training",
        "money",
        1.0,
    ),
    (
        "rollout/reward_mean",
        "Reward of a step in training",
        "money",
        1.0,
    ),
    ("train/entropy_loss", "Entropy of the policy", "nats", -1.0),
    (
        "train/approx_kl",
        "Kullback-Leibler divergence of an update",
        "nats",
        1.0,
    ),
    (
        "train/explained_variance",
        "Variance that the critic explains",
        "share",
        1.0,
    ),
    ("time/fps", "Speed", "environment steps per second", 1.0),
];

/// The tag of V / V*.
pub const RATIO: &str = "pricing/ratio_to_optimum";
/// The tag of V.
pub const VALUE: &str = "eval/mean_reward";

/// A run's scalars by step and tag.
type Curve = BTreeMap<u64, BTreeMap<String, f64>>;

/// The curves of groups of runs.
pub struct Curves(Vec<(String, Vec<Curve>)>);

impl Curves {
    /// Reads the metrics of every run.
    pub fn read(groups: &[Group]) -> Result<Self, Failure> {
        let of = |group: &Group| {
            let curves = group.runs.iter().map(|run| read(&run.folder));
            Ok((group.name.clone(), curves.collect::<Result<Vec<_>, _>>()?))
        };
        groups
            .iter()
            .map(of)
            .collect::<Result<Vec<_>, Failure>>()
            .map(Self)
    }

    /// A chart per scalar that all runs have, but those left out; `levels(tag)` are lines to compare with.
    pub fn charts(&self, left_out: &[&str], levels: impl Fn(&str) -> Vec<Level>) -> Vec<String> {
        let chart = |(tag, title, y_name, sign): (&str, &str, &str, f64)| {
            let series: Vec<Series> = self
                .0
                .iter()
                .map(|(name, runs)| series(name, runs, tag, sign))
                .collect();
            let chart = LineChart {
                title: title.to_owned(),
                x_name: "environment steps".to_owned(),
                y_name: y_name.to_owned(),
                levels: levels(tag),
                series,
            };
            let drawn = chart.series.iter().all(|series| series.points.len() > 1);
            drawn.then(|| chart.html())
        };
        let drawn = DRAWN.into_iter().filter(|(tag, ..)| !left_out.contains(tag));
        drawn.filter_map(chart).collect()
    }
}

fn read(run: &Path) -> Result<Curve, Failure> {
    let path = run.join("metrics.jsonl");
    let text = std::fs::read_to_string(&path).or_fail_at(Kind::Data, &path)?;
    let mut curve = Curve::new();
    for (number, line) in text.lines().enumerate() {
        let scalars: BTreeMap<String, Option<f64>> = serde_json::from_str(line)
            .with_context(|| format!("{}:{}", path.display(), number + 1))
            .or_fail(Kind::Data)?;
        let step = scalars.get("step").copied().flatten().unwrap_or(0.0) as u64;
        // JSON has no NaN: a scalar without a number is null.
        let known = scalars.into_iter().filter_map(|(tag, value)| Some((tag, value?)));
        curve.entry(step).or_default().extend(known);
    }
    Ok(curve)
}

/// The interquartile mean over seeds at the steps that all of them have, with its interval.
fn series(name: &str, runs: &[Curve], tag: &str, sign: f64) -> Series {
    let at = |step: &u64| -> Option<Vec<f64>> {
        runs.iter()
            .map(|run| run.get(step)?.get(tag).map(|value| sign * value))
            .collect()
    };
    let steps: Vec<(u64, Vec<f64>)> = runs[0]
        .keys()
        .filter_map(|step| Some((*step, at(step)?)))
        .collect();
    let every = steps.len().div_ceil(POINTS_MAX).max(1);
    let last = steps.len().saturating_sub(1);
    let bootstrap = Bootstrap {
        replicates: REPLICATES,
        seeds: Seeds::new(0).named("learning curve"),
    };
    let point = |(step, values): (u64, Vec<f64>)| {
        let scores = Scores::of_one_task(&values).ok()?;
        let iqm = bootstrap.aggregate(&scores, Aggregate::InterquartileMean);
        Some(Point {
            x: step as f64,
            y: iqm.value,
            band: (values.len() > 1).then_some((iqm.low, iqm.high)),
        })
    };
    let drawn = steps
        .into_iter()
        .enumerate()
        .filter(|(n, _)| n % every == 0 || *n == last);
    Series {
        name: name.to_owned(),
        points: drawn.filter_map(|(_, step)| point(step)).collect(),
    }
}
