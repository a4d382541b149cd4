use crate::health::Health;
use crate::record::Record;
use crate::refusal::Refusal;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::oneshot;

/// Records of one commit.
pub const BATCH_MAX: usize = 4_096;

/// Whoever waits for the disk, and since when.
#[derive(Debug)]
pub struct Waiting {
    pub since: Instant,
    pub sender: oneshot::Sender<Result<(), Refusal>>,
}

/// What whoever hands records over and the thread that writes them have in common.
#[derive(Debug)]
pub struct Shared {
    queue: Mutex<Queue>,
    pub wake: Condvar,
}

/// What waits for the disk, in order.
#[derive(Debug)]
pub struct Queue {
    pub waiting: VecDeque<Queued>,
    /// Somebody waits for a record of the queue.
    pub urgent: bool,
    pub health: Health,
    pub closed: bool,
}

/// A record with whoever waits for it; without a record it only waits for those before it.
#[derive(Debug)]
pub struct Queued {
    pub record: Option<Record>,
    pub ticket: Option<Waiting>,
}

impl Queue {
    /// The first records, at most so many, and whoever waits for them.
    pub fn take(&mut self, count_max: usize) -> (Vec<Record>, Vec<Waiting>) {
        let count = self.waiting.len().min(count_max);
        let (mut records, mut tickets) = (Vec::with_capacity(count), Vec::new());
        for queued in self.waiting.drain(..count) {
            records.extend(queued.record);
            tickets.extend(queued.ticket);
        }
        self.urgent = !self.waiting.is_empty();
        (records, tickets)
    }
}

impl Shared {
    /// Nothing waits.
    pub fn new() -> Self {
        Self {
            queue: Mutex::new(Queue {
                waiting: VecDeque::new(),
                urgent: false,
                health: Health::Ok,
                closed: false,
            }),
            wake: Condvar::new(),
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
