//! `haggle q-learning`: the tabular reference for market C.

use crate::args::QLearning;
use crate::env_file::EnvFile;
use crate::failure::{Failure, Kind};
use crate::output::Output;
use haggle_config::Loaded;
use haggle_env::market::{Action, Market};
use haggle_learn::{TabularConfig, TabularError, tabular_q};

/// Plays many runs of tabular Q-learning sellers and prints how far they collude.
pub fn run(args: &QLearning, output: Output) -> Result<(), Failure> {
    let Loaded { value, source } = EnvFile::load_market(&args.market, &args.sets)?;
    let checked = value.check();
    checked.map_err(|error| source.fault(error.field(), error.to_string()))?;
    let Market::LogitOligopoly(market) = value else {
        let sentence = format!(
            "{}: sellers in tables need kind = \"logit-oligopoly\" (envs/c.toml)",
            args.market.display()
        );
        return Err(Failure::say(Kind::Usage, sentence));
    };
    if market.action == Action::Multiplier {
        let sentence = format!(
            "{}: action = \"multiplier\" has no ladder, and tables need one",
            args.market.display()
        );
        return Err(Failure::say(Kind::Usage, sentence));
    }
    let config = TabularConfig {
        alpha: args.alpha,
        beta: args.beta,
        discount: market.discount,
        runs: args.runs,
        seed: args.seed,
        ..TabularConfig::default()
    };
    output.progress(format_args!(
        "q-learning {} runs of sellers who learn in tables",
        config.runs
    ));
    let report = tabular_q(&market, &config).map_err(|error| match &error {
        TabularError::Rivals(_) => Failure::from(source.fault("rivals", error.to_string())),
        TabularError::Unsettled(_) => Failure::new(Kind::Diverged, error),
        TabularError::Config(_) | TabularError::Market(_) | TabularError::TooLarge { .. } => {
            Failure::new(Kind::Usage, error)
        }
    })?;
    let [low, middle, high] = report.delta_quantiles;
    output.result(
        format_args!(
            "Delta    {:.4}, s.d. {:.4}, 5/50/95 % {low:.3}/{middle:.3}/{high:.3}\nsettled  {} of {} runs, after \
             {:.0} periods on average",
            report.delta_mean,
            report.delta_std,
            report.settled,
            report.settled + report.unsettled,
            report.periods_mean
        ),
        &report,
    );
    Ok(())
}
