//! Where the learner's mathematics run: on libtorch (any network, processor or GPU; with a memory only the processor), or
//! fused on the processor for small networks without one. All hold the same parameters in the same order and make the same steps to single precision.

#[cfg(test)]
mod parity;

use crate::TrainConfig;
use crate::adam::AdamState;
use crate::config::EngineChoice;
use crate::distribution::Draws;
use crate::error::LearnError;
use crate::fused::{Choices, Fused, draw_by_rows};
use crate::network::Shape;
use crate::recurrent::Recurrent;
use crate::rows::Rows;
use crate::sights::Sights;
use crate::table::Table;
use crate::torch::Torch;
use crate::update::Updated;
use crate::{ConfigError, choose_device};
use rand::Rng;
use rand::seq::SliceRandom;
use std::iter::repeat;

/// Networks and optimiser, wherever they live.
#[derive(Debug)]
pub(crate) enum Engine {
    Torch(Box<Torch>),
    Fused(Box<Fused>),
    Recurrent(Box<Recurrent>),
}

impl Engine {
    /// # Errors
    /// When the configured device or engine cannot be had.
    pub(crate) fn new(config: &TrainConfig, shape: Shape, parameters: &[f32]) -> Result<Self, LearnError> {
        if shape.memory > 0 {
            let recurrent = Recurrent::new(shape, parameters, config.threads);
            return Ok(Self::Recurrent(Box::new(recurrent)));
        }
        let device = choose_device(config.device)?;
        let applies = !device.is_cuda() && !shape.multiplier && Fused::applies(&shape);
        let fused = match config.engine {
            EngineChoice::Auto => applies,
            EngineChoice::Torch => false,
            EngineChoice::Fused if applies => true,
            EngineChoice::Fused => {
                return Err(ConfigError::Disagree {
                    first: "engine = \"fused\"".to_owned(),
                    second: format!("hidden = {:?} on {device:?}", config.hidden),
                    why: "the fused path runs on a processor with vector instructions, with layers and inputs of at \
                          most 256 numbers",
                }
                .into());
            }
        };
        Ok(if fused {
            Self::Fused(Box::new(Fused::new(shape, parameters, config.threads)))
        } else {
            Self::Torch(Box::new(Torch::new(shape, parameters, device, config.threads)))
        })
    }

    pub(crate) fn shape(&self) -> &Shape {
        match self {
            Self::Torch(torch) => torch.shape(),
            Self::Fused(fused) => fused.shape(),
            Self::Recurrent(recurrent) => recurrent.shape(),
        }
    }

    /// In words.
    pub(crate) fn device(&self) -> String {
        match self {
            Self::Torch(torch) => torch.device(),
            Self::Fused(_) => "cpu, fused".to_owned(),
            Self::Recurrent(_) => "cpu, recurrent".to_owned(),
        }
    }

    pub(crate) fn parameters(&self) -> Vec<f32> {
        match self {
            Self::Torch(torch) => torch.parameters(),
            Self::Fused(fused) => fused.parameters(),
            Self::Recurrent(recurrent) => recurrent.parameters(),
        }
    }

    pub(crate) fn optimiser(&self) -> AdamState {
        match self {
            Self::Torch(torch) => torch.optimiser(),
            Self::Fused(fused) => fused.optimiser(),
            Self::Recurrent(recurrent) => recurrent.optimiser(),
        }
    }

    pub(crate) fn load(&mut self, parameters: &[f32], state: &AdamState) {
        match self {
            Self::Torch(torch) => torch.load(parameters, state),
            Self::Fused(fused) => fused.load(parameters, state),
            Self::Recurrent(recurrent) => recurrent.load(parameters, state),
        }
    }

