//! The tables of a report.

use super::levels;
use crate::curves::RATIO;
use crate::failure::{Failure, Kind, OrFail};
use crate::group::ScoredRun;
use haggle_eval::plot::{Strip, StripRow};
use haggle_eval::{Comparison, Evaluation, EvaluationRow, GroupScore, Interval, Page, RunScore};

/// Every seed's score, and how the groups compare.
pub(super) fn seeds(page: &mut Page, comparison: &Comparison, first: &ScoredRun) {
    let row = |group: &GroupScore| StripRow {
        name: group.name.clone(),
        dots: group
            .runs
            .iter()
            .map(|run| (run.run.clone(), run.score))
            .collect(),
        aggregate: group.iqm,
    };
    let strip = Strip {
        title: "A dot per seed; bars: interquartile mean with its 95 % interval".to_owned(),
        x_name: comparison.score.split(',').next().unwrap_or_default().to_owned(),
        rows: comparison.groups.iter().map(row).collect(),
        levels: levels(RATIO, first),
    };
    page.heading("Seeds", &format!("Score: {}.", comparison.score));
    page.figures(&[strip.html()]);
    let runs = comparison.groups.iter().flat_map(|group| {
        let cells = |run: &RunScore| {
            vec![
                run.run.clone(),
                group.name.clone(),
                run.seed.to_string(),
                format!("{:.6}", run.score),
            ]
        };
        group.runs.iter().map(cells)
    });
    page.table(&["run", "group", "seed", "score"], &runs.collect::<Vec<_>>());
    let pairs: Vec<Vec<String>> = comparison
        .improvement
        .iter()
        .map(|pair| {
            let Interval { value, low, high } = pair.probability;
            vec![
                format!("{} scores higher than {}", pair.of, pair.over),
                format!("{value:.4}"),
                format!("{low:.4} to {high:.4}"),
            ]
        })
        .collect();
    if !pairs.is_empty() {
        page.table(
            &["probability that a run of", "estimate", "95 % interval"],
            &pairs,
        );
    }
}

/// A shop's policy on weeks that nobody learnt from.
pub(super) fn held_out(page: &mut Page, evaluation: &Evaluation) {
    page.heading(
        "Held-out weeks",
        &format!("{}; {} sessions.", evaluation.heading, evaluation.sessions),
    );
    let cells = |row: &EvaluationRow| {
        let gain = row.revenue_gain;
        vec![
            row.name.clone(),
            format!("{:.0}", row.revenue),
            format!(
                "{:+.2} [{:+.2}, {:+.2}]",
                100.0 * gain.value,
                100.0 * gain.low,
                100.0 * gain.high
            ),
            format!("{:.0}", row.units),
            format!("{:.4}", row.price_index),
            format!("{:.1}", 100.0 * row.edge_share),
        ]
    };
    let rows: Vec<Vec<String>> = evaluation.rows.iter().map(cells).collect();
    page.table(
        &["prices", "revenue", "gain %", "units", "price index", "edge %"],
        &rows,
    );
}

/// Programs, machines and settings of the runs.
pub(super) fn provenance(page: &mut Page, runs: &[&ScoredRun]) -> Result<(), Failure> {
    page.heading("Where it comes from", "");
    let row = |run: &&ScoredRun| {
        let facts = &run.facts;
        let dirty = if facts.dirty == Some(true) {
            ", with changes"
        } else {
            ""
        };
        let revision = facts
            .revision
            .as_deref()
            .map_or("none", |revision| &revision[..revision.len().min(12)]);
        vec![
            facts.name.clone(),
            facts.program.clone(),
            format!("{revision}{dirty}"),
            facts.host.clone(),
            facts.started.clone(),
            facts.steps.to_string(),
        ]
    };
    let rows: Vec<Vec<String>> = runs.iter().map(row).collect();
    page.table(&["run", "program", "revision", "host", "begun", "steps"], &rows);
    for run in runs {
        let path = run.folder.join("config.toml");
        let config = std::fs::read_to_string(&path).or_fail_at(Kind::Data, &path)?;
        let data = run
            .facts
            .subject
            .data
            .iter()
            .map(|(name, digest)| format!("# {name}: {digest}\n"));
        let text = format!(
            "# {}\n{}\n{config}",
            run.facts.argv.join(" "),
            data.collect::<String>()
        );
        page.folded(&format!("Settings of {}", run.facts.name), &text);
    }
    Ok(())
}
