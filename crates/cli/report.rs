//! Runs as one HTML file.

use crate::args::Report;
use crate::curves::{Curves, RATIO, VALUE};
use crate::failure::{Failure, Kind, OrFail};
use crate::group::{self, Group, RunWorth, ScoredRun};
use crate::output::Output;
use crate::price_plot;
use crate::value;
use anyhow::Context;
use haggle_eval::plot::{Level, Strip, StripRow};
use haggle_eval::{
    Comparison, Evaluation, EvaluationRow, GroupScore, How, Interval, MarketValue, Page, RunScore,
    price_chart,
};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Its name in a run's folder.
const FILE: &str = "report.html";

/// What the command tells.
#[derive(Serialize)]
struct Told {
    report: PathBuf,
}

/// `haggle report`: one HTML file about some runs.
pub fn run(args: &Report, output: Output) -> Result<(), Failure> {
    let groups = Group::read_all(&args.groups, None)?;
    let path = match (&args.out, &groups[..]) {
        (Some(path), _) => path.clone(),
        (None, [group]) if group.runs.len() == 1 => group.runs[0].folder.join(FILE),
        (None, _) => {
            return Err(Failure::say(
                Kind::Usage,
                "several runs: --out has to name the file",
            ));
        }
    };
    write(&groups, &path)?;
    output.result(path.display(), &Told { report: path.clone() });
    Ok(())
}

/// Writes `report.html` into a run's folder.
pub fn of_run(folder: &Path) -> Result<(), Failure> {
    write(&Group::read_all(&[folder.to_owned()], None)?, &folder.join(FILE))
}

fn write(groups: &[Group], path: &Path) -> Result<(), Failure> {
    std::fs::write(path, page(groups)?.html())
        .with_context(|| path.display().to_string())
        .or_fail(Kind::Data)
}

fn page(groups: &[Group]) -> Result<Page, Failure> {
    let runs: Vec<&ScoredRun> = groups.iter().flat_map(|group| &group.runs).collect();
    let first = runs[0];
    let comparison = group::comparison(groups)?;
    let mut page = match runs[..] {
        [run] => {
            let status = format!("{:?}", run.facts.status).to_lowercase();
            let below = format!(
                "{status} after {} steps, begun {}",
                run.facts.steps, run.facts.started
            );
            Page::new(&run.facts.name, &below)
        }
        _ => {
            let names: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
            Page::new(
                &names.join(" against "),
                &format!("{} runs in one environment", runs.len()),
            )
        }
    };
    match &first.worth {
        RunWorth::Market { worth, .. } if runs.len() == 1 => page.tiles(&market_tiles(&worth.value)),
        RunWorth::Shop(evaluation) if runs.len() == 1 => shop_tiles(&mut page, evaluation),
        _ => page.tiles(&group_tiles(&comparison)),
    }
    // In a market the value is drawn as a share of the optimum.
    let left_out: &[&str] = match first.worth {
        RunWorth::Market { .. } => &[VALUE],
        RunWorth::Shop(_) => &[],
    };
    let curves = Curves::read(groups)?.charts(left_out, |tag| levels(tag, first));
    if !curves.is_empty() {
        let note = if runs.len() > groups.len() {
            "Interquartile mean over seeds; bands are its 95 % bootstrap intervals."
        } else {
            "One seed per line."
        };
        page.heading("Learning curves", note);
        page.figures(&curves);
    }
    for group in groups {
        prices(&mut page, group)?;
    }
    if runs.len() > 1 {
        seeds(&mut page, &comparison, first);
    }
    if let RunWorth::Shop(evaluation) = &first.worth {
        held_out(&mut page, evaluation);
    }
    provenance(&mut page, &runs)?;
    Ok(page)
}

