use crate::args::Train;
use crate::env_file::EnvFile;
use crate::failure::{Failure, Kind};
use crate::market_run::{self, Stage};
use crate::output::Output;
use crate::plan::Plan;
use crate::run_policy::last_bundle;
use crate::seat::{Existing, Seat, is_done};
use crate::{going_on, replay_run, report};
use haggle_learn::read_facts;
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

/// `haggle train` from one seed.
pub fn run(args: &Train, output: Output) -> Result<(), Failure> {
    let (plan, origins) = Plan::read(&args.config, &args.sets)?;
    let seat = seat(args)?;
    going_on::check(&plan, &seat, &origins)?;
    if let Some(done) = Done::find(&plan, &seat)? {
        output.result(&done, &done);
        return Ok(());
    }
    let (text, told) = train(&plan, &seat, output)?;
    output.result(text, &told);
    Ok(())
}

/// Where the run writes.
fn seat(args: &Train) -> Result<Seat, Failure> {
    match (&args.resume, &args.out, &args.from) {
        (None, _, Some(from)) if args.restart != Some(Existing::Resume) => {
            let sentence = format!(
                "--from {from} names a checkpoint of a run: say which, with --resume RUN or --out RUN --restart resume"
            );
            Err(Failure::say(Kind::Usage, sentence))
        }
        (Some(folder), _, from) | (None, Some(folder), from @ Some(_)) => Ok(Seat::Resume {
            folder: folder.clone(),
            from: from.clone(),
        }),
        (None, Some(folder), None) => Seat::at(folder, args.restart),
        (None, None, _) => Ok(Seat::New),
    }
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

/// A run that has nothing left to do.
#[derive(Serialize)]
struct Done {
    run: PathBuf,
    steps: u64,
    bundle: PathBuf,
    finished: bool,
}

impl Done {
    fn find(plan: &Plan, seat: &Seat) -> Result<Option<Self>, Failure> {
        let Seat::Resume { folder, from: None } = seat else {
            return Ok(None);
        };
        let steps = read_facts(folder)?.steps;
        if !is_done(folder) || steps < plan.learner.steps {
            return Ok(None);
        }
        Ok(Some(Self {
            run: folder.clone(),
            steps,
            bundle: last_bundle(folder)?,
            finished: true,
        }))
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "run      {}\nbundle   {}\nsteps    {}: the run is finished; more steps need a larger learner.steps",
            self.run.display(),
            self.bundle.display(),
            self.steps
        )
    }
}

/// Trains the policy of a plan and writes the run's report; returns what to tell people and programs.
pub fn train(plan: &Plan, seat: &Seat, output: Output) -> Result<(String, Told), Failure> {
    if let EnvFile::Replay(env) = &plan.env {
        let (text, told) = replay_run::run(&plan.in_env((**env).clone()), seat, output)?;
        report::of_run(&told.run.run)?;
        return Ok((text, Told::Replay(Box::new(told))));
    }
    let (text, told) = market_run::run(plan, &Stage::of(&plan.env)?, seat, output)?;
    if let EnvFile::Market(_) = plan.env {
        report::of_run(&told.run.run)?; // a probe has no score to report
    }
    Ok((text, Told::Market(Box::new(told))))
}
