use super::queue::{BATCH_MAX, Queue, Queued, Shared, Waiting};
use crate::health::Health;
use crate::journal::Journal;
use crate::metrics::Metrics;
use crate::record::Record;
use crate::refusal::{Code, Refusal};
use crate::store_error::StoreError;
use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// How long records that nobody waits for gather before they are written: waking the writer for each would cost more than
/// the decision.
const LINGER: Duration = Duration::from_millis(5);
/// How long a full disk is left alone before the next try.
const FULL_PAUSE: Duration = Duration::from_millis(200);

/// The thread that writes: takes what waits, commits, repeats.
pub struct Writer {
    pub shared: Arc<Shared>,
    pub journal: Journal,
    pub metrics: Arc<Metrics>,
    pub written: Box<dyn Fn(&Record) + Send>,
    pub refused: Box<dyn Fn(&Record) + Send>,
}

impl Writer {
    /// Writes until the queue is closed and empty.
    ///
    /// # Errors
    /// When something could not be written.
    pub fn run(&mut self) -> Result<(), StoreError> {
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
