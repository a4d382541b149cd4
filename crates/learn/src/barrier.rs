use std::hint::spin_loop;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

/// Looks before a waiting thread goes to sleep: some ten microseconds, longer than a peer is late when both run, and
/// short where one of them was taken off its processor.
const LOOKS: u32 = 400;

/// Threads that meet after every minibatch, some ten microseconds apart: the standard library's barrier would put them to
/// sleep each time.
#[derive(Debug)]
pub(crate) struct SpinBarrier {
    threads: usize,
    arrived: AtomicUsize,
    meeting: AtomicUsize,
    asleep: Mutex<usize>,
    awake: Condvar,
}

impl SpinBarrier {
    pub(crate) fn new(threads: usize) -> Self {
        Self {
            threads,
            arrived: AtomicUsize::new(0),
            meeting: AtomicUsize::new(0),
            asleep: Mutex::new(0),
            awake: Condvar::new(),
        }
    }

    /// Returns once every thread has called it; what they wrote before is then visible to all.
    pub(crate) fn wait(&self) {
        let meeting = self.meeting.load(Ordering::Acquire);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.threads {
            self.arrived.store(0, Ordering::Relaxed);
            self.meeting.store(meeting.wrapping_add(1), Ordering::Release);
            // Whoever falls asleep looks once more under this lock: nobody sleeps through a meeting.
            if *self.asleep.lock().unwrap_or_else(PoisonError::into_inner) > 0 {
                self.awake.notify_all();
            }
            return;
        }
        for _ in 0..LOOKS {
            if self.meeting.load(Ordering::Acquire) != meeting {
                return;
            }
            spin_loop();
        }
        let mut asleep = self.asleep.lock().unwrap_or_else(PoisonError::into_inner);
        *asleep += 1;
        while self.meeting.load(Ordering::Acquire) == meeting {
            asleep = self.awake.wait(asleep).unwrap_or_else(PoisonError::into_inner);
        }
        *asleep -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_passes_before_the_last_one_came() {
        let (barrier, sum) = (SpinBarrier::new(3), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for round in 1..=1000 {
                        sum.fetch_add(1, Ordering::Relaxed);
                        barrier.wait();
                        assert_eq!(sum.load(Ordering::Relaxed), 3 * round);
                        barrier.wait();
                    }
                });
            }
        });
    }
}