    /// Scores of rows, `rows x rungs`, and what each will remember.
    pub(crate) fn logits(&mut self, rows: &Rows<'_>, out: &mut [f32], next: &mut [f32]) {
        if let Self::Recurrent(recurrent) = self {
            return recurrent.logits(rows, out, next);
        }
        let (obs, rungs) = (self.shape().obs, self.shape().rungs);
        let sights = Sights::of(rows.seen, rows.width, obs, repeat(0));
        let mut scores = vec![0.0; sights.len() * rungs];
        self.scores(sights.from(0), &mut scores);
        sights.spread(&scores, rungs, out);
    }

    /// Draws a rung for each row from the floored distribution. `choices` are this policy's; `scores` and `next` as
    /// [`Engine::logits`] fills them, but that in `scores` there may be fewer rows.
    pub(crate) fn act(
        &mut self,
        rows: &Rows<'_>,
        floor: f32,
        draws: &mut Draws<'_>,
        choices: &mut Choices,
        (scores, next): (&mut [f32], &mut [f32]),
    ) {
        if let Self::Recurrent(recurrent) = self {
            recurrent.logits(rows, scores, next);
            return draw_by_rows(scores, floor, draws);
        }
        let (obs, rungs) = (self.shape().obs, self.shape().rungs);
        let new = choices.see(rows.seen, rows.width, draws.mask);
        let scores = &mut scores[..new.len() / obs * rungs];
        self.scores(new, scores);
        choices.judge(scores, floor, self.threads());
        choices.draw(self.threads(), draws);
    }

    /// Scores of what is seen, by a policy that remembers nothing.
    fn scores(&mut self, seen: &[f32], out: &mut [f32]) {
        match self {
            Self::Torch(torch) => torch.logits(seen, out),
            Self::Fused(fused) => fused.logits(seen, out),
            Self::Recurrent(_) => {}
        }
    }

    fn threads(&self) -> usize {
        match self {
            Self::Torch(torch) => torch.threads(),
            Self::Fused(fused) => fused.threads(),
            Self::Recurrent(_) => 1,
        }
    }

    /// Values of rows, in the critic's units.
    pub(crate) fn values(&mut self, rows: &Rows<'_>, out: &mut [f32]) {
        if let Self::Recurrent(recurrent) = self {
            return recurrent.values(rows, out);
        }
        let sights = Sights::of(rows.seen, rows.width, rows.width, repeat(0));
        let mut values = vec![0.0; sights.len()];
        match self {
            Self::Torch(torch) => torch.values(sights.from(0), &mut values),
            Self::Fused(fused) => fused.values(sights.from(0), &mut values),
            Self::Recurrent(_) => {}
        }
        sights.spread(&values, 1, out);
    }

    /// As [`crate::network::ActorCritic::rescale_values`].
    pub(crate) fn rescale_values(&mut self, old: (f64, f64), new: (f64, f64)) {
        match self {
            Self::Torch(torch) => torch.rescale_values(old, new),
            Self::Fused(fused) => fused.rescale_values(old, new),
            Self::Recurrent(recurrent) => recurrent.rescale_values(old, new),
        }
    }

    /// Epochs of minibatches over a roll-out. `rates`: learning rate and weight of the entropy.
    pub(crate) fn update(
        &mut self,
        table: &Table,
        config: &TrainConfig,
        rates: (f64, f64),
        shuffles: &mut impl Rng,
    ) -> Updated {
        let chunks = table.sequences.chunks();
        let units = if chunks > 0 { chunks } else { table.rows() };
        let batches = table.rows().div_ceil(config.minibatch_rows).clamp(1, units);
        let mut order: Vec<u32> = (0..units as u32).collect();
        let mut shuffled = || {
            order.shuffle(shuffles);
            order.clone()
        };
        let orders: Vec<Vec<u32>> = (0..config.epochs).map(|_| shuffled()).collect();
        match self {
            Self::Torch(torch) => torch.update(table, &orders, batches, config, rates),
            Self::Fused(fused) => fused.update(table, &orders, batches, config, rates),
            Self::Recurrent(recurrent) => recurrent.update(table, &orders, batches, config, rates),
        }
    }
}
