use crate::args::Evaluate;
use crate::failure::{Failure, Kind, OrFail};
use crate::output::Output;
use crate::plan::Plan;
use crate::scene::Scene;
use crate::value;
use haggle_policy::{Bundle, MANIFEST_FILE};
use std::path::{Path, PathBuf};

/// `haggle evaluate`: the last bundle of a run, on the weeks that its plan holds out.
pub fn run(args: &Evaluate, output: Output) -> Result<(), Failure> {
    let plan = Plan::of_run(&args.run)?.replay()?;
    let bundle = Bundle::load(&last_bundle(&args.run)?).or_fail(Kind::Data)?;
    let scene = Scene::prepare(&plan.env, &plan.runs.join("cache"), output)?;
    let report = value::of_bundle(&plan, &scene, &bundle, &plan.env.held_out_weeks.range())?;
    value::keep(&args.run, &report)?;
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
