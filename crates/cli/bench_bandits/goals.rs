//! What bandits should reach on the markets of `envs/`.

use super::market;
use crate::failure::{Failure, Kind, OrFail};
use haggle_config::load;
use haggle_env::market::{ChangingDemand, Market, Oracle, Segments, StockedPrices, UnknownLinear};
use haggle_policy::bandit::BanditError;
use serde::Serialize;
use std::fmt::Write;
use std::path::Path;

/// A market's rows, from so many seeds.
type Measure = fn(u64) -> Result<Vec<Row>, Failure>;

/// Every market that has a target.
pub const ALL: [Measure; 5] = [segments, corridor, stock, changing, unknown];

const E1_VISITS: usize = 20_000;
/// Rounds between which the slope of the regret in market I is taken.
const I_ROUNDS: [usize; 2] = [1000, 10_000];

/// One market beside its target.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    market: &'static str,
    /// What is measured.
    measure: &'static str,
    /// Mean over the seeds.
    mean: f64,
    /// The seed that did worst; the 95 % quantile of the regret in market I.
    worst: f64,
    target: f64,
    pub passes: bool,
}

/// Mean and worst over the seeds of shares of an optimum.
fn shares(
    market: &'static str,
    measure: &'static str,
    target: f64,
    seeds: u64,
    share: impl Fn(u64) -> Result<f64, BanditError>,
) -> Result<Row, Failure> {
    let shares = (0..seeds)
        .map(share)
        .collect::<Result<Vec<f64>, _>>()
        .or_fail(Kind::Data)?;
    let mean = shares.iter().sum::<f64>() / seeds as f64;
    let worst = shares.iter().copied().fold(f64::INFINITY, f64::min);
    Ok(Row {
        market,
        measure,
        mean,
        worst,
        target,
        passes: mean >= target,
    })
}

fn segments(seeds: u64) -> Result<Vec<Row>, Failure> {
    let prices: Vec<f64> = (0..15).map(|n| 40.0 + 5.0 * f64::from(n)).collect();
    let (market, oracle) = read("e1", &[format!("prices={prices:?}")], as_segments)?;
    let share = |seed| Ok(market::segments(&market, &prices, E1_VISITS, seed)?.profit / oracle.v_star);
    Ok(vec![shares(
        "E1, segments seen",
        "share of the optimum",
        0.97,
        seeds,
        share,
    )?])
}

fn corridor(seeds: u64) -> Result<Vec<Row>, Failure> {
    let prices: Vec<f64> = (0..64).map(|n| 40.0 + f64::from(n)).collect();
    let (market, oracle) = read("e1", &["corridor=0.1".to_owned()], as_segments)?;
    let fair = |seed| market::segments(&market, &prices, E1_VISITS, seed);
    let runs = (0..seeds)
        .map(fair)
        .collect::<Result<Vec<_>, _>>()
        .or_fail(Kind::Data)?;
    let share = |seed: u64| Ok(runs[seed as usize].profit / oracle.v_star);
    let violations = runs.iter().map(|run| run.violations).sum::<usize>() as f64;
    Ok(vec![
        shares("E1, corridor 10 %", "share of the optimum", 0.98, seeds, share)?,
        Row {
            market: "E1, corridor 10 %",
            measure: "prices outside",
            mean: violations / seeds as f64,
            worst: runs.iter().map(|run| run.violations).max().unwrap_or(0) as f64,
            target: 0.0,
            passes: violations == 0.0,
        },
    ])
}

fn stock(seeds: u64) -> Result<Vec<Row>, Failure> {
    let sets = ["periods=10000".to_owned(), "stock=2500".to_owned()];
    let (market, oracle) = read("b1", &sets, as_stocked_prices)?;
    let bound = oracle.references.get("lp").copied().unwrap_or(f64::NAN);
    let share = |seed| Ok(market::stock(&market, seed)? / bound);
    Ok(vec![shares(
        "B1, stock 0.25 a visit",
        "revenue / LP",
        0.995,
        seeds,
        share,
    )?])
}

