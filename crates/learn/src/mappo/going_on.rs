//! A learner that stops, and goes on bit for bit where it was.

use super::Mappo;
use crate::{Checkpoint, CheckpointError, LearnError};

impl Mappo {
    /// Everything that is needed to go on from here.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            config: self.config.clone(),
            team: self.team.save(),
            obs: self.obs.clone(),
            state: self.state.clone(),
            multipliers: self.multipliers.clone(),
            episodes: self.episodes.clone(),
            iteration: self.iteration,
            rows: self.rows,
            best: self.best,
            memory: self.rollout.memory.clone(),
            environment: self.env.save(),
        }
    }

    /// Goes on from a checkpoint of the same configuration (see [`crate::Freedom`]).
    ///
    /// # Errors
    /// When the checkpoint belongs to another configuration or environment.
    pub fn restore(&mut self, checkpoint: &Checkpoint) -> Result<(), LearnError> {
        checkpoint.check(&self.config)?;
        let shapes = [
            ("obs_width", self.obs.width(), checkpoint.obs.width()),
            ("state_width", self.state.width(), checkpoint.state.width()),
            (
                "constraints",
                self.spec.constraints,
                checkpoint.multipliers.values.len(),
            ),
            ("copies", self.spec.copies, checkpoint.episodes.copies()),
            (
                "remembered numbers",
                self.rollout.memory.len(),
                checkpoint.memory.len(),
            ),
        ];
        if let Some((what, expected, got)) = shapes.into_iter().find(|(_, expected, got)| expected != got) {
            return Err(CheckpointError::Shape { what, expected, got }.into());
        }
        self.env
            .load(&checkpoint.environment)
            .map_err(CheckpointError::Environment)?;
        self.team.load(&checkpoint.team)?;
        self.rollout.memory.clone_from(&checkpoint.memory);
        self.obs = checkpoint.obs.clone();
        self.state = checkpoint.state.clone();
        self.multipliers = checkpoint.multipliers.clone();
        self.episodes.clone_from(&checkpoint.episodes);
        self.iteration = checkpoint.iteration;
        self.rows = checkpoint.rows;
        self.best = checkpoint.best;
        Ok(())
    }
}
