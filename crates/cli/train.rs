use crate::args::Train;
use crate::env_file::EnvFile;
use crate::failure::{Failure, Kind};
use crate::output::Output;
use crate::plan::Plan;
use crate::{market_run, replay_run};
use haggle_learn::TrainConfig;
use std::path::Path;

/// `haggle train`.
pub fn run(args: &Train, output: Output) -> Result<(), Failure> {
    let plan = match &args.resume {
        None => Plan::read(&args.config, &args.sets)?.0,
        Some(folder) => resumed_plan(args, folder)?,
    };
    let resume = args.resume.as_deref();
    match &plan.env {
        EnvFile::Replay(env) => replay_run::run(&plan.in_env((**env).clone()), resume, output),
        EnvFile::Market(market) => market_run::run(&plan, &market_run::Stage::Market(market), resume, output),
        EnvFile::Probe(probe) => market_run::run(&plan, &market_run::Stage::Probe(probe), resume, output),
    }
}

/// A run goes on with the values it began with; only its length, its device and its bookkeeping may change.
fn resumed_plan(args: &Train, folder: &Path) -> Result<Plan, Failure> {
    let mut plan = Plan::of_run(folder)?;
    let (asked, _) = Plan::read(&args.config, &args.sets)?;
    plan.learner = TrainConfig {
        steps: asked.learner.steps,
        device: asked.learner.device,
        threads: asked.learner.threads,
        checkpoint_every: asked.learner.checkpoint_every,
        checkpoints_keep: asked.learner.checkpoints_keep,
        eval_every: asked.learner.eval_every,
        ..plan.learner
    };
    if plan.learner != asked.learner || plan.env != asked.env {
        return Err(Failure::say(
            Kind::Usage,
            format!(
                "{} began with other values than {} has now; only its length, device, threads and \
                 bookkeeping may change",
                folder.display(),
                args.config.display()
            ),
        ));
    }
    Ok(plan)
}
