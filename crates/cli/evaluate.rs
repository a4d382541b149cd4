use crate::args::Evaluate;
use crate::env_file::{EnvFile, ReplayFile};
use crate::failure::{Failure, Kind, OrFail, must_exist};
use crate::market_worth::{self, Worth};
use crate::output::Output;
use crate::plan::Plan;
use crate::{run_policy, value};
use haggle_env::market::Market;
use haggle_learn::list_runs;
use haggle_policy::{BundleError, MarketBundle};
use std::path::Path;

/// `haggle evaluate`: a market's policy beside the optimum, or a shop's on the weeks that its run holds out.
pub fn run(args: &Evaluate, output: Output) -> Result<(), Failure> {
    must_exist(&args.path)?;
    if args.path.join("config.toml").exists() {
        return of_run(args, output);
    }
    refuse_several(&args.path)?;
    if args.checkpoint.is_some() {
        return Err(Failure::say(
            Kind::Usage,
            "--checkpoint names one of a run: give the run's folder",
        ));
    }
    let bundle = match MarketBundle::load(&args.path) {
        Err(BundleError::NoMarket) => {
            let sentence = format!(
                "{} prices a shop: name its run's folder instead, whose config says on which weeks it is valued",
                args.path.display()
            );
            return Err(Failure::say(Kind::Usage, sentence));
        }
        bundle => bundle.or_fail(Kind::Data)?,
    };
    let worth = Worth::of(&args.path, &bundle, elsewhere(args, &bundle)?.as_ref())?;
    output.result(&worth, &worth);
    Ok(())
}

/// The last bundle of a run, or the policy of one of its checkpoints.
fn of_run(args: &Evaluate, output: Output) -> Result<(), Failure> {
    let plan = Plan::of_run(&args.path)?;
    if let EnvFile::Replay(_) = &plan.env {
        return shop(args, &plan.replay()?, output);
    }
    let (path, bundle) = run_policy::market_of(&args.path, &plan, args.checkpoint.as_deref())?;
    let worth = Worth::of(&path, &bundle, elsewhere(args, &bundle)?.as_ref())?;
    if args.checkpoint.is_none() && worth.trained_elsewhere.is_empty() {
        market_worth::keep(&args.path, &worth.value)?;
    }
    output.result(&worth, &worth);
    Ok(())
}

/// The market of `--env`, or else the policy's own, with the overrides; none where it is the policy's own as it was.
fn elsewhere(args: &Evaluate, bundle: &MarketBundle) -> Result<Option<Market>, Failure> {
    let Some(path) = &args.env else {
        if args.sets.is_empty() {
            return Ok(None);
        }
        let whose = format!("the market of {}", args.path.display());
        let home = market_worth::home(bundle)?;
        return EnvFile::varied(&home, &whose, &args.sets).map(Some);
    };
    match EnvFile::load(path, &args.sets)?.value {
        EnvFile::Market(market) => Ok(Some(market)),
        _ => {
            let sentence = format!("{}: no market; the policy prices one", path.display());
            Err(Failure::say(Kind::Usage, sentence))
        }
    }
}

/// Several seeds are one folder, and `latest` may point at it: what they say together is another command's answer.
fn refuse_several(path: &Path) -> Result<(), Failure> {
    let runs = list_runs(path).unwrap_or_default();
    let Some(first) = runs.first() else {
        return Ok(());
    };
    let sentence = format!(
        "{} holds {} runs: name one of them, e.g. {}, or let `haggle compare {}` say what they are worth together",
        path.display(),
        runs.len(),
        first.folder.display(),
        path.display()
    );
    Err(Failure::say(Kind::Usage, sentence))
}

/// A run on replayed sessions.
fn shop(args: &Evaluate, plan: &Plan<ReplayFile>, output: Output) -> Result<(), Failure> {
    if args.env.is_some() || !args.sets.is_empty() {
        let sentence =
            "the run prices a shop, on the weeks that its own config holds out; --env and --set take markets";
        return Err(Failure::say(Kind::Usage, sentence));
    }
    let (scene, bundle) = run_policy::shop_of(&args.path, plan, args.checkpoint.as_deref(), output)?;
    let report = value::of_bundle(plan, &scene, &bundle, &plan.env.held_out_weeks.range())?;
    value::warn_above_limit(plan, &report, output);
    if args.checkpoint.is_none() {
        value::keep(&args.path, &report)?;
    }
    output.result(&report, &report);
    Ok(())
}
