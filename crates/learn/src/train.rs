use crate::progress::{Metrics, Progress};
use crate::{LearnError, Mappo, Run};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Finish {
    /// Whether it did all its steps, or was interrupted after writing a checkpoint.
    pub how: Ended,
    /// Environment steps done.
    pub steps: u64,
    /// The last checkpoint, where the run has a folder.
    pub checkpoint: Option<PathBuf>,
    /// The last evaluation.
    pub evaluation: Metrics,
}

/// Whether a run came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All steps are done.
    Finished,
    /// Somebody asked it to stop; it can be resumed.
    Interrupted,
}

/// Runs a learner to its end, or until `stop` is set (looked at after each iteration). With a run folder, metrics,
/// TensorBoard events and checkpoints go there.
///
/// # Errors
/// When learning diverges (the last checkpoint stays), an evaluation fails, or a file cannot be written.
pub fn train(
    learner: &mut Mappo,
    mut run: Option<&mut Run>,
    progress: &mut dyn Progress,
    stop: &AtomicBool,
) -> Result<Finish, LearnError> {
    let mut finish = Finish {
        how: Ended::Finished,
        steps: learner.steps(),
        checkpoint: None,
        evaluation: Metrics::new(),
    };
    while !learner.finished() {
        let before = learner.steps();
        let iteration = learner
            .iterate()
            .map_err(|error| with_checkpoint(error, finish.checkpoint.as_ref()))?;
        finish.steps = iteration.steps;
        if let Some(run) = run.as_deref_mut() {
            run.record(iteration.steps, &iteration.scalars)?;
            run.record_rungs(iteration.steps, &iteration.rung_counts);
        }
        progress.iteration(&iteration);
        let interrupted = stop.load(Ordering::Relaxed);
        let last = learner.finished() || interrupted;
        let (eval_every, checkpoint_every) = (learner.config().eval_every, learner.config().checkpoint_every);
        if !interrupted && (last || crossed(before, iteration.steps, eval_every)) {
            finish.evaluation = evaluate(learner, run.as_deref_mut(), progress)?;
        }
        if let Some(run) = run.as_deref_mut()
            && (last || crossed(before, iteration.steps, checkpoint_every))
        {
            let keep = learner.config().checkpoints_keep;
            let path = learner.checkpoint().write(&run.checkpoints(), keep)?;
            progress.checkpoint(&path);
            finish.checkpoint = Some(path);
        }
        if interrupted && !learner.finished() {
            finish.how = Ended::Interrupted;
            break;
        }
    }
    Ok(finish)
}

fn evaluate(
    learner: &Mappo,
    run: Option<&mut Run>,
    progress: &mut dyn Progress,
) -> Result<Metrics, LearnError> {
    let policy = learner.actors()?;
    let metrics = progress
        .evaluate(learner.steps(), &policy, learner.multipliers())
        .map_err(LearnError::Evaluation)?;
    if let Some(run) = run
        && !metrics.is_empty()
    {
        run.record(learner.steps(), &metrics)?;
    }
    Ok(metrics)
}

/// Whether a multiple of `every` lies in `(before, after]`; never for 0.
fn crossed(before: u64, after: u64, every: u64) -> bool {
    every > 0 && after / every > before / every
}

fn with_checkpoint(error: LearnError, checkpoint: Option<&PathBuf>) -> LearnError {
    match (error, checkpoint) {
        (LearnError::Diverged { steps, what, .. }, Some(path)) => LearnError::Diverged {
            steps,
            what,
            kept: format!("; the last good checkpoint is {}", path.display()),
        },
        (error, _) => error,
    }
}
