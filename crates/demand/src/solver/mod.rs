//! Ridge-penalised Newton for models whose parameters are local to a group or shared by all groups.
//!
//! The Hessian has the shape of an arrow: a block per group, and a border of shared parameters. Each Newton step
//! eliminates the groups (Schur complement), solves for the shared step and substitutes back. Parameters have bounds; those
//! that sit at one and are pushed outwards stay fixed for the step (Bertsekas' projected Newton).
//!
//! Groups are evaluated in parallel and summed in their order, so that the result does not depend on the threads.

mod block;
mod newton;

pub(crate) use block::Block;

use crate::DemandError;
use newton::newton_step;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

const STEPS_MAX: usize = 60;
const HALVINGS_MAX: usize = 30;
/// A step that improves the loss by a smaller share of it is the last one; Newton then errs by about the square of it.
const LOSS_TOLERANCE: f64 = 1e-7;

/// A parameter's prior and bounds: penalty `ridge / 2 (value - centre)^2`, value in [low, high].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prior {
    pub ridge: f64,
    /// Index of the shared parameter that it is shrunk to; towards 0 without one.
    pub centre: Option<usize>,
    pub low: f64,
    pub high: f64,
}

impl Prior {
    /// Shrunk to 0, unbounded.
    pub fn ridge(ridge: f64) -> Self {
        Self {
            ridge,
            centre: None,
            low: f64::NEG_INFINITY,
            high: f64::INFINITY,
        }
    }

    /// Shrunk to a shared parameter.
    pub fn around(self, shared: usize) -> Self {
        Self {
            centre: Some(shared),
            ..self
        }
    }

    /// With bounds.
    pub fn within(self, low: f64, high: f64) -> Self {
        Self { low, high, ..self }
    }
}

/// Estimated parameters: shared ones, and one list per group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Parameters {
    pub shared: Vec<f64>,
    pub local: Vec<Vec<f64>>,
}

/// A model that is a sum over groups.
pub(crate) trait Likelihood: Sync {
    /// Name for error messages.
    fn name(&self) -> &'static str;
    /// The priors of one group's parameters, in order.
    fn local(&self, group: usize) -> Vec<Prior>;
    /// The priors of the shared parameters, in order.
    fn shared(&self) -> Vec<Prior>;
    /// The negative log likelihood of one group; adds its derivatives to the block.
    fn evaluate(&self, group: usize, local: &[f64], shared: &[f64], block: &mut Block) -> f64;
}

struct State {
    loss: f64,
    blocks: Vec<Block>,
}

/// Minimises the penalised negative log likelihood, starting from `start`.
///
/// # Errors
/// When the loss is not finite at the start or the information is not positive definite.
pub(crate) fn minimise<L: Likelihood>(model: &L, start: Parameters) -> Result<Parameters, DemandError> {
    let shared = model.shared();
    let local: Vec<Vec<Prior>> = (0..start.local.len()).map(|group| model.local(group)).collect();
    let mut at = project(start, &local, &shared);
    let mut state = evaluate(model, &at, &local, &shared);
    if !state.loss.is_finite() {
        let reason = format!("the loss at the start is {}", state.loss);
        return Err(DemandError::Diverged {
            part: model.name(),
            reason,
        });
    }
    for _ in 0..STEPS_MAX {
        let step = newton_step(&at, &state.blocks, &local, &shared).ok_or_else(|| DemandError::Diverged {
            part: model.name(),
            reason: "the information is not positive definite".to_owned(),
        })?;
        let mut scale = 1.0;
        let mut next = None;
        for _ in 0..HALVINGS_MAX {
            let tried = project(moved(&at, &step, scale), &local, &shared);
            let reached = evaluate(model, &tried, &local, &shared);
            if reached.loss <= state.loss {
                next = Some((tried, reached));
                break;
            }
            scale *= 0.5;
        }
        let Some((tried, reached)) = next else { break };
        let gained = state.loss - reached.loss;
        (at, state) = (tried, reached);
        if gained <= LOSS_TOLERANCE * state.loss.abs().max(1.0) {
            break;
        }
    }
    Ok(at)
}

fn moved(at: &Parameters, step: &Parameters, scale: f64) -> Parameters {
    let add = |values: &[f64], steps: &[f64]| values.iter().zip(steps).map(|(v, s)| v + scale * s).collect();
    Parameters {
        shared: add(&at.shared, &step.shared),
        local: at.local.iter().zip(&step.local).map(|(v, s)| add(v, s)).collect(),
    }
}

fn project(mut at: Parameters, local: &[Vec<Prior>], shared: &[Prior]) -> Parameters {
    let clamp = |values: &mut [f64], priors: &[Prior]| {
        for (value, prior) in values.iter_mut().zip(priors) {
            *value = value.clamp(prior.low, prior.high);
        }
    };
    clamp(&mut at.shared, shared);
    for (values, priors) in at.local.iter_mut().zip(local) {
        clamp(values, priors);
    }
    at
}

fn evaluate<L: Likelihood>(model: &L, at: &Parameters, local: &[Vec<Prior>], shared: &[Prior]) -> State {
    let parts: Vec<(f64, Block)> = at
        .local
        .par_iter()
        .enumerate()
        .map(|(group, values)| {
            let mut block = Block::new(values.len() + at.shared.len());
            let loss = model.evaluate(group, values, &at.shared, &mut block);
            (loss, block)
        })
        .collect();
    let distance = |value: f64, prior: &Prior| {
        let gap = value - prior.centre.map_or(0.0, |centre| at.shared[centre]);
        0.5 * prior.ridge * gap * gap
    };
    let mut loss: f64 = at
        .shared
        .iter()
        .zip(shared)
        .map(|(value, prior)| distance(*value, prior))
        .sum();
    for (values, priors) in at.local.iter().zip(local) {
        loss += values
            .iter()
            .zip(priors)
            .map(|(value, prior)| distance(*value, prior))
            .sum::<f64>();
    }
    let mut blocks = Vec::with_capacity(parts.len());
    for (part, block) in parts {
        loss += part;
        blocks.push(block);
    }
    State { loss, blocks }
}
