//! A training run from its first step to its last, whatever it is trained in: run folder, checkpoints, console, signals.

use crate::console::{Console, Valuation};
use crate::failure::{Failure, Kind, OrFail};
use crate::output::Output;
use crate::plan::Plan;
use crate::seat::Seat;
use haggle_core::Digest;
use haggle_env::Env;
use haggle_learn::{
    Checkpoint, Ended, LearnError, Mappo, Run, RunStatus, RunSubject, latest_checkpoint, point_latest,
    record_bundle, train,
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
pub struct Facts {
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
    /// The learner.
    pub learner: Mappo,
    folder: PathBuf,
    steps_per_second: f64,
}

impl Training<'_> {
    /// Trains the policy of a plan to its end.
    ///
    /// # Errors
    /// When it diverges, is interrupted, or something cannot be read or written.
    pub fn run<E: Serialize>(self, plan: &Plan<E>, output: Output) -> Result<Trained, Failure> {
        let mut learner = Mappo::new(plan.learner.clone(), self.env).map_err(failure)?;
        let (config, settings) = (plan.to_toml()?, plan.settings()?);
        let mut run = match self.seat {
            Seat::New => Run::create(&plan.runs, self.subject, &config, &settings).map_err(failure)?,
            Seat::Named(folder) => {
                let run = Run::create_at(folder, self.subject, &config, &settings).map_err(failure)?;
                point_latest(&plan.runs, folder).map_err(failure)?;
                run
            }
            Seat::OfGroup(folder) => {
                Run::create_at(folder, self.subject, &config, &settings).map_err(failure)?
            }
            Seat::Resume(folder) => {
                let path = latest_checkpoint(folder).map_err(failure)?;
                let checkpoint = Checkpoint::read(&path).map_err(failure)?;
                learner.restore(&checkpoint).map_err(failure)?;
                Run::resume(folder, learner.steps()).map_err(failure)?
            }
        };
        run.runs_on(learner.device()).map_err(failure)?;
        output.progress(format_args!("run        {}", run.folder().display()));
        let (began, started) = (learner.steps(), Instant::now());
        let mut console = Console::new(output, plan.learner.steps, self.valuation);
        let outcome = train(&mut learner, Some(&mut run), &mut console, stop_flag());
        let status = match &outcome {
            Ok(finish) if finish.how == Ended::Finished => RunStatus::Finished,
            Ok(_) => RunStatus::Interrupted,
            Err(_) => RunStatus::Failed,
        };
        let folder = run.folder().to_owned();
        if let Some(warning) = run.finish(status).map_err(failure)? {
            output.progress(warning);
        }
        let finish = outcome.map_err(|error| failure(error).within(&plan.env_name))?;
        if finish.how == Ended::Interrupted {
            let sentence = format!(
                "interrupted at {} steps; go on with --resume {}",
                finish.steps,
                folder.display()
            );
            return Err(Failure::say(Kind::Interrupted, sentence));
        }
        Ok(Trained {
            steps_per_second: (finish.steps - began) as f64 / started.elapsed().as_secs_f64(),
            learner,
            folder,
        })
    }
}

impl Trained {
    /// The run's name: that of its folder.
    pub fn name(&self) -> String {
        let name = self.folder.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// Has the run's bundle written; `write` gets the folder for it.
    pub fn keep(
        &self,
        write: impl FnOnce(&Path) -> Result<(Digest, PathBuf), BundleError>,
    ) -> Result<Facts, Failure> {
        let (digest, bundle) = write(&self.folder.join("bundles")).or_fail(Kind::Data)?;
        record_bundle(&self.folder, digest).map_err(failure)?;
        Ok(Facts {
            run: self.folder.clone(),
            steps: self.learner.steps(),
            steps_per_second: self.steps_per_second,
            device: self.learner.device(),
            bundle,
            digest,
        })
    }
}

impl Facts {
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

/// The exit code that a learner's error stands for.
pub fn failure(error: LearnError) -> Failure {
    let kind = match &error {
        LearnError::Config(_)
        | LearnError::Environment { .. }
        | LearnError::NobodyActs { .. }
        | LearnError::Busy { .. } => Kind::Usage,
        LearnError::Device { .. } => Kind::Device,
        LearnError::Diverged { .. } => Kind::Diverged,
        _ => Kind::Data,
    };
    Failure::new(kind, error)
}
