//! Gradient steps on several threads. Each thread takes its share of every minibatch through both networks and the
//! losses, block by block; the gradients meet, are summed in a fixed order, and every thread makes the same optimiser
//! step on its own copy of the parameters. Nothing else is shared, so a run repeats bit for bit on the same number of
//! threads.

use super::aligned::Aligned;
use super::kernel::LANES_MAX;
use super::layout::Layout;
use super::loss::{Facts, Sums, Terms};
use super::net::{Activations, BLOCK};
use super::optimiser::Optimiser;
use crate::barrier::SpinBarrier;
use crate::table::Table;
use crate::update::KL_SLACK;
use pulp::{Simd, WithSimd};
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
    facts: Facts,
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
            facts: Facts::new(job.layout.nets[0].out_width()),
            seen: Aligned::zeros(BLOCK * job.table.width),
            job,
        }
    }

    /// This thread's rows of a minibatch.
    #[inline(always)]
    fn share(&self, epoch: usize, batch: usize) -> (&'a [u32], usize) {
        let order = &self.job.orders[epoch];
        let (batches, threads) = (self.job.batches, self.job.exchange.places.len());
        let (from, to) = (batch * order.len() / batches, (batch + 1) * order.len() / batches);
        let count = to - from;
        let own = from + self.number * count / threads..from + (self.number + 1) * count / threads;
        (&order[own], count)
    }

    #[inline(always)]
    fn gradient_of<S: Simd>(&mut self, simd: S, rows: &[u32], count: usize, out: &mut [f32]) {
        out.fill(0.0);
        let (gradient, tail) = out.split_at_mut(self.job.layout.parameters);
        let terms = Terms {
            count: count as f32,
            ..self.job.terms
        };
        let mut sums = Sums::default();
        for block in rows.chunks(BLOCK) {
            self.block(simd, block, &terms, gradient, &mut sums);
        }
        tail.copy_from_slice(&sums.map(|sum| sum / terms.count));
    }

    #[inline(always)]
    fn block<S: Simd>(
        &mut self,
        simd: S,
        block: &[u32],
        terms: &Terms,
        gradient: &mut [f32],
        sums: &mut Sums,
    ) {
        let width = self.job.table.width;
        let rows = block.len().next_multiple_of(LANES_MAX);
        for n in 0..rows {
            let row = block[n.min(block.len() - 1)];
            let (seen, facts) = self.job.table.row(row as usize);
            self.seen[n * width..][..width].copy_from_slice(seen);
            let mask = self.job.table.masks[row as usize];
            self.facts.take(n, mask, facts, n < block.len());
        }
        let weights = self.optimiser.weights();
        let [policy, critic] = &self.job.layout.nets[..] else {
            return;
        };
        let size = (rows, width);
        policy.forward(simd, weights, size, &self.seen, &mut self.policy);
        let (scores, slopes) = self.policy.out_slopes();
        self.facts.policy(simd, terms, rows, scores, slopes, sums);
        policy.backward(simd, weights, size, &self.seen, &mut self.policy, gradient);
        critic.forward(simd, weights, size, &self.seen, &mut self.critic);
        let (values, slopes) = self.critic.out_slopes();
        let lines = (rows, critic.out_width());
        self.facts.value(simd, terms, lines, values, slopes, sums);
        critic.backward(simd, weights, size, &self.seen, &mut self.critic, gradient);
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
                let (rows, count) = self.share(epoch, batch);
                {
                    let place = &job.exchange.places[self.number][turn];
                    let mut out = place.write().unwrap_or_else(PoisonError::into_inner);
                    self.gradient_of(simd, rows, count, &mut out);
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
