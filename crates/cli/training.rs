//! A training run from its first step to its last, whatever it is trained in: run folder, checkpoints, console, signals.

use crate::console::{Console, Valuation};
use crate::failure::{Failure, Kind, OrFail};
use crate::going_on;
use crate::output::Output;
use crate::plan::Plan;
use crate::seat::Seat;
use haggle_core::Digest;
use haggle_env::Env;
use haggle_learn::{
    Change, Ended, LearnError, Mappo, Run, RunStatus, RunSubject, point_latest, read_facts,
    sound_checkpoints, train,
};
use haggle_policy::BundleError;
use serde::Serialize;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::{register, register_conditional_shutdown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

/// What is to be done.
pub struct Training<'a> {
    /// What is learnt in.
    pub env: Box<dyn Env>,
    /// What the run is about.
    pub subject: RunSubject,
    /// Where it writes.
    pub seat: &'a Seat,
    /// Values the policy as it stands.
    pub valuation: Valuation<'a>,
}

/// What a training run tells programs.
#[derive(Clone, Debug, Serialize)]
pub struct RunSummary {
    /// The run's folder.
    pub run: PathBuf,
    /// Environment steps done in all.
    pub steps: u64,
    /// Environment steps per second, this time.
    pub steps_per_second: f64,
    /// Where gradient steps ran.
    pub device: String,
    /// The bundle's folder.
    pub bundle: PathBuf,
    /// Digest of the bundle.
    pub digest: Digest,
}

/// A learner that did all its steps.
pub struct Trained {
    learner: Mappo,
    run: Run,
    steps_per_second: f64,
    output: Output,
}

impl Training<'_> {
    /// Trains the policy of a plan to its end.
    ///
    /// # Errors
    /// When it diverges, is interrupted, or something cannot be read or written.
    pub fn run<E: Serialize>(self, plan: &Plan<E>, output: Output) -> Result<Trained, Failure> {
        let mut learner = Mappo::new(plan.learner.clone(), self.env)?;
        let (config, settings) = (plan.to_toml()?, plan.settings()?);
        let mut run = match self.seat {
            Seat::New => Run::create(&plan.runs, self.subject, &config, &settings)?,
            Seat::Named(folder) => {
                let run = Run::create_at(folder, self.subject, &config, &settings)?;
                point_latest(&plan.runs, folder)?;
                run
            }
            Seat::OfGroup(folder) => Run::create_at(folder, self.subject, &config, &settings)?,
            Seat::Resume { folder, from } => {
                let (path, checkpoint) = going_on::checkpoint(folder, from.as_deref())?;
                learner.restore(&checkpoint)?;
                let (steps, reached) = (learner.steps(), read_facts(folder)?.steps);
                output.progress(format_args!(
                    "goes on    after {steps} steps, from {}",
                    path.display()
                ));
                if from.is_none() && steps < reached {
                    output.progress(format_args!(
                        "warning    run.json tells of {reached} steps: what came after {steps} has no checkpoint"
                    ));
                }
                let changes = going_on::changes(folder, &plan.learner)?;
                for Change { field, old, new } in &changes {
                    output.progress(format_args!("changed    {field} = {new}, was {old}"));
                }
                let mut run = Run::resume(folder, learner.steps())?;
                run.goes_on(&path, &config, changes)?;
                run
            }
        };
        run.runs_on(learner.device())?;
        output.progress(format_args!("run        {}", run.folder().display()));
        let (began, started) = (learner.steps(), Instant::now());
        let mut console = Console::new(output, plan.learner.steps, self.valuation);
        let outcome = train(&mut learner, Some(&mut run), &mut console, stop_flag());
        let finish = match outcome {
            Ok(finish) => finish,
            Err(error) => {
                let advice = advice(&error, run.folder());
                close(run, RunStatus::Failed, output)?;
                return Err(Failure::from(error).within(&plan.env_name).followed_by(&advice));
            }
        };
        if finish.how == Ended::Interrupted {
            let sentence = format!(
                "interrupted at {} steps; go on with --resume {}",
                finish.steps,
                run.folder().display()
            );
            close(run, RunStatus::Interrupted, output)?;
            return Err(Failure::say(Kind::Interrupted, sentence));
        }
        Ok(Trained {
            steps_per_second: (finish.steps - began) as f64 / started.elapsed().as_secs_f64(),
            learner,
            run,
            output,
        })
    }
}

/// Closes a run; tells what TensorBoard lost.
fn close(run: Run, status: RunStatus, output: Output) -> Result<(), Failure> {
    if let Some(warning) = run.finish(status)? {
        output.progress(warning);
    }
    Ok(())
}

/// What somebody can do about a run that diverged.
fn advice(error: &LearnError, folder: &Path) -> String {
    match error {
        LearnError::Diverged { .. } => {
            let older = sound_checkpoints(folder).unwrap_or_default();
            let older = older.get(1).map_or_else(String::new, |path| {
                format!(
                    "; where that diverges again, from one before it, with --from {}",
                    path.display()
                )
            });
            format!(
                "go on from it with --resume {} and smaller steps, e.g. --set 'learner.learning_rate={{ start = 1e-4, end = 0.0 }}'{older}",
                folder.display()
            )
        }
        _ => String::new(),
    }
}

impl Trained {
    /// Makes the run's bundle and closes the run: it is finished only when `run.json` names a bundle that is on disk. `write`
    /// gets the folder for the bundle.
    pub fn keep<B>(
        mut self,
        make: impl FnOnce(&Mappo) -> Result<B, Failure>,
        write: impl FnOnce(&B, &Path) -> Result<(Digest, PathBuf), BundleError>,
    ) -> Result<(B, RunSummary), Failure> {
        let made = make(&self.learner).and_then(|bundle| {
            let (digest, path) = write(&bundle, &self.run.bundles()).or_fail(Kind::Data)?;
            Ok((bundle, digest, path))
        });
        let (bundle, digest, path) = match made {
            Ok(made) => made,
            Err(failure) => {
                close(self.run, RunStatus::Failed, self.output)?;
                return Err(failure);
            }
        };
        self.run.wrote(digest);
        let facts = RunSummary {
            run: self.run.folder().to_owned(),
            steps: self.learner.steps(),
            steps_per_second: self.steps_per_second,
            device: self.learner.device(),
            bundle: path,
            digest,
        };
        close(self.run, RunStatus::Finished, self.output)?;
        Ok((bundle, facts))
    }
}

impl RunSummary {
    /// For people.
    pub fn summary(&self) -> String {
        format!(
            "run      {}\nbundle   {}\nsteps    {} ({:.0} a second on {})\nwatch    tensorboard --logdir {}",
            self.run.display(),
            self.bundle.display(),
            self.steps,
            self.steps_per_second,
            self.device,
            self.run.join("tb").display()
        )
    }
}

/// Whether somebody asked the program to stop.
pub fn is_stopping() -> bool {
    stop_flag().load(Ordering::Relaxed)
}

/// Set by the first Ctrl-C or SIGTERM: the learner writes a checkpoint and stops. SIGHUP is left as it is, so that `nohup` works.
fn stop_flag() -> &'static AtomicBool {
    static STOP: LazyLock<Arc<AtomicBool>> = LazyLock::new(|| {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order: the second signal finds the flag set by the first and ends the program at once.
            let _ = register_conditional_shutdown(signal, 130, Arc::clone(&stop));
            let _ = register(signal, Arc::clone(&stop));
        }
        stop
    });
    &STOP
}
