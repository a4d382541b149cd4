use super::pieces::Pieces;
use crate::TrainConfig;
use crate::barrier::SpinBarrier;
use crate::device::set_threads;
use crate::gradient::{self, Facts, Looks};
use crate::network::ActorCritic;
use crate::table::Table;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use tch::{Device, Tensor, no_grad_guard};

/// What all threads of an update look at.
pub(super) struct Job<'a> {
    pub(super) config: &'a TrainConfig,
    pub(super) entropy_weight: f64,
    pub(super) table: &'a Table,
    /// Rows in the order of each epoch.
    pub(super) orders: &'a [Vec<u32>],
    pub(super) batches: usize,
    /// Sights of one pass.
    pub(super) chunk: usize,
    pub(super) device: Device,
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
    /// [`Table::sights_tensor`].
    pub(super) sights: Tensor,
    /// [`Table::facts_tensor`].
    pub(super) facts: Tensor,
}

impl Exchange {
    pub(super) fn new(threads: usize) -> Self {
        Self {
            places: (0..threads).map(|_| Mutex::new(None)).collect(),
            barrier: SpinBarrier::new(threads),
            ended: AtomicBool::new(false),
        }
    }

    pub(super) fn threads(&self) -> usize {
        self.places.len()
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
        let pieces = Pieces::of(job, self.number);
        for epoch in 0..job.orders.len() {
            for batch in 0..job.batches {
                let gradient = self.gradient(job, &pieces, (epoch, batch));
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

    /// The gradient over this thread's part of a minibatch with its means behind it; none without rows.
    fn gradient(&self, job: &Job<'_>, pieces: &Pieces, (epoch, batch): (usize, usize)) -> Option<Tensor> {
        let width = job.table.width as i64;
        let (piece, count) = pieces.of_minibatch(epoch * job.batches + batch);
        let chunk = |piece| {
            let index = pieces.index(piece);
            let sights = self.sights.index_select(0, &index.sights);
            let looks = Looks {
                seen: sights.narrow(1, 0, width),
                log_uniform: sights.narrow(1, width, job.table.rungs as i64),
                counts: index.counts,
                places: index.places,
            };
            let facts = Facts::of(&self.facts.index_select(0, &index.rows));
            let weights = (job.config, job.entropy_weight);
            gradient::step(&self.net, &looks, &facts, count as f64, weights).packed()
        };
        total(piece.map(chunk))
    }
}

/// The sum of tensors alike, in order; none of none.
fn total(parts: impl Iterator<Item = Tensor>) -> Option<Tensor> {
    parts.reduce(|mut sum, part| sum.g_add_(&part))
}
