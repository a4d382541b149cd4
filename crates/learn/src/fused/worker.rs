//! Gradient steps on several threads. Each thread takes its share of what every minibatch sees through both networks, and the
//! rows that see it through the losses, block by block; the gradients meet, are summed in a fixed order, and every thread
//! makes the same optimiser step on its own copy of the parameters. Nothing else is shared, so a run repeats bit for bit on
//! the same number of threads.

use super::aligned::Aligned;
use super::layout::Layout;
use super::loss::Facts;
use super::net::{Activations, BLOCK};
use super::optimiser::Optimiser;
use super::soft::Soft;
use super::terms::{ENTROPY, Sums, Terms};
use crate::barrier::SpinBarrier;
use crate::minibatch::{Portion, minibatch};
use crate::table::Table;
use crate::update::KL_SLACK;
use pulp::{Simd, WithSimd};
use std::ops::Range;
use std::sync::{PoisonError, RwLock};

/// Sums over rows that travel behind each gradient.
const SUMS: usize = 5;

/// What all threads of an update look at.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) table: &'a Table,
    /// Rows in the order of each epoch.
    pub(crate) orders: &'a [Vec<u32>],
    pub(crate) batches: usize,
    pub(crate) terms: Terms,
    pub(crate) learning_rate: f64,
    pub(crate) grad_norm_max: f64,
    pub(crate) target_kl: f64,
    pub(crate) exchange: Exchange,
}

/// Where gradients meet. Two places per thread, used in turn: nobody writes into what another may still read.
#[derive(Debug)]
pub(crate) struct Exchange {
    places: Vec<[RwLock<Aligned>; 2]>,
    barrier: SpinBarrier,
}

impl Exchange {
    pub(crate) fn new(threads: usize, parameters: usize) -> Self {
        let place = || RwLock::new(Aligned::zeros(parameters + SUMS));
        Self {
            places: (0..threads).map(|_| [place(), place()]).collect(),
            barrier: SpinBarrier::new(threads),
        }
    }
}

/// One thread of an update.
#[derive(Debug)]
pub(crate) struct Worker<'a> {
    job: &'a Job<'a>,
    number: usize,
    optimiser: Optimiser,
    gradient: Aligned,
    policy: Activations,
    critic: Activations,
    soft: Soft,
    facts: Facts,
    portion: Portion,
    seen: Aligned,
}

/// What a thread ends with: the same on every one.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) optimiser: Optimiser,
    /// Sums over minibatches of the means of [`Sums`], and of the gradient's norm.
    pub(crate) sums: [f64; SUMS + 1],
    pub(crate) epochs: usize,
}

impl<'a> Worker<'a> {
    pub(crate) fn new(job: &'a Job<'a>, number: usize, optimiser: Optimiser) -> Self {
        Self {
            number,
            optimiser,
            gradient: Aligned::zeros(job.layout.parameters + SUMS),
            policy: job.layout.nets[0].activations(),
            critic: job.layout.nets[1].activations(),
            soft: Soft::new(job.layout.nets[0].out_width()),
            facts: Facts::new(),
            portion: Portion::default(),
            seen: Aligned::zeros(BLOCK * job.table.width),
            job,
        }
    }

    /// Takes this thread's part of a minibatch; returns how many rows the whole of it has.
    #[inline(always)]
    fn take(&mut self, epoch: usize, batch: usize) -> usize {
        let job = self.job;
        let whole = minibatch(&job.orders[epoch], batch, job.batches);
        let sights = &job.table.sights;
        let threads = (self.number, job.exchange.places.len());
        self.portion.take(whole, &sights.of_row, sights.len(), threads);
        whole.len()
    }

    #[inline(always)]
    fn gradient_of<S: Simd>(&mut self, simd: S, count: usize, out: &mut [f32]) {
        out.fill(0.0);
        let (gradient, tail) = out.split_at_mut(self.job.layout.parameters);
        let terms = Terms {
            count: count as f32,
            ..self.job.terms
        };
        let mut sums = Sums::default();
        let sights = self.portion.sights.len();
        for from in (0..sights).step_by(BLOCK) {
            let block = from..sights.min(from + BLOCK);
            self.block(simd, &block, &terms, gradient, &mut sums);
        }
        tail.copy_from_slice(&sums.map(|sum| sum / terms.count));
    }

