use crate::failure::{Failure, Kind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Does `work` on every item, `jobs` at a time; results in the order of the items. What fails, even by a panic, takes
/// nothing else down.
pub fn run_all<T: Sync, R: Send>(
    items: &[T],
    jobs: usize,
    work: impl Fn(&T) -> Result<R, Failure> + Sync,
) -> Vec<Result<R, Failure>> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    let worker = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(number) else {
                return;
            };
            let result = catch_unwind(AssertUnwindSafe(|| work(item))).unwrap_or_else(|_| {
                Err(Failure::say(
                    Kind::Data,
                    "the run ended by a fault of the program (see above)",
                ))
            });
            if let Ok(mut done) = done.lock() {
                done.push((number, result));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, items.len().max(1)) {
            scope.spawn(worker);
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}

/// How many runs fit beside each other when each has so many threads; 0: all of them.
pub fn side_by_side(threads_each: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    cores.checked_div(threads_each).unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_or_panic_leaves_the_others_and_their_order() {
        for jobs in [1, 3] {
            let results = run_all(&[1, 2, 3, 4, 5], jobs, |number| match number {
                2 => Err(Failure::say(Kind::Diverged, "diverged")),
                4 => panic!("a fault"),
                _ => Ok(number * 10),
            });
            let told: Vec<Option<i32>> = results.into_iter().map(Result::ok).collect();
            assert_eq!(told, [Some(10), None, Some(30), None, Some(50)]);
        }
    }
}
