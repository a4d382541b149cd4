use crate::checkpoint;
use crate::engine::Core;
use crate::error::ServeError;
use crate::journal::JournalReader;
use crate::recovery::{EngineConfig, rebuild};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// How often it looks how far the journal has come.
const LOOK: Duration = Duration::from_secs(1);
/// Decisions that are let go of while the daemon waits.
const EVICTED_AT_ONCE: usize = 256;
/// Prices come first; but a checkpoint must come about under load, too.
const NICE: i32 = 5;

/// The thread that makes checkpoints beside the daemon: it does what a restart would do, from the last checkpoint and the
/// journal, and writes down what comes out. The daemon's memory is not looked at, so nobody waits; when the checkpoint
/// is on disk, the daemon lets go of the decisions that it holds.
#[derive(Debug)]
pub(crate) struct Checkpointer {
    signal: Arc<Signal>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Signal {
    stop: Mutex<Option<Stop>>,
    wake: Condvar,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// After a last checkpoint.
    Done,
    /// At once.
    Dropped,
}

struct Worker {
    signal: Arc<Signal>,
    core: Arc<Mutex<Core>>,
    reader: JournalReader,
    config: EngineConfig,
    /// Number that the last checkpoint was made at, or tried.
    last: u64,
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
        };
        let thread = Builder::new()
            .name("haggle-check".to_owned())
            .spawn(move || worker.run())?;
        Ok(Self {
            signal,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Makes a last checkpoint and ends. Call it when everything is written. A second call does nothing.
    pub fn close(&self) {
        self.stop(Stop::Done);
    }

    fn stop(&self, how: Stop) {
        let mut stop = self.signal.stop.lock().unwrap_or_else(PoisonError::into_inner);
        stop.get_or_insert(how);
        drop(stop);
        self.signal.wake.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // What a panic left undone, the next start does.
            let _ = thread.join();
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.stop(Stop::Dropped);
    }
}

impl Worker {
    fn run(&mut self) {
        // Of this thread alone; without it checkpoints only take more of the processor.
        let _ = rustix::process::setpriority_process(None, NICE);
        loop {
            let stop = self.wait();
            let new = self.reader.next() - self.last;
            let due = match stop {
                None => new >= self.every(),
                Some(Stop::Done) => new > 0,
                Some(Stop::Dropped) => false,
            };
            if due {
                self.last = self.reader.next();
                if let Err(error) = self.checkpoint() {
                    let cause = crate::swap::chain(&error);
                    tracing::warn!("no checkpoint at record {}: {cause}", self.last);
                }
            }
            if stop.is_some() {
                return;
            }
        }
    }

    fn wait(&self) -> Option<Stop> {
        let stop = self.signal.stop.lock().unwrap_or_else(PoisonError::into_inner);
        let going = |stop: &mut Option<Stop>| stop.is_none();
        let woken = self.signal.wake.wait_timeout_while(stop, LOOK, going);
        *woken.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Records between two checkpoints.
    fn every(&self) -> u64 {
        let core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
        core.settings.config.store.checkpoint_records
    }

    fn checkpoint(&mut self) -> Result<(), ServeError> {
        let Some(rebuilt) = rebuild(&self.reader, &self.config)? else {
            return Ok(());
        };
        let mut replica = rebuilt.core;
        let next = replica.ledger.next;
        let history = self.config.history_digest()?;
        let archive = checkpoint::save(&mut replica, &self.reader, history)?;
        drop(replica);
        self.last = next;
        let Some(archive) = archive else { return Ok(()) };
        let lock = || self.core.lock().unwrap_or_else(PoisonError::into_inner);
        lock().ledger.adopt(archive);
        while lock().ledger.evict(next, EVICTED_AT_ONCE) {}
        tracing::debug!("checkpoint at record {next}");
        Ok(())
    }
}