fn market_tiles(value: &MarketValue) -> Vec<(&'static str, String, String)> {
    let how = match (value.how, value.interval) {
        (How::RolledOut, Some([low, high])) => {
            format!(
                "by episodes, 95 %: {:.4} to {:.4}",
                low / value.v_star,
                high / value.v_star
            )
        }
        _ => "exact".to_owned(),
    };
    let gap = value
        .gap_score
        .map_or("none".to_owned(), |gap| format!("{gap:.4}"));
    let mut tiles = vec![
        ("V / V*", format!("{:.4}", value.ratio), how),
        ("Gap score", gap, "0: best fixed price, 1: optimum".to_owned()),
        (
            "V",
            format!("{:.4}", value.value),
            format!("V* = {:.6}", value.v_star),
        ),
        (
            "Best fixed price",
            format!("{:.4}", value.v_fixed / value.v_star),
            format!("of V*, at {:.4}", value.fixed_price),
        ),
    ];
    if let Some(rivalry) = &value.rivalry {
        let reply = 100.0 * rivalry.reply_gain_max;
        let gains = rivalry.deviation.iter().map(|deviation| deviation.gain);
        let left = 100.0 * gains.fold(f64::NEG_INFINITY, f64::max);
        tiles.extend([
            (
                "Delta",
                format!("{:.4}", rivalry.delta),
                "0: equilibrium, 1: cartel".to_owned(),
            ),
            (
                "Best reply gains",
                format!("{reply:.3} %"),
                "largest over sellers, exact".to_owned(),
            ),
            (
                "One deviation gains",
                format!("{left:.3} %"),
                "below 0: it is punished".to_owned(),
            ),
        ]);
    }
    if value.guardrail_hits > 0.0 {
        let hits = format!("{:.1} %", 100.0 * value.guardrail_hits);
        tiles.push(("Guardrail hits", hits, "of decisions".to_owned()));
    }
    tiles
}

fn shop_tiles(page: &mut Page, evaluation: &Evaluation) {
    let Some(row) = value::trained(evaluation) else {
        return;
    };
    let percent = |interval: Interval| {
        let range = format!(
            "95 %: {:.2} to {:.2}",
            100.0 * interval.low,
            100.0 * interval.high
        );
        (format!("{:+.2} %", 100.0 * interval.value), range)
    };
    let (gain, gain_range) = percent(row.revenue_gain);
    let index = row.price_index;
    page.tiles(&[
        ("Revenue, simulated, over logged prices", gain, gain_range),
        (
            "Price index",
            format!("{:.4}", index.value),
            format!("95 %: {:.4} to {:.4}", index.low, index.high),
        ),
        (
            "Prices at the ladder's edge",
            format!("{:.1} %", 100.0 * row.edge_share),
            "of all prices".to_owned(),
        ),
    ]);
}

fn group_tiles(comparison: &Comparison) -> Vec<(&str, String, String)> {
    let tile = |group: &GroupScore| {
        let note = if group.runs.len() > 1 {
            format!(
                "IQM of {} seeds, 95 %: {:.4} to {:.4}",
                group.runs.len(),
                group.iqm.low,
                group.iqm.high
            )
        } else {
            "one seed".to_owned()
        };
        (format!("{:.4}", group.iqm.value), note)
    };
    let groups = comparison.groups.iter().map(|group| {
        let (number, note) = tile(group);
        (group.name.as_str(), number, note)
    });
    groups.collect()
}

/// What a learning curve is compared with.
fn levels(tag: &str, run: &ScoredRun) -> Vec<Level> {
    let level = |name: &str, value: f64| Level {
        name: name.to_owned(),
        value,
    };
    match &run.worth {
        RunWorth::Market { worth, .. } if tag == RATIO => vec![
            level("optimum", 1.0),
            level("best fixed price", worth.value.v_fixed / worth.value.v_star),
        ],
        _ => Vec::new(),
    }
}

/// Prices against states, of the group's first seed.
fn prices(page: &mut Page, group: &Group) -> Result<(), Failure> {
    let run = &group.runs[0];
    let RunWorth::Market {
        market,
        bundle,
        worth,
    } = &run.worth
    else {
        return Ok(());
    };
    let rivalry = worth.value.rivalry.as_ref();
    let (name, best) = match rivalry {
        None => ("The policy's mean price", "The optimal price"),
        Some(_) => ("The first seller's mean price", "Its best reply"),
    };
    let mut figures = Vec::new();
    if let Some(chart) = price_chart(market, bundle.actors()).or_fail(Kind::Data)? {
        figures = price_plot::prices(&chart, name, best);
    }
    let equilibrium = market.oracle().or_fail(Kind::Data)?.equilibrium;
    if let Some((rivalry, equilibrium)) = rivalry.zip(equilibrium) {
        let prices = (
            equilibrium.nash_price.seller(0),
            equilibrium.monopoly_price.seller(0),
        );
        figures.extend(price_plot::deviation(rivalry, prices.0, prices.1));
    }
    if !figures.is_empty() {
        page.heading(
            "Prices",
            &format!("{}, seed {}.", group.name, run.facts.subject.seed),
        );
        page.figures(&figures);
    }
    Ok(())
}

fn seeds(page: &mut Page, comparison: &Comparison, first: &ScoredRun) {
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

fn held_out(page: &mut Page, evaluation: &Evaluation) {
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

fn provenance(page: &mut Page, runs: &[&ScoredRun]) -> Result<(), Failure> {
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
        let config = std::fs::read_to_string(&path)
            .with_context(|| path.display().to_string())
            .or_fail(Kind::Data)?;
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
