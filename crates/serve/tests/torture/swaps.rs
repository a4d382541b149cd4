//! Hot swaps while shops ask: no request fails, each price is that of the policy it names, and nobody waits for a swap.

use crate::common::{House, ask, fixed_bundle};
use crate::share;
use haggle_core::{Digest, Policy, PriceMinor};
use haggle_serve::{AdminRequest, Client, Swapped};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const SHOPS: usize = 4;
/// How long shops ask before the first swap.
const CALM: Duration = Duration::from_secs(3);

/// What shops saw.
#[derive(Default)]
struct Seen {
    waits: Vec<Duration>,
    failed: usize,
    wrong: usize,
}

impl Seen {
    fn p99_us(&mut self) -> f64 {
        self.waits.sort();
        self.waits[self.waits.len() * 99 / 100].as_secs_f64() * 1e6
    }
}

#[test]
#[ignore = "minutes: make torture"]
fn a_thousand_swaps_under_load_fail_nothing() {
    let bundles = [fixed_bundle(3, 0.0), fixed_bundle(9, 0.0)];
    let prices: BTreeMap<Digest, PriceMinor> = bundles
        .iter()
        .zip([3, 9])
        .map(|(bundle, rung)| {
            (
                bundle.digest(),
                bundle.terms().catalog.items()[0].ladder.price(rung),
            )
        })
        .collect();
    let house = House::new(&bundles[0]);
    let folders = [house.bundle.clone(), house.add(&bundles[1])];
    let daemon = house.start();
    let mut calm = ask_while(&house.socket(), &prices, "calm", || std::thread::sleep(CALM));
    let (swaps, mut refused) = (share(1000), 0);
    let mut storm = ask_while(&house.socket(), &prices, "storm", || {
        let mut operator = daemon.operator();
        for n in 0..swaps {
            let bundle = folders[(n + 1) % 2].clone();
            let swapped: Result<Swapped, _> = operator.admin(&AdminRequest::Swap { bundle, force: true });
            refused += usize::from(swapped.is_err());
        }
    });
    let (storm_us, calm_us) = (storm.p99_us(), calm.p99_us());
    println!(
        "| hot swaps under load | {swaps} swaps, {refused} refused | {} prices | {} failed | {} of another policy than they say | p99 {:.0} us, {:.2} x without swaps |",
        storm.waits.len(),
        storm.failed,
        storm.wrong,
        storm_us,
        storm_us / calm_us,
    );
    assert_eq!((refused, storm.failed, storm.wrong), (0, 0, 0));
    assert_eq!((calm.failed, calm.wrong), (0, 0));
    assert!(storm.waits.len() > swaps, "there was load: {}", storm.waits.len());
}

/// What shops see while something is done.
fn ask_while(socket: &Path, prices: &BTreeMap<Digest, PriceMinor>, name: &str, work: impl FnOnce()) -> Seen {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let shop = |n: usize| shop(socket, prices, &format!("{name}-{n}"), &done);
        let shops: Vec<_> = (0..SHOPS).map(|n| scope.spawn(move || shop(n))).collect();
        work();
        done.store(true, Ordering::SeqCst);
        let mut all = Seen::default();
        for shop in shops {
            let seen = shop.join().unwrap();
            all.waits.extend(seen.waits);
            all.failed += seen.failed;
            all.wrong += seen.wrong;
        }
        all
    })
}

fn shop(socket: &Path, prices: &BTreeMap<Digest, PriceMinor>, name: &str, done: &AtomicBool) -> Seen {
    let mut client = Client::connect(socket).unwrap();
    let mut seen = Seen::default();
    for n in 0.. {
        if done.load(Ordering::SeqCst) {
            break;
        }
        let begun = Instant::now();
        match client.price(&ask(&format!("{name}-{n}"), "milk-0")) {
            Ok(reply) => seen.wrong += usize::from(prices.get(&reply.policy) != Some(&reply.price_minor)),
            Err(_) => seen.failed += 1,
        }
        seen.waits.push(begun.elapsed());
    }
    seen
}
