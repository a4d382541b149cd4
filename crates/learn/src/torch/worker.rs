use crate::TrainConfig;
use crate::barrier::SpinBarrier;
use crate::device::set_threads;
use crate::gradient::{self, Columns};
use crate::network::ActorCritic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use tch::{Tensor, no_grad_guard};

/// What all threads of an update look at.
pub(super) struct Job<'a> {
    pub(super) config: &'a TrainConfig,
    pub(super) entropy_weight: f64,
    pub(super) width: usize,
    pub(super) rungs: usize,
    /// Rows of the table.
    pub(super) rows: usize,
    pub(super) epochs: usize,
    pub(super) batches: usize,
    /// Rows of one pass.
    pub(super) chunk: usize,
    pub(super) exchange: Exchange,
}

/// Where gradients meet.
pub(super) struct Exchange {
    /// One per thread.
    places: Vec<Mutex<Option<Tensor>>>,
    barrier: SpinBarrier,
    /// The policy has moved far enough: no more epochs.
    ended: AtomicBool,
}

/// One thread of an update, with its own handles of the same tensors.
pub(super) struct Worker {
    pub(super) number: usize,
    pub(super) net: ActorCritic,
    /// The table: rows x columns.
    pub(super) numbers: Tensor,
    /// Rows in the order of each epoch.
    pub(super) orders: Vec<Tensor>,
}

impl Exchange {
    pub(super) fn new(threads: usize) -> Self {
        Self {
            places: (0..threads).map(|_| Mutex::new(None)).collect(),
            barrier: SpinBarrier::new(threads),
            ended: AtomicBool::new(false),
        }
    }

    /// No epoch follows this one.
    pub(super) fn end_if(&self, ended: bool) {
        self.ended.store(ended, Ordering::Release);
    }

    /// What all threads found, the first one's first.
    pub(super) fn sum(&self) -> Option<Tensor> {
        let parts = self
            .places
            .iter()
            .filter_map(|place| place.lock().unwrap_or_else(PoisonError::into_inner).take());
        total(parts)
    }
}

impl Worker {
    /// Takes part in every minibatch; `step` is called between two meetings, when all gradients are there.
    pub(super) fn run(&self, job: &Job<'_>, mut step: impl FnMut()) {
        let _guard = no_grad_guard();
        set_threads(1);
        for order in &self.orders {
            for batch in 0..job.batches {
                let gradient = self.gradient(job, order, batch);
                *job.exchange.places[self.number]
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner) = gradient;
                job.exchange.barrier.wait();
                step();
                job.exchange.barrier.wait();
            }
            if job.exchange.ended.load(Ordering::Acquire) {
                return;
            }
        }
    }

    /// The gradient over this thread's rows of a minibatch with its means behind it; none without rows.
    fn gradient(&self, job: &Job<'_>, order: &Tensor, batch: usize) -> Option<Tensor> {
        let (from, to) = (
            batch * job.rows / job.batches,
            (batch + 1) * job.rows / job.batches,
        );
        let (count, threads) = (to - from, job.exchange.places.len());
        let own = from + self.number * count / threads..from + (self.number + 1) * count / threads;
        let chunk = |at: usize| {
            let length = job.chunk.min(own.end - at);
            let order = order.narrow(0, at as i64, length as i64);
            let columns = Columns::of(
                &self.numbers.index_select(0, &order),
                job.width as i64,
                job.rungs as i64,
            );
            let sizes = (self.net.shape().obs as i64, count as f64);
            gradient::step(&self.net, &columns, sizes, job.config, job.entropy_weight).packed()
        };
        total(own.clone().step_by(job.chunk).map(chunk))
    }
}

/// The sum of tensors alike, in order; none of none.
fn total(parts: impl Iterator<Item = Tensor>) -> Option<Tensor> {
    parts.reduce(|mut sum, part| sum.g_add_(&part))
}
