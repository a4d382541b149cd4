//! The policy of any checkpoint of a run, as the bundle that the run would have ended with there.

use crate::args::BundleOf;
use crate::env_file::{EnvFile, ReplayFile};
use crate::failure::{Failure, Kind, OrFail, must_exist};
use crate::going_on::read_checkpoint;
use crate::market_run::Stage;
use crate::output::Output;
use crate::plan::Plan;
use crate::replay_run;
use crate::scene::Scene;
use haggle_core::Digest;
use haggle_env::Env;
use haggle_learn::{Checkpoint, DeviceChoice, EngineChoice, Mappo, TrainConfig, read_facts};
use haggle_policy::{Bundle, MarketBundle};
use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};

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
    let (path, checkpoint) = read(&args.run, &args.checkpoint)?;
    let written = if let EnvFile::Replay(_) = &plan.env {
        let plan = plan.replay()?;
        let scene = Scene::prepare(&plan.env, &plan.runs.join("cache"), output)?;
        shop(&args.run, &plan, &scene, &checkpoint)?.write(&args.out)
    } else {
        market(&plan, &checkpoint)?.write(&args.out)
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

/// A checkpoint of a run, by its name.
pub fn read(run: &Path, name: &str) -> Result<(PathBuf, Checkpoint), Failure> {
    let instead = |newest: &Path| format!("take the newest of them with --checkpoint {}", newest.display());
    read_checkpoint(run, name, instead)
}

/// Of a run in a market or a probe.
pub fn market(plan: &Plan, checkpoint: &Checkpoint) -> Result<MarketBundle, Failure> {
    let stage = Stage::of(&plan.env)?;
    let learner = learner_at(checkpoint, &plan.learner, stage.environment(plan.learner.copies)?)?;
    stage.bundle(plan, &learner)
}

/// Of a run on replayed sessions.
pub fn shop(
    run: &Path,
    plan: &Plan<ReplayFile>,
    scene: &Scene,
    checkpoint: &Checkpoint,
) -> Result<Bundle, Failure> {
    replay_run::check_scene(plan, scene, &read_facts(run)?)?;
    let learner = learner_at(checkpoint, &plan.learner, replay_run::environment(plan, scene)?)?;
    replay_run::bundle(plan, scene, &learner)
}

/// The learner as it stood at a checkpoint, on the processor: it makes no steps.
fn learner_at(checkpoint: &Checkpoint, learner: &TrainConfig, env: Box<dyn Env>) -> Result<Mappo, Failure> {
    let config = TrainConfig {
        device: DeviceChoice::Cpu,
        engine: EngineChoice::Auto,
        ..learner.clone()
    };
    let mut learner = Mappo::new(config, env)?;
    learner.restore(checkpoint)?;
    Ok(learner)
}
