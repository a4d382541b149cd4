use crate::progress::{Metrics, Progress};
use crate::run_facts::file_name;
use crate::{Checkpoint, Divergence, LearnError, Mappo, Run, TrainConfig, latest_checkpoint};
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
/// When learning diverges, an evaluation fails, or a file cannot be written. With a run folder the state before that is kept as
/// a checkpoint, whatever the settings say of them.
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
    let mut good = learner.checkpoint();
    let keep = learner.config().checkpoints_keep;
    match learn(
        learner,
        run.as_deref_mut(),
        progress,
        stop,
        (&mut good, &mut finish),
    ) {
        Ok(()) => Ok(finish),
        Err(error) => Err(match run {
            Some(run) => kept(error, &good, run, keep),
            None => error,
        }),
    }
}

/// The loop of [`train`]. `good` is the state after the last update whose numbers are all finite.
fn learn(
    learner: &mut Mappo,
    mut run: Option<&mut Run>,
    progress: &mut dyn Progress,
    stop: &AtomicBool,
    (good, finish): (&mut Checkpoint, &mut Finish),
) -> Result<(), LearnError> {
    while !learner.finished() {
        let before = learner.steps();
        let iteration = learner.iterate()?;
        let state = learner.checkpoint();
        if !state.is_finite() {
            return Err(LearnError::Diverged {
                update: iteration.iteration,
                steps: before,
                what: "a weight".to_owned(),
                kept: String::new(),
            });
        }
        *good = state;
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
            *good = learner.checkpoint(); // it knows the best evaluation
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
            let path = good.write(&run.checkpoints(), *keep, milestone)?;
            progress.checkpoint(&path);
            finish.checkpoint = Some(path);
        }
        if interrupted && !learner.finished() {
            finish.how = Ended::Interrupted;
            break;
        }
    }
    Ok(())
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

/// Writes the state before a failure, whatever the settings say of checkpoints: nothing that was learnt is lost. `run.json` tells
/// of a divergence.
fn kept(error: LearnError, good: &Checkpoint, run: &mut Run, keep: usize) -> LearnError {
    // One more than is kept otherwise: what broke an update may have been in the state before it.
    let written = good.write(&run.checkpoints(), keep + 1, false);
    let LearnError::Diverged {
        update, steps, what, ..
    } = error
    else {
        return error;
    };
    let noted = written.and_then(|path| {
        let divergence = Divergence {
            update,
            steps,
            what: what.clone(),
            checkpoint: file_name(&path),
        };
        run.diverged(divergence).map(|()| path)
    });
    let kept = match noted {
        Ok(path) => format!("; the state before it is kept as {}", path.display()),
        Err(why) => format!("; the state before it is lost: {why}"),
    };
    LearnError::Diverged {
        update,
        steps,
        what,
        kept,
    }
}
