//! Disks that fail or are slow, and clocks that jump: what is promised stays true, and prices go on.
#![allow(clippy::unwrap_used)]

mod common;

use common::{House, ask, earn, fixed_bundle, get_http, mlp_bundle};
use haggle_serve::{Client, Code, Engine, EngineConfig, Journal, RewardStatus, Sockets, http_path, run};
use std::fs::File;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

/// An engine over a store whose syncs are done by something else.
fn engine(house: &House, sync: fn(&File) -> io::Result<()>) -> Arc<Engine> {
    let config = EngineConfig {
        store: house.store(),
        bundle: Some(house.bundle.clone()),
        seed: Some(5),
        ..EngineConfig::default()
    };
    let journal = Journal::open(&config.store, config.seed).unwrap().with_sync(sync);
    Arc::new(Engine::over(journal, &config).unwrap())
}

static DISK_IS_GONE: AtomicBool = AtomicBool::new(false);

fn fails_once(file: &File) -> io::Result<()> {
    if DISK_IS_GONE.swap(false, Ordering::SeqCst) {
        return Err(io::Error::from_raw_os_error(5));
    }
    file.sync_data()
}

#[test]
fn one_failed_sync_ends_the_store_and_not_the_prices() {
    let house = House::new(&fixed_bundle(6, 0.0));
    let engine = engine(&house, fails_once);
    let sockets = Sockets::open(&house.socket(), None).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.spawn(run(engine, sockets, pending(), pending()));
    let mut client = Client::connect(&house.socket()).unwrap();
    let kept = client.price(&ask("s1", "milk-0")).unwrap();
    assert_eq!(
        client.reward(&earn(&kept.decision, "r", 7)).unwrap(),
        RewardStatus::Durable
    );
    let http = http_path(&house.socket());
    assert!(get_http(&http, "/readyz").starts_with("HTTP/1.0 200"));

    DISK_IS_GONE.store(true, Ordering::SeqCst);
    let refusal = client.reward(&earn(&kept.decision, "r2", 8)).unwrap_err();
    assert_eq!(refusal.refusal().unwrap().code, Code::StoreFailed);
    let refusal = client.reward(&earn(&kept.decision, "r2", 8)).unwrap_err();
    assert_eq!(
        refusal.refusal().unwrap().code,
        Code::StoreFailed,
        "the disk is back, but nobody knows what is on it"
    );
    let price = client.price(&ask("s2", "milk-0")).unwrap();
    assert!(
        !price.logged,
        "a price is answered, and says that nothing may be earned with it"
    );
    let ready = get_http(&http, "/readyz");
    assert!(
        ready.starts_with("HTTP/1.0 503") && ready.ends_with("the store is failed\n"),
        "{ready}"
    );
    assert!(get_http(&http, "/healthz").starts_with("HTTP/1.0 200"));
    assert!(get_http(&http, "/metrics").contains("\nhaggle_store_ready 0\n"));
    drop(client);
    drop(runtime);

    let daemon = house.start();
    let mut client = daemon.client();
    let there = client.get(&kept.decision).unwrap();
    assert!(
        there.rewards.contains(&"r".to_owned()),
        "what was acknowledged is there: {there:?}"
    );
    client.reward(&earn(&kept.decision, "r2", 8)).unwrap();
    assert_eq!(
        client.get(&kept.decision).unwrap().value_minor,
        15,
        "a retry counts once"
    );
}

fn slow(file: &File) -> io::Result<()> {
    sleep(Duration::from_millis(200));
    file.sync_data()
}

#[test]
fn a_slow_disk_slows_rewards_and_not_prices() {
    let house = House::new(&mlp_bundle());
    let engine = engine(&house, slow);
    let first = engine.price(ask("s", "milk-0"), 9).unwrap();
    let (_, ticket) = engine.reward(earn(&first.decision, "r", 7), 9).unwrap();
    for n in 0..200 {
        engine.price(ask(&format!("s{n}"), "milk-0"), 9).unwrap();
    }
    // All prices were answered within the first commits: most of them still wait for the disk.
    assert!(engine.status().queued > 0, "prices do not wait for the disk");
    ticket.blocking_recv().unwrap().unwrap();
    engine.close().unwrap();
    assert_eq!(engine.status().queued, 0);
}

#[test]
fn a_clock_that_jumps_loses_nothing() {
    let house = House::new(&mlp_bundle());
    let mut decisions = Vec::new();
    let clocks = [
        1_700_000_000,
        1_700_000_600,
        1_500_000_000,
        4_000_000_000,
        0,
        1_700_000_001,
    ];
    for round in 0..2 {
        let engine = engine(&house, File::sync_data);
        for (place, now_s) in clocks.into_iter().enumerate() {
            engine.expire(now_s);
            let reply = engine
                .price(ask(&format!("s{round}-{place}"), "milk-0"), now_s)
                .unwrap();
            let (_, ticket) = engine.reward(earn(&reply.decision, "r", 7), now_s).unwrap();
            ticket.blocking_recv().unwrap().unwrap();
            decisions.push(reply.decision);
        }
        engine.close().unwrap();
    }
    let engine = engine(&house, File::sync_data);
    assert_eq!((engine.status().decisions, engine.status().rewards), (12, 12));
    for decision in decisions {
        assert_eq!(engine.get(&decision).unwrap().value_minor, 7);
    }
}
