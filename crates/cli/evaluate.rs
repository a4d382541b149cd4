use crate::args::Evaluate;
use crate::env_file::EnvFile;
use crate::failure::{Failure, Kind, OrFail, must_exist};
use crate::market_worth::{self, Worth};
use crate::output::Output;
use crate::plan::Plan;
use crate::scene::Scene;
use crate::value;
use haggle_policy::{Bundle, BundleError, MANIFEST_FILE, MarketBundle};
use std::path::{Path, PathBuf};

/// `haggle evaluate`: a market's policy beside the optimum, or a shop's on the weeks that its run holds out.
pub fn run(args: &Evaluate, output: Output) -> Result<(), Failure> {
    let say = |sentence: String| Err(Failure::say(Kind::Usage, sentence));
    must_exist(&args.path)?;
    let is_run = args.path.join("config.toml").exists();
    let folder = if is_run {
        last_bundle(&args.path)?
    } else {
        args.path.clone()
    };
    let bundle = match MarketBundle::load(&folder) {
        Err(BundleError::NoMarket) if is_run => return shop(args, &folder, output),
        Err(BundleError::NoMarket) => {
            return say(format!(
                "{} prices a shop: name its run's folder instead, whose config says on which weeks it is valued",
                folder.display()
            ));
        }
        bundle => bundle.or_fail(Kind::Data)?,
    };
    let market = match &args.env {
        None if args.sets.is_empty() => None,
        None => return say("--set changes the market of --env; name that too".to_owned()),
        Some(path) => match EnvFile::load(path, &args.sets)?.value {
            EnvFile::Market(market) => Some(market),
            _ => return say(format!("{}: no market; the policy prices one", path.display())),
        },
    };
    let worth = Worth::of(&folder, &bundle, market.as_ref())?;
    if is_run && worth.trained_elsewhere.is_empty() {
        market_worth::keep(&args.path, &worth.value)?;
    }
    output.result(&worth, &worth);
    Ok(())
}

/// The last bundle of a run on replayed sessions.
fn shop(args: &Evaluate, bundle: &Path, output: Output) -> Result<(), Failure> {
    if args.env.is_some() || !args.sets.is_empty() {
        let sentence =
            "the run prices a shop, on the weeks that its own config holds out; --env and --set take markets";
        return Err(Failure::say(Kind::Usage, sentence));
    }
    let plan = Plan::of_run(&args.path)?.replay()?;
    let bundle = Bundle::load(bundle).or_fail(Kind::Data)?;
    let scene = Scene::prepare(&plan.env, &plan.runs.join("cache"), output)?;
    let report = value::of_bundle(&plan, &scene, &bundle, &plan.env.held_out_weeks.range())?;
    value::keep(&args.path, &report)?;
    output.result(&report, &report);
    Ok(())
}

/// The bundle that a run wrote last.
pub fn last_bundle(run: &Path) -> Result<PathBuf, Failure> {
    let folder = run.join("bundles");
    let none = || {
        Failure::say(
            Kind::Data,
            format!("{}: no bundle is here; has the run finished?", folder.display()),
        )
    };
    let entries = std::fs::read_dir(&folder).map_err(|_| none())?;
    entries
        .flatten()
        .filter(|entry| entry.path().join(MANIFEST_FILE).exists())
        .max_by_key(|entry| entry.metadata().and_then(|data| data.modified()).ok())
        .map(|entry| entry.path())
        .ok_or_else(none)
}
