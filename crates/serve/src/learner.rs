use crate::lessons::Lessons;
use crate::record::Record;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// The one thread in which bandits learn, beside the answers: most lessons take microseconds, but while a bandit is young,
/// some of them fit everything that it has seen.
#[derive(Debug)]
pub struct Learner {
    desk: Arc<Desk>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// The lessons, where journal, learner and answers meet. Its lock is the last one to be taken, and held for moments only.
#[derive(Debug, Default)]
pub struct Desk {
    lessons: Mutex<Lessons>,
    wake: Condvar,
    closed: AtomicBool,
}

impl Learner {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(desk: Arc<Desk>) -> Result<Self, std::io::Error> {
        let own = Arc::clone(&desk);
        let thread = std::thread::Builder::new()
            .name("haggle-learner".to_owned())
            .spawn(move || own.learn_until_closed())?;
        Ok(Self {
            desk,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Ends the thread after the lesson that it is in: what waits is in the journal. A second call does nothing.
    pub fn close(&self) {
        {
            let _lessons = self.desk.lock();
            self.desk.closed.store(true, Ordering::Release);
        }
        self.desk.wake.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the learner has panicked");
        }
    }
}

impl Drop for Learner {
    fn drop(&mut self) {
        self.close();
    }
}

impl Desk {
    /// One with some lessons on it.
    pub fn new(lessons: Lessons) -> Self {
        Self {
            lessons: Mutex::new(lessons),
            ..Self::default()
        }
    }

    /// The lessons, for a moment.
    pub fn lock(&self) -> MutexGuard<'_, Lessons> {
        self.lessons.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in the next record of the journal. `units` says what a decision sold by the time its window had closed; nothing
    /// for one that was never shown.
    pub fn take(&self, record: &Record, units: impl FnOnce(&str) -> Option<u32>) {
        let Record::Expired(event) = record else {
            return self.lock().take(record);
        };
        let decision = &event.decision.0;
        let awaited = self.lock().awaits(decision);
        if awaited {
            let units = units(decision);
            self.lock().close(decision, units);
            self.wake.notify_one();
        }
    }

    /// Learns the lesson that waits first, unless there is none. Only one thread may call this.
    pub fn learn(&self) -> bool {
        let next = self.lock().next();
        let Some((mut bandit, lesson)) = next else {
            return false;
        };
        lesson.teach(&mut bandit);
        self.lock().keep(bandit);
        true
    }

    fn learn_until_closed(&self) {
        while !self.closed.load(Ordering::Acquire) {
            if !self.learn() {
                let idle =
                    |lessons: &mut Lessons| !self.closed.load(Ordering::Acquire) && lessons.next().is_none();
                let woken = self.wake.wait_while(self.lock(), idle);
                drop(woken);
            }
        }
    }
}
