//! Runs as one HTML file.

mod tables;
mod tiles;

use crate::args::Report;
use crate::curves::{Curves, RATIO, VALUE};
use crate::failure::{Failure, Kind, OrFail};
use crate::group::{self, Group, RunWorth, ScoredRun};
use crate::output::Output;
use crate::price_plot;
use haggle_eval::plot::Level;
use haggle_eval::{Page, price_chart};
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
    std::fs::write(path, page(groups)?.html()).or_fail_at(Kind::Data, path)
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
        RunWorth::Market { worth, .. } if runs.len() == 1 => page.tiles(&tiles::market(&worth.value)),
        RunWorth::Shop(evaluation) if runs.len() == 1 => tiles::shop(&mut page, evaluation),
        _ => page.tiles(&tiles::group(&comparison)),
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
        tables::seeds(&mut page, &comparison, first);
    }
    if let RunWorth::Shop(evaluation) = &first.worth {
        tables::held_out(&mut page, evaluation);
    }
    tables::provenance(&mut page, &runs)?;
    Ok(page)
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
