use crate::TrainConfig;
use crate::barrier::SpinBarrier;
use crate::table::Table;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use tch::{Device, Tensor};

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
    pub(super) barrier: SpinBarrier,
    /// The policy has moved far enough: no more epochs.
    ended: AtomicBool,
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

    pub(super) fn ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// What one thread found, for the next [`Exchange::sum`].
    pub(super) fn put(&self, number: usize, found: Option<Tensor>) {
        *self.places[number].lock().unwrap_or_else(PoisonError::into_inner) = found;
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

/// The sum of tensors alike, in order; none of none.
pub(super) fn total(parts: impl Iterator<Item = Tensor>) -> Option<Tensor> {
    parts.reduce(|mut sum, part| sum.g_add_(&part))
}
