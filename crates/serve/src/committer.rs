use crate::health::Health;
use crate::journal::Journal;
use crate::metrics::Metrics;
use crate::record::Record;
use crate::refusal::{Code, Refusal};
use crate::store_error::StoreError;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Records that may wait for the disk; more are refused.
const QUEUE_MAX: usize = 65_536;
/// From here on clients are slowed down, so that a reward or a swap never waits behind much more than this.
const BEHIND: usize = 4_096;
/// Records of one commit.
const BATCH_MAX: usize = 4_096;
/// How long records that nobody waits for gather before they are written: waking the writer for each would cost more than
/// the decision.
const LINGER: Duration = Duration::from_millis(5);
/// How long a full disk is left alone before the next try.
const FULL_PAUSE: Duration = Duration::from_millis(200);

/// Told when a record is on disk, or why it is not.
pub type Ticket = oneshot::Receiver<Result<(), Refusal>>;

/// Whoever waits for the disk, and since when.
#[derive(Debug)]
struct Waiting {
    since: Instant,
    sender: oneshot::Sender<Result<(), Refusal>>,
}

/// The one thread that writes the journal. Group commit without a timer: it takes what waits, commits, repeats.
#[derive(Debug)]
pub struct Committer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<Result<(), StoreError>>>>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
}

#[derive(Debug)]
struct Queue {
    waiting: VecDeque<Queued>,
    /// Somebody waits for a record of the queue.
    urgent: bool,
    health: Health,
    closed: bool,
}

/// A record with whoever waits for it; without a record it only waits for those before it.
#[derive(Debug)]
struct Queued {
    record: Option<Record>,
    ticket: Option<Waiting>,
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
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue {
                waiting: VecDeque::new(),
                urgent: false,
                health: Health::Ok,
                closed: false,
            }),
            wake: Condvar::new(),
        });
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

impl Queue {
    /// The first records, at most so many, and whoever waits for them.
    fn take(&mut self, count_max: usize) -> (Vec<Record>, Vec<Waiting>) {
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
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Writer {
    shared: Arc<Shared>,
    journal: Journal,
    metrics: Arc<Metrics>,
    written: Box<dyn Fn(&Record) + Send>,
    refused: Box<dyn Fn(&Record) + Send>,
}

impl Writer {
    fn run(&mut self) -> Result<(), StoreError> {
        while let Some((mut records, mut tickets)) = self.take() {
            match self.journal.append(&records) {
                Ok(()) => {
                    self.shared.lock().health = Health::Ok;
                    let waited: Vec<Duration> = tickets.iter().map(|ticket| ticket.since.elapsed()).collect();
                    answer(tickets, &Ok(()));
                    waited
                        .into_iter()
                        .for_each(|waited| self.metrics.committed(waited));
                    for record in &records {
                        self.metrics.written(record);
                        (self.written)(record);
                    }
                }
                Err(error @ StoreError::Full { .. }) => {
                    tracing::error!("{error}");
                    // Nobody waits for room behind a batch that is tried again and again.
                    let (behind, waiting) = self.shared.lock().take(usize::MAX);
                    records.extend(behind);
                    tickets.extend(waiting);
                    self.refuse(&mut records);
                    let refusal = Err(Refusal::new(Code::StoreFull, error.to_string()));
                    let (others, closed) = self.put_back(records);
                    answer(tickets, &refusal);
                    answer(others, &refusal);
                    if closed {
                        return Err(error);
                    }
                    std::thread::sleep(FULL_PAUSE);
                }
                Err(error) => {
                    tracing::error!("{error}: {:?}", std::error::Error::source(&error));
                    self.refuse(&mut records);
                    answer(tickets, &Err(Refusal::new(Code::StoreFailed, error.to_string())));
                    self.fail_all();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// The next batch, as soon as somebody waits for it, there is enough of it, or it has gathered for a while; none when everything is written and nothing more will come.
    fn take(&self) -> Option<(Vec<Record>, Vec<Waiting>)> {
        let mut queue = self.shared.lock();
        while queue.waiting.is_empty() {
            if queue.closed {
                return None;
            }
            queue = self
                .shared
                .wake
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let may_linger =
            |queue: &mut Queue| !queue.urgent && !queue.closed && queue.waiting.len() < BATCH_MAX;
        let woken = self.shared.wake.wait_timeout_while(queue, LINGER, may_linger);
        let (mut queue, _) = woken.unwrap_or_else(PoisonError::into_inner);
        Some(queue.take(BATCH_MAX))
    }

    /// All but decisions were refused, and their places say so; decisions stay and are tried again.
    fn refuse(&self, records: &mut [Record]) {
        for record in records {
            let place = match record {
                Record::Decision(_) | Record::Void | Record::Refused(_) => continue,
                Record::Reward(reward) | Record::Late(reward) => Record::Refused(reward.clone()),
                _ => Record::Void,
            };
            (self.refused)(record);
            *record = place;
        }
    }

    /// Puts what was not written in front of what waits. Whoever waits without a record may wait for a reward that was
    /// refused just now: he gets the same answer. Returns the tickets to answer, and whether the store is closed.
    fn put_back(&self, records: Vec<Record>) -> (Vec<Waiting>, bool) {
        let mut queue = self.shared.lock();
        queue.health = Health::Full;
        let waiting = std::mem::take(&mut queue.waiting).into_iter();
        let (with_record, without): (_, VecDeque<_>) = waiting.partition(|queued| queued.record.is_some());
        queue.waiting = with_record;
        for record in records.into_iter().rev() {
            queue.waiting.push_front(Queued {
                record: Some(record),
                ticket: None,
            });
        }
        (
            without.into_iter().filter_map(|queued| queued.ticket).collect(),
            queue.closed,
        )
    }

    /// Answers everyone who waits, until the daemon stops.
    fn fail_all(&self) {
        let refusal = Refusal::new(Code::StoreFailed, "an earlier write failed; restart to go on");
        loop {
            self.shared.lock().health = Health::Failed;
            let Some((mut records, tickets)) = self.take() else {
                return;
            };
            self.refuse(&mut records);
            answer(tickets, &Err(refusal.clone()));
        }
    }
}

fn answer(tickets: Vec<Waiting>, result: &Result<(), Refusal>) {
    for ticket in tickets {
        // Whoever asked may have hung up.
        let _ = ticket.sender.send(result.clone());
    }
}
