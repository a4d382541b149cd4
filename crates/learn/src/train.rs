use crate::progress::{Metrics, Progress};
use crate::{LearnError, Mappo, Run, TrainConfig, latest_checkpoint};
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
        checkpoint: run.as_ref().and_then(|run| latest_checkpoint(run.folder()).ok()),
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
        if !interrupted && (last || crossed(before, iteration.steps, learner.config().eval_every)) {
            finish.evaluation = evaluate(learner, run.as_deref_mut(), progress)?;
        }
        let TrainConfig {
            checkpoint_every,
            checkpoints_keep: keep,
            checkpoint_milestones: milestones,
            ..
        } = learner.config();
        let milestone = milestones
            .iter()
            .any(|at| (before + 1..=iteration.steps).contains(at));
        if let Some(run) = run.as_deref_mut()
            && (last || milestone || crossed(before, iteration.steps, *checkpoint_every))
        {
            let path = learner.checkpoint().write(&run.checkpoints(), *keep, milestone)?;
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

/// What the best checkpoint is chosen by.
const WORTH: &str = "eval/mean_reward";

/// Values the policy; the best one of a learning curve is kept.
fn evaluate(
    learner: &mut Mappo,
    run: Option<&mut Run>,
    progress: &mut dyn Progress,
) -> Result<Metrics, LearnError> {
    let policy = learner.actors()?;
    let metrics = progress
        .evaluate(learner.steps(), &policy, learner.multipliers())
        .map_err(LearnError::Evaluation)?;
    let best = metrics.get(WORTH).is_some_and(|worth| learner.note(*worth));
    if let Some(run) = run
        && !metrics.is_empty()
    {
        run.record(learner.steps(), &metrics)?;
        if best && learner.config().eval_every > 0 {
            learner.checkpoint().write_best(&run.checkpoints())?;
        }
    }
    Ok(metrics)
}

/// Whether a multiple of `every` lies in `(before, after]`; never for 0.
fn crossed(before: u64, after: u64, every: u64) -> bool {
    every > 0 && after / every > before / every
}

fn with_checkpoint(error: LearnError, checkpoint: Option<&PathBuf>) -> LearnError {
    match (error, checkpoint) {
        (
            LearnError::Diverged {
                update, steps, what, ..
            },
            Some(path),
        ) => LearnError::Diverged {
            update,
            steps,
            what,
            kept: format!("; the last good checkpoint is {}", path.display()),
        },
        (error, _) => error,
    }
}
