//! The learner's mathematics for small networks on a processor, without libtorch: forward pass, losses, backward pass and
//! optimiser in one walk over blocks of rows that stay in cache. Same parameters, same checkpoints, same bundles as
//! the libtorch path, which is the reference in the tests.
//!
//! Everything below a `dispatch` must be inlined into it to be compiled for its vectors: functions say so, and loops are
//! `for` loops, because what an iterator's `for_each` calls is compiled for the lowest common processor.

mod aligned;
mod allowed;
mod kernel;
mod layout;
mod loss;
mod math;
mod net;
mod optimiser;
mod sample;
mod soft;
mod terms;
mod worker;

use crate::TrainConfig;
use crate::adam::AdamState;
use crate::device::processors;
use crate::network::Shape;
use crate::table::Table;
use crate::update::Updated;
use layout::{Layout, Net, Weights};
use net::{Activations, BLOCK};
use optimiser::Optimiser;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
pub(crate) use sample::{Choices, draw_by_rows};
use std::thread;
use terms::Terms;
use worker::{Exchange, Job, Worker};

/// Wider networks leave the cache that this path lives on.
const UNITS_MAX: usize = 256;

/// Policy and critic, their optimiser, and for each thread room for one block of activations.
#[derive(Debug)]
pub(crate) struct Fused {
    shape: Shape,
    layout: Layout,
    optimiser: Optimiser,
    scratch: Vec<[Activations; 2]>,
    arch: Arch,
}

impl Fused {
    /// Whether networks of this shape fit, and the processor has vectors worth the name.
    pub(crate) fn applies(shape: &Shape) -> bool {
        let narrow = shape.hidden.iter().all(|units| *units <= UNITS_MAX) && shape.critic <= UNITS_MAX;
        narrow && shape.critic > 0 && Lanes::count() >= LANES_MIN
    }

    pub(crate) fn new(shape: Shape, parameters: &[f32], threads: usize) -> Self {
        let layout = Layout::new(&[shape.policy_widths(), shape.critic_widths()], Lanes::count());
        let scratch = || [layout.nets[0].activations(), layout.nets[1].activations()];
        Self {
            optimiser: Optimiser::new(&layout, parameters),
            scratch: (0..processors(threads)).map(|_| scratch()).collect(),
            arch: Arch::new(),
            shape,
            layout,
        }
    }

    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    pub(crate) fn threads(&self) -> usize {
        self.scratch.len()
    }

    pub(crate) fn parameters(&self) -> Vec<f32> {
        self.layout.flat(self.optimiser.parameters())
    }

    pub(crate) fn optimiser(&self) -> AdamState {
        self.optimiser.save(&self.layout)
    }

    pub(crate) fn load(&mut self, parameters: &[f32], state: &AdamState) {
        self.optimiser.load(&self.layout, parameters, state);
    }

    /// One score per rung of each row of what the policy sees.
    pub(crate) fn logits(&mut self, seen: &[f32], out: &mut [f32]) {
        self.pass(0, seen, self.shape.obs, self.shape.rungs, out);
    }

    /// One value per row, in the critic's units.
    pub(crate) fn values(&mut self, seen: &[f32], out: &mut [f32]) {
        self.pass(1, seen, self.shape.critic, 1, out);
    }

    fn pass(&mut self, net: usize, seen: &[f32], width: usize, outputs: usize, out: &mut [f32]) {
        let share = share(out.len() / outputs, self.scratch.len());
        let parts = seen.chunks(share * width).zip(out.chunks_mut(share * outputs));
        let parts = parts.zip(&mut self.scratch).map(|((seen, out), scratch)| Pass {
            net: &self.layout.nets[net],
            weights: self.optimiser.weights(),
            seen,
            width,
            scratch: &mut scratch[net],
            outputs,
            out,
        });
        side_by_side(self.arch, parts.collect());
    }

    /// As [`crate::network::ActorCritic::rescale_values`].
    pub(crate) fn rescale_values(&mut self, old: (f64, f64), new: (f64, f64)) {
        let Some((weight, bias)) = self.layout.nets[1].head() else {
            return;
        };
        let scale = (old.1 / new.1) as f32;
        let parameters = self.optimiser.parameters_mut();
        parameters[weight].iter_mut().for_each(|x| *x *= scale);
        let first = bias.start; // the rest is padding
        parameters[first] = parameters[first] * scale + ((old.0 - new.0) / new.1) as f32;
        self.optimiser.turn(&self.layout);
    }

    /// Epochs of minibatches over the rows in the given orders.
    pub(crate) fn update(
        &mut self,
        table: &Table,
        orders: &[Vec<u32>],
        batches: usize,
        config: &TrainConfig,
        (learning_rate, entropy_weight): (f64, f64),
    ) -> Updated {
        let rows = table.rows() / batches.max(1);
        let threads = self.scratch.len().min(rows / BLOCK).max(1);
        let job = Job {
            layout: &self.layout,
            table,
            orders,
            batches,
            terms: Terms {
                clip_ratio: config.clip_ratio as f32,
                value_clip: config.value_clip as f32,
                huber: config.huber as f32,
                floor: config.exploration as f32,
                entropy_weight: entropy_weight as f32,
                count: 1.0,
            },
            learning_rate,
            grad_norm_max: config.grad_norm_max,
            target_kl: config.target_kl,
            exchange: Exchange::new(threads, self.layout.parameters),
        };
        let work = |number| {
            self.arch
                .dispatch(Worker::new(&job, number, self.optimiser.clone()))
        };
        let outcome = thread::scope(|scope| {
            for number in 1..threads {
                let work = &work;
                scope.spawn(move || work(number));
            }
            work(0)
        });
        self.optimiser = outcome.optimiser;
        let steps = (outcome.epochs * batches) as f64;
        let [surrogate, value, entropy, divergence, clipped, norm] = outcome.sums.map(|sum| sum / steps);
        Updated {
            means: [surrogate, value, -entropy, divergence, clipped, norm],
            epochs: outcome.epochs,
        }
    }
}

/// What each of some threads has of so many rows: whole blocks.
fn share(rows: usize, threads: usize) -> usize {
    rows.div_ceil(threads).next_multiple_of(BLOCK).max(BLOCK)
}

/// Each part on a thread of its own; one alone stays on this thread.
fn side_by_side<W: WithSimd<Output = ()> + Send>(arch: Arch, parts: Vec<W>) {
    parts.into_par_iter().for_each(|part| arch.dispatch(part));
}

struct Pass<'a> {
    net: &'a Net,
    weights: Weights<'a>,
    seen: &'a [f32],
    width: usize,
    scratch: &'a mut Activations,
    outputs: usize,
    out: &'a mut [f32],
}

impl WithSimd for Pass<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let width = self.net.out_width();
        let blocks = self.seen.chunks(BLOCK * self.width);
        for (seen, out) in blocks.zip(self.out.chunks_mut(BLOCK * self.outputs)) {
            let rows = out.len() / self.outputs;
            self.net
                .forward(simd, self.weights, (rows, self.width), seen, self.scratch);
            let results = self.scratch.out().chunks_exact(width);
            for (out, result) in out.chunks_exact_mut(self.outputs).zip(results) {
                out.copy_from_slice(&result[..self.outputs]);
            }
        }
    }
}

/// Vectors of fewer numbers gain nothing over libtorch.
pub(crate) const LANES_MIN: usize = 8;

/// How many numbers one vector of this processor holds.
pub(crate) struct Lanes;

impl Lanes {
    pub(crate) fn count() -> usize {
        Arch::new().dispatch(Self)
    }
}

impl WithSimd for Lanes {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        S::F32_LANES
    }
}
