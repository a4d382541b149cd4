//! The policy of any checkpoint of a run, as the bundle that the run would have ended with there.

use crate::args::BundleOf;
use crate::env_file::EnvFile;
use crate::failure::{Failure, Kind, OrFail, must_exist};
use crate::output::Output;
use crate::plan::Plan;
use crate::run_policy;
use crate::scene::Scene;
use haggle_core::Digest;
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

/// What `haggle bundle` tells.
#[derive(Serialize)]
struct Made {
    bundle: PathBuf,
    digest: Digest,
    checkpoint: PathBuf,
    steps: u64,
}

/// `haggle bundle`.
pub fn run(args: &BundleOf, output: Output) -> Result<(), Failure> {
    must_exist(&args.run)?;
    let plan = Plan::of_run(&args.run)?;
    let (path, checkpoint) = run_policy::read(&args.run, &args.checkpoint)?;
    let written = if let EnvFile::Replay(_) = &plan.env {
        let plan = plan.replay()?;
        let scene = Scene::prepare(&plan.env, &plan.runs.join("cache"), output)?;
        run_policy::shop(&args.run, &plan, &scene, &checkpoint)?.write(&args.out)
    } else {
        run_policy::market(&plan, &checkpoint)?.write(&args.out)
    };
    let (digest, bundle) = written.or_fail(Kind::Data)?;
    let made = Made {
        bundle,
        digest,
        checkpoint: path,
        steps: checkpoint.steps(),
    };
    output.result(&made, &made);
    Ok(())
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "bundle     {}\ncheckpoint {} ({} steps)",
            self.bundle.display(),
            self.checkpoint.display(),
            self.steps
        )
    }
}