fn changing(seeds: u64) -> Result<Vec<Row>, Failure> {
    let row = |name, file, target| {
        let (market, oracle) = read(file, &[], as_changing_demand)?;
        let share =
            |seed| Ok(market::changing(&market, market::changing_config(&market, seed))? / oracle.v_star);
        shares(name, "share of the optimum", target, seeds, share)
    };
    Ok(vec![
        row("H1, regimes", "h1", 0.976)?,
        row("H2, season", "h2", 0.957)?,
    ])
}

fn unknown(seeds: u64) -> Result<Vec<Row>, Failure> {
    let (market, oracle) = read("i", &[], as_unknown_linear)?;
    let regret = |seed| market::unknown(&market, oracle.v_star, &I_ROUNDS, seed);
    let runs = (0..seeds)
        .map(regret)
        .collect::<Result<Vec<_>, _>>()
        .or_fail(Kind::Data)?;
    let mean = |at: usize| runs.iter().map(|run| run[at]).sum::<f64>() / seeds as f64;
    let slope = (mean(1) / mean(0)).log10() / (I_ROUNDS[1] as f64 / I_ROUNDS[0] as f64).log10();
    let mut last: Vec<f64> = runs.iter().map(|run| run[1]).collect();
    last.sort_by(f64::total_cmp);
    let late = last[((last.len() - 1) as f64 * 0.95).round() as usize];
    Ok(vec![Row {
        market: "I, unknown line",
        measure: "slope of log regret; p95 regret",
        mean: slope,
        worst: late,
        target: 0.55,
        passes: slope <= 0.55,
    }])
}

/// A market of `envs/`, of the kind that `kind` takes, and what is known of it.
fn read<T>(name: &str, sets: &[String], kind: fn(Market) -> Option<T>) -> Result<(T, Oracle), Failure> {
    let path = Path::new("envs").join(name).with_extension("toml");
    let market: Market = load(&path, sets)?.value;
    let oracle = market.oracle().or_fail(Kind::Usage)?;
    let market = kind(market).ok_or_else(|| {
        Failure::say(
            Kind::Usage,
            format!("{}: another kind of market than it should be", path.display()),
        )
    })?;
    Ok((market, oracle))
}

fn as_segments(market: Market) -> Option<Segments> {
    if let Market::Segments(market) = market {
        Some(market)
    } else {
        None
    }
}

fn as_stocked_prices(market: Market) -> Option<StockedPrices> {
    if let Market::StockedPrices(market) = market {
        Some(market)
    } else {
        None
    }
}

fn as_changing_demand(market: Market) -> Option<ChangingDemand> {
    if let Market::ChangingDemand(market) = market {
        Some(market)
    } else {
        None
    }
}

fn as_unknown_linear(market: Market) -> Option<UnknownLinear> {
    if let Market::UnknownLinear(market) = market {
        Some(market)
    } else {
        None
    }
}

pub fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{:<24}{:<34}{:>10}{:>10}{:>10}",
        "market", "measure", "mean", "worst", "target"
    );
    for row in rows {
        let verdict = if row.passes { "pass" } else { "falls short" };
        let Row {
            market,
            measure,
            mean,
            worst,
            target,
            ..
        } = row;
        let _ = writeln!(
            text,
            "{market:<24}{measure:<34}{mean:>10.4}{worst:>10.4}{target:>10.3}  {verdict}"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_pass(rows: Result<Vec<Row>, Failure>) {
        for row in rows.expect("rows") {
            assert!(row.passes, "{row:?}");
        }
    }

    #[test]
    fn one_season_each_reaches_its_target() {
        for measure in [segments, corridor, stock, changing] {
            all_pass(measure(1));
        }
    }

    #[test]
    #[ignore = "proof: minutes"]
    fn twenty_seeds_reach_every_target() {
        for measure in ALL {
            all_pass(measure(20));
        }
    }
}
