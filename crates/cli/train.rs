use crate::args::Train;
use crate::env_file::EnvFile;
use crate::failure::{Failure, Kind};
use crate::market_run::{self, Stage};
use crate::output::Output;
use crate::plan::Plan;
use crate::seat::Seat;
use crate::{replay_run, seeds};
use haggle_learn::TrainConfig;
use serde::Serialize;

/// `haggle train`.
pub fn run(args: &Train, output: Output) -> Result<(), Failure> {
    if let Some(list) = &args.seeds {
        return seeds::run(args, list, output);
    }
    let (plan, _) = Plan::read(&args.config, &args.sets)?;
    let seat = match (&args.resume, &args.out) {
        (Some(folder), _) => Seat::Resume(folder.clone()),
        (None, Some(folder)) => Seat::at(folder, args.restart)?,
        (None, None) => Seat::New,
    };
    check_resume(&plan, &seat)?;
    let (text, told) = train(&plan, &seat, output)?;
    output.result(text, &told);
    Ok(())
}

/// What a training run tells programs.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Told {
    /// On replayed sessions.
    Replay(Box<replay_run::Told>),
    /// In a market or a probe.
    Market(Box<market_run::Told>),
}

/// Trains the policy of a plan; returns what to tell people and programs.
pub fn train(plan: &Plan, seat: &Seat, output: Output) -> Result<(String, Told), Failure> {
    let stage = match &plan.env {
        EnvFile::Replay(env) => {
            let (text, told) = replay_run::run(&plan.in_env((**env).clone()), seat, output)?;
            return Ok((text, Told::Replay(Box::new(told))));
        }
        EnvFile::Market(market) => Stage::Market(market),
        EnvFile::Probe(probe) => Stage::Probe(probe),
    };
    let (text, told) = market_run::run(plan, &stage, seat, output)?;
    Ok((text, Told::Market(Box::new(told))))
}

/// A run goes on with the values it began with; only its length, its device and its bookkeeping may change.
pub fn check_resume(plan: &Plan, seat: &Seat) -> Result<(), Failure> {
    let Seat::Resume(folder) = seat else {
        return Ok(());
    };
    let began = Plan::of_run(folder)?;
    let learner = TrainConfig {
        steps: plan.learner.steps,
        device: plan.learner.device,
        threads: plan.learner.threads,
        checkpoint_every: plan.learner.checkpoint_every,
        checkpoints_keep: plan.learner.checkpoints_keep,
        eval_every: plan.learner.eval_every,
        ..began.learner
    };
    if learner == plan.learner && began.env == plan.env {
        return Ok(());
    }
    let sentence = format!(
        "{} began with other values than are asked for now; only its length, device, threads and bookkeeping may change",
        folder.display()
    );
    Err(Failure::say(Kind::Usage, sentence))
}
