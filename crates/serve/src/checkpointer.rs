use crate::checkpoint;
use crate::clock::now_s;
use crate::engine::Core;
use crate::engine_config::EngineConfig;
use crate::error::{ServeError, chain};
use crate::journal::JournalReader;
use crate::recovery::rebuild;
use crate::retention::{self, Retention};
use crate::store_error::StoreError;
use std::num::NonZeroU32;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// How often it looks how far the journal has come.
const LOOK: Duration = Duration::from_secs(1);
/// A checkpoint is followed by so many times what it took: at most a quarter of a processor goes into checkpoints, and where
/// prices come faster than that, a start after a kill has more to read again.
const REST: u32 = 3;
/// Decisions that are let go of while the daemon waits.
const EVICTED_AT_ONCE: usize = 256;
/// Prices come first; but a checkpoint must come about under load, too.
const NICE: i32 = 5;
const DAY_S: i64 = 86_400;
/// Volumes that retention drops at most while somebody waits for the stop.
const LAST_VOLUMES: usize = 8;

/// The thread that makes checkpoints beside the daemon: it does what a restart would do, from the last checkpoint and the
/// journal, and writes down what comes out. The daemon's memory is not looked at, so nobody waits; when the checkpoint
/// is on disk, the daemon lets go of the decisions that it holds.
#[derive(Debug)]
pub(crate) struct Checkpointer {
    signal: Arc<Signal>,
    thread: Mutex<Option<JoinHandle<Worker>>>,
}

#[derive(Debug, Default)]
struct Signal {
    stop: Mutex<bool>,
    wake: Condvar,
}

#[derive(Debug)]
struct Worker {
    signal: Arc<Signal>,
    core: Arc<Mutex<Core>>,
    reader: JournalReader,
    config: EngineConfig,
    /// Number that the last checkpoint was made at, or tried.
    last: u64,
    retention: Retention,
}

impl Checkpointer {
    /// Starts the thread; the last checkpoint is of the records before `last`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        core: Arc<Mutex<Core>>,
        reader: JournalReader,
        config: EngineConfig,
        last: u64,
    ) -> std::io::Result<Self> {
        let signal = Arc::new(Signal::default());
        let mut worker = Worker {
            signal: Arc::clone(&signal),
            core,
            reader: reader.unhurried(),
            config,
            last,
            retention: Retention::default(),
        };
        let thread = Builder::new().name("haggle-check".to_owned()).spawn(move || {
            worker.run();
            worker
        })?;
        Ok(Self {
            signal,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Makes a last checkpoint and ends. Call it when everything is written. A second call does nothing.
    pub fn close(&self) {
        // Here and not in the thread: somebody waits for it, so it has no low priority.
        if let Some(mut worker) = self.stop()
            && worker.reader.next() > worker.last
        {
            worker.try_checkpoint(true);
        }
    }

    /// Ends the thread after the checkpoint that it is at.
    fn stop(&self) -> Option<Worker> {
        *self.signal.stop.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.signal.wake.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // What a panic left undone, the next start does.
        thread?.join().ok()
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Worker {
    fn run(&mut self) {
        // Of this thread alone; without it checkpoints only take more of the processor.
        let _ = rustix::process::setpriority_process(None, NICE);
        let mut rest = LOOK;
        while !self.wait(rest) {
            rest = LOOK;
            if self.reader.next() - self.last >= self.every() {
                let begun = Instant::now();
                self.try_checkpoint(false);
                rest = rest.max(begun.elapsed() * REST);
            }
        }
    }

    fn try_checkpoint(&mut self, last: bool) {
        self.last = self.reader.next();
        if let Err(error) = self.checkpoint(last) {
            tracing::warn!("no checkpoint at record {}: {}", self.last, chain(&error));
        }
    }

    /// Whether it is to end.
    fn wait(&self, rest: Duration) -> bool {
        let stop = self.signal.stop.lock().unwrap_or_else(PoisonError::into_inner);
        let woken = self.signal.wake.wait_timeout_while(stop, rest, |stop| !*stop);
        *woken.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Records between two checkpoints.
    fn every(&self) -> u64 {
        self.lock().settings.config.store.checkpoint_records
    }

    fn checkpoint(&mut self, last: bool) -> Result<(), ServeError> {
        let begun = Instant::now();
        let known = self.lock().ledger.archive().cloned();
        let Some(rebuilt) = rebuild(&self.reader, &self.config, known.as_ref())? else {
            return Ok(());
        };
        let mut replica = rebuilt.core;
        let next = replica.ledger.next;
        let open = replica.ledger.oldest_open().unwrap_or(next);
        let io = StoreError::full_or_io(self.reader.store());
        replica.ledger.archive_settled().map_err(&io)?;
        let whole = replica.ledger.archive().cloned();
        let horizon = match last {
            // Nobody is answered any more: what goes need not be announced.
            true => self.horizon(open, LAST_VOLUMES),
            false => self.retention.due(next),
        };
        let horizon = horizon.filter(|_| self.keep_days().is_some());
        if let Some(horizon) = horizon {
            replica.ledger.hide_before(horizon);
            replica.ledger.shrink_archive().map_err(&io)?;
        }
        let history = self.config.history_digest()?;
        let archive = checkpoint::save(&mut replica, &self.reader, history)?;
        drop(replica);
        self.last = next;
        let (Some(archive), Some(whole)) = (archive, whole) else {
            return Ok(());
        };
        let (took_ms, archived) = (begun.elapsed().as_millis(), archive.entries());
        tracing::debug!(
            "checkpoint at record {next} after {took_ms} ms; {archived} decisions in the archive"
        );
        self.lock().ledger.adopt(archive);
        while self.lock().ledger.evict(next, EVICTED_AT_ONCE) {}
        if let Some(horizon) = horizon
            && let Err(error) = retention::drop_before(horizon, &whole, &self.reader, &self.config)
        {
            tracing::warn!("old records stay: {}", chain(&error));
        }
        if !last && let Some(horizon) = self.horizon(open, usize::MAX) {
            let mut core = self.lock();
            core.ledger.hide_before(horizon);
            let next = core.ledger.next;
            drop(core);
            self.retention.announce(horizon, next);
        }
        Ok(())
    }

    /// The records that may go lie before it; `open` is the oldest decision that something is waited for.
    fn horizon(&mut self, open: u64, volumes_max: usize) -> Option<u64> {
        let limit_s = now_s().saturating_sub(i64::from(self.keep_days()?) * DAY_S);
        let found = self.retention.horizon(&self.reader, open, limit_s, volumes_max);
        found.unwrap_or_else(|error| {
            tracing::warn!("old records stay: {}", chain(&error));
            None
        })
    }

    fn keep_days(&self) -> Option<u32> {
        self.lock().settings.config.store.keep_days.map(NonZeroU32::get)
    }

    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
