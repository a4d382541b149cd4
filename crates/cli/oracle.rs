use crate::args::Oracle as Arguments;
use crate::env_file::EnvFile;
use crate::failure::Failure;
use crate::output::Output;
use haggle_config::Loaded;
use haggle_env::market::{Equilibrium, Market, Oracle, OracleError, PerSeller, WORK_MAX};
use std::fmt::Write;

/// Updates of a market's tables that take a second or two: nobody has to be told of fewer.
const UPDATES_QUICK: f64 = 3e8;

/// `haggle oracle`: what is known exactly of a market.
pub fn run(args: &Arguments, output: Output) -> Result<(), Failure> {
    let market: Loaded<Market> = EnvFile::load_market(&args.market, &args.sets)?;
    let fault = |error: OracleError| market.source.fault(error.field(), error.to_string());
    let updates = market.value.check().map_err(fault)?;
    if updates > UPDATES_QUICK {
        output.progress(format_args!(
            "solving    {}: {updates:.1e} updates of its tables; a minute or two for {WORK_MAX:.0e}",
            args.market.display()
        ));
    }
    let oracle = market.value.oracle().map_err(fault)?;
    output.result(table(&oracle), &oracle);
    Ok(())
}

fn table(oracle: &Oracle) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<32}{value}");
    };
    let share = |value: f64| match oracle.v_star {
        0.0 => format!("{value:.6}"), // nothing can be earned
        optimum => format!("{value:.6}  ({:.4} of the optimum)", value / optimum),
    };
    line("v_star", format!("{:.6}", oracle.v_star));
    line(
        "v_fixed",
        format!("{} at {:.6}", share(oracle.v_fixed), oracle.fixed_price),
    );
    if let Some(actions) = &oracle.first_actions {
        let each = actions
            .iter()
            .map(|action| action.map_or("closed".to_owned(), |price| format!("{price:.6}")));
        line("first_actions", each.collect::<Vec<_>>().join("  "));
    } else if let Some(action) = oracle.first_action {
        line("first_action", format!("{action:.6}"));
    }
    for (name, value) in &oracle.references {
        line(name, format!("{value:.6}"));
    }
    if let Some(Equilibrium {
        nash_price,
        nash_profit,
        monopoly_price,
        monopoly_profit,
        nash_points,
    }) = &oracle.equilibrium
    {
        line("nash_price", each(nash_price));
        line("nash_profit", each(nash_profit));
        line("monopoly_price", each(monopoly_price));
        line("monopoly_profit", each(monopoly_profit));
        for (number, point) in nash_points.iter().enumerate().filter(|_| nash_points.len() > 1) {
            let name = format!("nash_points[{number}]");
            line(
                &name,
                format!("{} earns {}", each(&point.price), each(&point.profit)),
            );
        }
    }
    text
}

fn each(numbers: &PerSeller) -> String {
    match numbers {
        PerSeller::All(number) => format!("{number:.6}"),
        PerSeller::Each(numbers) => {
            let words: Vec<String> = numbers.iter().map(|number| format!("{number:.6}")).collect();
            words.join(" ")
        }
    }
}
