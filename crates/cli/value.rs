//! What a policy is worth on weeks that it has not seen, beside the logged prices and the best fixed ones.

use crate::env_file::ReplayFile;
use crate::failure::{Failure, Kind, OrFail};
use crate::output::Output;
use crate::plan::Plan;
use crate::scene::Scene;
use haggle_demand::DemandModel;
use haggle_env::{Pricing, WalkPlan, walk};
use haggle_eval::{Contender, Evaluation, EvaluationRow, Resimulation, compare_on_replay, resimulate};
use haggle_learn::Metrics;
use haggle_policy::Bundle;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// As many weeks a log needs to learn its users' habits; earlier visits cannot be told apart from first ones.
const WARM_UP_WEEKS: u32 = 8;
/// Walks with one seed meet the same shoppers.
const WALK_SEED: u64 = 1;

/// The trained policy's name in a table.
const TRAINED: &str = "trained";

/// Values bundles by name on the given weeks, beside the logged and the best fixed prices, under the valuation model.
pub fn of_bundles(
    plan: &Plan<ReplayFile>,
    scene: &Scene,
    bundles: &[(&str, &Bundle)],
    weeks: &Range<u32>,
) -> Result<Evaluation, Failure> {
    let mut contenders = vec![Contender {
        name: "best fixed".to_owned(),
        pricing: Pricing::Fixed(&scene.fixed.rungs),
    }];
    contenders.extend(bundles.iter().map(|(name, bundle)| Contender {
        name: (*name).to_owned(),
        pricing: Pricing::Policy(*bundle),
    }));
    let model = named(&scene.judge);
    compare_on_replay(
        &scene.valuation,
        &model,
        &contenders,
        &walk_plan(plan, weeks, everyone(plan)),
    )
    .or_fail(Kind::Data)
}

/// Whether simulated shoppers at the logged prices bring the logged revenue, under the training model, once the log is
/// long enough to know its users.
pub fn resimulated(plan: &Plan<ReplayFile>, scene: &Scene) -> Result<Resimulation, Failure> {
    let weeks = plan.env.replay.week_range();
    let weeks = (weeks.start + WARM_UP_WEEKS).min(weeks.end - 1)..weeks.end;
    let model = named(&scene.teacher);
    resimulate(&scene.training, &model, &walk_plan(plan, &weeks, everyone(plan))).or_fail(Kind::Data)
}

fn named(model: &DemandModel) -> String {
    format!("{} (rung {})", model.digest().short(), model.rung())
}

/// The point estimate and every member of the ensemble.
fn everyone(plan: &Plan<ReplayFile>) -> Vec<usize> {
    (0..=plan.env.members).collect()
}

/// Values one trained bundle.
pub fn of_bundle(
    plan: &Plan<ReplayFile>,
    scene: &Scene,
    bundle: &Bundle,
    weeks: &Range<u32>,
) -> Result<Evaluation, Failure> {
    of_bundles(plan, scene, &[(TRAINED, bundle)], weeks)
}

/// Keeps a table in a run's folder.
pub fn keep(run: &Path, report: &Evaluation) -> Result<(), Failure> {
    let json = serde_json::to_vec_pretty(report).or_fail(Kind::Data)?;
    let path = held_out(run);
    std::fs::write(&path, json).or_fail_at(Kind::Data, &path)
}

/// The table that stands in a run's folder.
pub fn kept(run: &Path) -> Result<Evaluation, Failure> {
    let path = held_out(run);
    let bytes = std::fs::read(&path).map_err(|error| {
        let sentence = format!(
            "{}: {error}; `haggle evaluate {}` writes it",
            path.display(),
            run.display()
        );
        Failure::say(Kind::Data, sentence)
    })?;
    serde_json::from_slice(&bytes).or_fail_at(Kind::Data, &path)
}

fn held_out(run: &Path) -> PathBuf {
    run.join("eval").join("held-out.json")
}

/// The trained policy's row of a table.
pub fn trained(report: &Evaluation) -> Option<&EvaluationRow> {
    report.rows.iter().find(|row| row.name == TRAINED)
}

/// Says where the trained prices are surely dearer than they were allowed to be: their gain is then not comparable with that
/// of the best fixed prices.
pub fn warn_above_limit(plan: &Plan<ReplayFile>, report: &Evaluation, output: Output) {
    let limit = plan.env.replay.price_index_limit;
    if let Some((row, limit)) = trained(report)
        .zip(limit)
        .filter(|(row, limit)| row.price_index.low > *limit)
    {
        output.progress(format_args!(
            "warning    the trained prices have an index of {:.4}, above env.replay.price_index_limit = {limit}: part of their \
             gain is the limit broken",
            row.price_index
        ));
    }
}

/// A quick valuation for learning curves: the point estimate only.
pub fn metrics(
    plan: &Plan<ReplayFile>,
    scene: &Scene,
    bundle: &Bundle,
    weeks: &Range<u32>,
) -> Result<Metrics, Failure> {
    let walked = walk(
        &scene.valuation,
        Pricing::Policy(bundle),
        &walk_plan(plan, weeks, vec![0]),
    )
    .or_fail(Kind::Data)?;
    let total = walked.total(0);
    let per_session = |sum: f64| sum / walked.sessions as f64;
    let mut metrics = Metrics::from([
        ("eval/mean_reward".to_owned(), per_session(total.revenue)),
        (
            "pricing/revenue_per_session".to_owned(),
            per_session(total.revenue),
        ),
        ("pricing/units_per_session".to_owned(), per_session(total.units)),
        ("pricing/price_index".to_owned(), total.price_index()),
        ("pricing/edge_share".to_owned(), walked.edge_share),
    ]);
    if walked.costs_known {
        metrics.insert("pricing/margin_per_session".to_owned(), per_session(total.margin));
    }
    Ok(metrics)
}

fn walk_plan(plan: &Plan<ReplayFile>, weeks: &Range<u32>, members: Vec<usize>) -> WalkPlan {
    let replay = &plan.env.replay;
    WalkPlan {
        weeks: weeks.clone(),
        members,
        unit: replay.unit,
        guardrails: replay.guardrails,
        seed: WALK_SEED,
    }
}
