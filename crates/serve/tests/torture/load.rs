//! Shops that price and earn until they are told to stop, whatever happens to the daemon: each retries with the same ids.

use crate::common::{ask, earn};
use haggle_serve::{Client, Journal, Record, RewardStatus, StoreError};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

/// Shops at work.
pub struct Load {
    shops: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<BTreeMap<String, i64>>>,
}

/// Acknowledged rewards: decision, and value in minor units.
pub struct Sent(BTreeMap<String, i64>);

impl Load {
    pub fn start(socket: &Path, shops: usize) -> Self {
        let (stop, acknowledged) = (Arc::default(), Arc::default());
        let shop = |n: usize| {
            let (socket, stop, acknowledged) =
                (socket.to_owned(), Arc::clone(&stop), Arc::clone(&acknowledged));
            std::thread::spawn(move || shop(&socket, n, &stop, &acknowledged))
        };
        Self {
            shops: (0..shops).map(shop).collect(),
            stop,
            acknowledged,
        }
    }

    /// What is acknowledged by now.
    pub fn acknowledged(&self) -> Sent {
        Sent(self.acknowledged.lock().unwrap().clone())
    }

    /// Lets every shop finish what it has begun.
    pub fn finish(self) -> Sent {
        self.stop.store(true, Ordering::SeqCst);
        self.shops.into_iter().for_each(|shop| shop.join().unwrap());
        Sent(Arc::into_inner(self.acknowledged).unwrap().into_inner().unwrap())
    }
}

fn shop(socket: &Path, name: usize, stop: &AtomicBool, acknowledged: &Mutex<BTreeMap<String, i64>>) {
    let mut client = None;
    for n in 0i64.. {
        let decision = format!("shop-{name}-{n}");
        let mut request = ask(&format!("session-{name}-{n}"), "milk-0");
        request.decision = Some(decision.clone());
        loop {
            let done = client.as_mut().is_some_and(|client: &mut Client| {
                let priced = client.price(&request).is_ok();
                priced && client.reward(&earn(&decision, "r", n + 1)).is_ok_and(is_durable)
            });
            if done {
                break;
            }
            sleep(Duration::from_millis(2));
            client = Client::connect(socket).ok();
        }
        acknowledged.lock().unwrap().insert(decision, n + 1);
        if stop.load(Ordering::SeqCst) {
            return;
        }
    }
}

fn is_durable(status: RewardStatus) -> bool {
    matches!(status, RewardStatus::Durable | RewardStatus::Duplicate)
}

impl Sent {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn sum(&self) -> i64 {
        self.0.values().sum()
    }

    /// How many a daemon has not, and of how many it tells another value.
    pub fn compare(&self, client: &mut Client) -> (usize, usize) {
        let mut there = BTreeMap::new();
        for decision in self.0.keys() {
            let reply = client.get(decision);
            if let Some(reply) = reply.ok().filter(|reply| !reply.rewards.is_empty()) {
                there.insert(decision.clone(), reply.value_minor);
            }
        }
        self.compare_with(&there)
    }

    /// The same with what a store holds.
    pub fn compare_with(&self, there: &BTreeMap<String, i64>) -> (usize, usize) {
        let lost = self
            .0
            .keys()
            .filter(|decision| !there.contains_key(*decision))
            .count();
        let other =
            |(decision, value): &(&String, &i64)| there.get(*decision).is_some_and(|there| there != *value);
        (lost, self.0.iter().filter(other).count())
    }

    /// Sum of what a daemon says that the decisions have earned.
    pub fn sum_at(&self, client: &mut Client) -> i64 {
        let earned = |decision: &String| client.get(decision).map_or(0, |reply| reply.value_minor);
        self.0.keys().map(earned).sum()
    }
}

/// What each decision of a store has earned; a reward counts once.
pub fn rewards_of(store: &Path) -> BTreeMap<String, i64> {
    let mut there = BTreeMap::new();
    Journal::existing(store)
        .unwrap()
        .recover(|_, record| {
            if let Record::Reward(reward) = record {
                there.insert(reward.decision.0, reward.value_minor);
            }
            Ok::<(), StoreError>(())
        })
        .unwrap();
    there
}
