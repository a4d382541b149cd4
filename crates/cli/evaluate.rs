use crate::args::Evaluate;
use crate::env_file::EnvFile;
use crate::failure::{Failure, Kind, OrFail, must_exist};
use crate::market_worth::{self, Worth};
use crate::output::Output;
use crate::plan::Plan;
use crate::scene::Scene;
use crate::value;
use haggle_learn::read_facts;
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

/// The bundle that a run wrote last, by its own record: the times of folders change where a run is copied.
pub fn last_bundle(run: &Path) -> Result<PathBuf, Failure> {
    let folder = run.join("bundles");
    let refuse = |sentence: &str| {
        let sentence = format!("{}: {sentence}", folder.display());
        Err(Failure::say(Kind::Data, sentence))
    };
    let is_bundle = |path: &PathBuf| path.join(MANIFEST_FILE).exists();
    if let Some(digest) = read_facts(run).or_fail(Kind::Data)?.bundle {
        let recorded = Some(folder.join(digest.short())).filter(is_bundle);
        return match recorded {
            Some(path) => Ok(path),
            None => refuse(&format!("the run's last bundle, {digest}, is not here")),
        };
    }
    let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    let named = entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.')); // the others are drafts
    let bundles: Vec<PathBuf> = named.map(|entry| entry.path()).filter(is_bundle).collect();
    match bundles.as_slice() {
        [] => refuse("no bundle is here; has the run finished?"),
        [bundle] => Ok(bundle.clone()),
        several => refuse(&format!(
            "{} bundles are here, and run.json does not say which is the last; name the folder of one",
            several.len()
        )),
    }
}
