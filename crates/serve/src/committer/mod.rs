//! Whoever writes the journal: records queue here, and one thread brings them to the disk.

mod queue;
mod writer;

use crate::health::Health;
use crate::journal::Journal;
use crate::metrics::Metrics;
use crate::record::Record;
use crate::refusal::Refusal;
use crate::store_error::StoreError;
use queue::{BATCH_MAX, Queued, Shared, Waiting};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::sync::oneshot;
use writer::Writer;

/// Records that may wait for the disk; more are refused.
const QUEUE_MAX: usize = 65_536;
/// From here on clients are slowed down, so that a reward or a swap never waits behind much more than this.
const BEHIND: usize = 4_096;

/// Told when a record is on disk, or why it is not.
pub type Ticket = oneshot::Receiver<Result<(), Refusal>>;

/// The one thread that writes the journal. Group commit without a timer: it takes what waits, commits, repeats.
#[derive(Debug)]
pub struct Committer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<Result<(), StoreError>>>>,
}

impl Committer {
    /// Starts the thread; `written` is called with each record that is on disk now, `refused` with each that the disk refused.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        journal: Journal,
        metrics: Arc<Metrics>,
        written: impl Fn(&Record) + Send + 'static,
        refused: impl Fn(&Record) + Send + 'static,
    ) -> Result<Self, std::io::Error> {
        let shared = Arc::new(Shared::new());
        let mut writer = Writer {
            shared: Arc::clone(&shared),
            journal,
            metrics,
            written: Box::new(written),
            refused: Box::new(refused),
        };
        let thread = std::thread::Builder::new()
            .name("haggle-journal".to_owned())
            .spawn(move || writer.run())?;
        Ok(Self {
            shared,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Whether a decision can be taken in now.
    ///
    /// # Errors
    /// The health of the store when it cannot; [`Health::Ok`] means that too many records wait.
    pub fn room(&self) -> Result<(), Health> {
        let queue = self.shared.lock();
        if queue.health != Health::Failed && queue.waiting.len() < QUEUE_MAX {
            Ok(())
        } else {
            Err(queue.health)
        }
    }

    /// Whether clients should slow down: the disk is behind, though it takes records in.
    #[must_use]
    pub fn behind(&self) -> bool {
        let queue = self.shared.lock();
        queue.health == Health::Ok && queue.waiting.len() > BEHIND
    }

    /// Hands a record over without waiting for the disk.
    pub fn push(&self, record: Record) {
        self.enqueue(Some(record), None);
    }

    /// Hands a record over (or nothing), with a ticket that tells when it and all before it are on disk.
    #[must_use]
    pub fn push_with_ticket(&self, record: Option<Record>) -> Ticket {
        let (sender, ticket) = oneshot::channel();
        let since = Instant::now();
        self.enqueue(record, Some(Waiting { since, sender }));
        ticket
    }

    /// How the store is doing, and how many records wait.
    #[must_use]
    pub fn health(&self) -> (Health, usize) {
        let queue = self.shared.lock();
        (queue.health, queue.waiting.len())
    }

    /// Writes what waits and ends the thread. A second call does nothing.
    ///
    /// # Errors
    /// When something could not be written.
    pub fn close(&self) -> Result<(), StoreError> {
        self.shared.lock().closed = true;
        self.shared.wake.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        thread.map_or(Ok(()), |thread| thread.join().unwrap_or(Ok(())))
    }

    fn enqueue(&self, record: Option<Record>, ticket: Option<Waiting>) {
        let mut queue = self.shared.lock();
        let wake = ticket.is_some() || queue.waiting.is_empty() || queue.waiting.len() == BATCH_MAX;
        queue.urgent |= ticket.is_some();
        queue.waiting.push_back(Queued { record, ticket });
        drop(queue);
        if wake {
            self.shared.wake.notify_one();
        }
    }
}

/// Writes what waits; whoever wants to know whether that went well calls [`Committer::close`] before.
impl Drop for Committer {
    fn drop(&mut self) {
        let _ = self.close();
    }
}
