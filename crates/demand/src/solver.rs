//! Ridge-penalised Newton for models whose parameters are local to a group or shared by all groups.
//!
//! The Hessian has the shape of an arrow: a block per group, and a border of shared parameters. Each Newton step
//! eliminates the groups (Schur complement), solves for the shared step and substitutes back. Parameters have bounds; those
//! that sit at one and are pushed outwards stay fixed for the step (Bertsekas' projected Newton).
//!
//! Groups are evaluated in parallel and summed in their order, so that the result does not depend on the threads.

use crate::DemandError;
use nalgebra::{Cholesky, DMatrix, DVector};
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

/// Gradient and Fisher information of one group's negative log likelihood, local parameters before shared ones.
pub(crate) struct Block {
    width: usize,
    pub gradient: Vec<f64>,
    /// Row-major, `width x width`; only `[a][b]` with `a <= b` is filled.
    information: Vec<f64>,
}

impl Block {
    fn new(width: usize) -> Self {
        Self {
            width,
            gradient: vec![0.0; width],
            information: vec![0.0; width * width],
        }
    }

    /// Adds `slope * design` to the gradient.
    pub fn add_gradient(&mut self, slope: f64, design: &[f64]) {
        for (sum, x) in self.gradient.iter_mut().zip(design) {
            *sum += slope * x;
        }
    }

    /// Adds `weight * design design'` to the information.
    pub fn add_information(&mut self, weight: f64, design: &[f64]) {
        for (a, xa) in design.iter().enumerate() {
            let scaled = weight * xa;
            if scaled != 0.0 {
                let row = &mut self.information[a * self.width + a..(a + 1) * self.width];
                for (sum, xb) in row.iter_mut().zip(&design[a..]) {
                    *sum += scaled * xb;
                }
            }
        }
    }

    fn at(&self, a: usize, b: usize) -> f64 {
        self.information[a.min(b) * self.width + a.max(b)]
    }
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

/// One group with its local parameters eliminated.
struct Eliminated {
    factor: Cholesky<f64, nalgebra::Dyn>,
    border: DMatrix<f64>,
    gradient: DVector<f64>,
}

fn newton_step(
    at: &Parameters,
    blocks: &[Block],
    local: &[Vec<Prior>],
    shared: &[Prior],
) -> Option<Parameters> {
    let width = shared.len();
    let mut corner = DMatrix::zeros(width, width);
    let mut slope = DVector::zeros(width);
    for (s, prior) in shared.iter().enumerate() {
        corner[(s, s)] += prior.ridge;
        slope[s] += prior.ridge * at.shared[s];
    }
    let groups: Vec<Eliminated> = (0..blocks.len())
        .map(|group| {
            eliminate(
                at,
                &blocks[group],
                &at.local[group],
                &local[group],
                &mut corner,
                &mut slope,
            )
        })
        .collect::<Option<_>>()?;
    for group in &groups {
        let solved = group.factor.solve(&group.border);
        corner -= group.border.transpose() * &solved;
        slope -= solved.transpose() * &group.gradient;
    }
    for s in 0..width {
        // The gradient of the eliminated problem decides whether a bound binds.
        if pushed_out(at.shared[s], slope[s], &shared[s]) {
            corner.row_mut(s).fill(0.0);
            corner.column_mut(s).fill(0.0);
            corner[(s, s)] = 1.0;
            slope[s] = 0.0;
        }
    }
    let shared_step = -Cholesky::new(corner)?.solve(&slope);
    let local_step = |group: &Eliminated| {
        let right = &group.gradient + &group.border * &shared_step;
        (-group.factor.solve(&right)).as_slice().to_vec()
    };
    Some(Parameters {
        local: groups.iter().map(local_step).collect(),
        shared: shared_step.as_slice().to_vec(),
    })
}

/// Splits a block, adds priors, fixes bound parameters; what belongs to the shared ones goes to `corner` and `slope`.
fn eliminate(
    at: &Parameters,
    block: &Block,
    values: &[f64],
    priors: &[Prior],
    corner: &mut DMatrix<f64>,
    slope: &mut DVector<f64>,
) -> Option<Eliminated> {
    let (own, width) = (values.len(), at.shared.len());
    let mut head = DMatrix::from_fn(own, own, |a, b| block.at(a, b));
    let mut border = DMatrix::from_fn(own, width, |a, s| block.at(a, own + s));
    let mut gradient = DVector::from_column_slice(&block.gradient[..own]);
    for s in 0..width {
        slope[s] += block.gradient[own + s];
        for t in 0..width {
            corner[(s, t)] += block.at(own + s, own + t);
        }
    }
    for (a, prior) in priors.iter().enumerate() {
        head[(a, a)] += prior.ridge;
        let gap = values[a] - prior.centre.map_or(0.0, |centre| at.shared[centre]);
        gradient[a] += prior.ridge * gap;
        if let Some(centre) = prior.centre {
            border[(a, centre)] -= prior.ridge;
            corner[(centre, centre)] += prior.ridge;
            slope[centre] -= prior.ridge * gap;
        }
        if pushed_out(values[a], gradient[a], prior) {
            head.row_mut(a).fill(0.0);
            head.column_mut(a).fill(0.0);
            border.row_mut(a).fill(0.0);
            head[(a, a)] = 1.0;
            gradient[a] = 0.0;
        }
    }
    Some(Eliminated {
        factor: Cholesky::new(head)?,
        border,
        gradient,
    })
}

fn pushed_out(value: f64, gradient: f64, prior: &Prior) -> bool {
    (value <= prior.low && gradient >= 0.0) || (value >= prior.high && gradient <= 0.0)
}