    /// Both networks look at the block's sights, and what the losses say to the rows that see them goes back.
    #[inline(always)]
    fn block<S: Simd>(
        &mut self,
        simd: S,
        block: &Range<usize>,
        terms: &Terms,
        gradient: &mut [f32],
        sums: &mut Sums,
    ) {
        let [policy, critic] = &self.job.layout.nets[..] else {
            return;
        };
        self.see(block);
        let weights = self.optimiser.weights();
        let size = (block.len(), self.job.table.width);
        policy.forward(simd, weights, size, &self.seen, &mut self.policy);
        critic.forward(simd, weights, size, &self.seen, &mut self.critic);
        let (scores, slopes) = self.policy.out_slopes();
        let (values, value_slopes) = self.critic.out_slopes();
        sums[ENTROPY] += self.soft.read(simd, block.len(), terms.floor, scores);
        let (width, value_width) = (policy.out_width(), critic.out_width());
        slopes[..block.len() * width].fill(0.0);
        value_slopes[..block.len() * value_width].fill(0.0);
        let rows = self.portion.rows_of(block);
        let facts = &self.job.table.facts;
        let rows = self.portion.rows[rows.clone()]
            .iter()
            .zip(&self.portion.places[rows]);
        let mut rows = rows.map(|(row, place)| (*place as usize - block.start, &facts[*row as usize]));
        while rows.len() > 0 {
            self.facts.take(rows.by_ref().take(BLOCK));
            self.facts
                .policy(simd, terms, &self.soft, (width, &mut *slopes), sums);
            self.facts
                .value(simd, terms, values, (value_width, &mut *value_slopes), sums);
        }
        self.soft.slopes(simd, block.len(), terms, slopes);
        policy.backward(simd, weights, size, &self.seen, &mut self.policy, gradient);
        critic.backward(simd, weights, size, &self.seen, &mut self.critic, gradient);
    }

    /// Gathers what is seen there, what is allowed, and how many rows see it.
    #[inline(always)]
    fn see(&mut self, block: &Range<usize>) {
        let sights = &self.job.table.sights;
        let width = self.job.table.width;
        let counts = self.portion.counts(block);
        for (n, (sight, count)) in self.portion.sights[block.clone()].iter().zip(counts).enumerate() {
            self.seen[n * width..][..width].copy_from_slice(sights.seen(*sight));
            self.soft.take(n, sights.masks[*sight as usize], count);
        }
    }

    /// Waits for everybody's gradient and sums them, the first thread's first.
    #[inline(always)]
    fn meet(&mut self, turn: usize) {
        let exchange = &self.job.exchange;
        exchange.barrier.wait();
        for (number, place) in exchange.places.iter().enumerate() {
            let part = place[turn].read().unwrap_or_else(PoisonError::into_inner);
            if number == 0 {
                self.gradient.copy_from_slice(&part);
            } else {
                for (sum, x) in self.gradient.iter_mut().zip(part.iter()) {
                    *sum += x;
                }
            }
        }
    }
}

impl WithSimd for Worker<'_> {
    type Output = Outcome;

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) -> Outcome {
        let job = self.job;
        let mut sums = [0.0; SUMS + 1];
        let (mut epochs, mut turn, mut before) = (0, 0, 0.0);
        for epoch in 0..job.orders.len() {
            for batch in 0..job.batches {
                let count = self.take(epoch, batch);
                {
                    let place = &job.exchange.places[self.number][turn];
                    let mut out = place.write().unwrap_or_else(PoisonError::into_inner);
                    self.gradient_of(simd, count, &mut out);
                }
                self.meet(turn);
                turn = 1 - turn;
                let (gradient, tail) = self.gradient.split_at_mut(job.layout.parameters);
                let norm = self
                    .optimiser
                    .step(gradient, job.grad_norm_max, job.learning_rate);
                self.optimiser.turn(job.layout);
                for (sum, x) in sums.iter_mut().zip(tail.iter().chain([&norm])) {
                    *sum += f64::from(*x);
                }
            }
            epochs = epoch + 1;
            let divergence = (sums[3] - before) / job.batches as f64;
            if job.target_kl > 0.0 && divergence > KL_SLACK * job.target_kl {
                break;
            }
            before = sums[3];
        }
        Outcome {
            optimiser: self.optimiser,
            sums,
            epochs,
        }
    }
}
