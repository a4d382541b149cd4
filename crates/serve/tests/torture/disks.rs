//! Disks that fail, fill up or are slow, under load.

use crate::common::{Daemon, House, SmallDisk, ask, earn, fixed_bundle, mlp_bundle, price_until_full};
use crate::load::Load;
use crate::share;
use haggle_serve::{Client, Code, Engine, EngineConfig, Health, Journal, Sockets, run};
use std::fs::{self, File};
use std::future::pending;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// A daemon in this process, over a store whose syncs are done by something else; it ends with the runtime.
fn serve(house: &House, sync: fn(&File) -> io::Result<()>) -> Runtime {
    let config = EngineConfig {
        store: house.store(),
        bundle: Some(house.bundle.clone()),
        seed: Some(5),
        ..EngineConfig::default()
    };
    let journal = Journal::open(&config.store, config.seed).unwrap().with_sync(sync);
    let engine = Arc::new(Engine::over(journal, &config).unwrap());
    let sockets = Sockets::open(&house.socket(), None).unwrap();
    let runtime = Runtime::new().unwrap();
    runtime.spawn(run(engine, sockets, pending(), pending()));
    runtime
}

fn store_of(socket: &Path) -> Health {
    Client::connect(socket).unwrap().status().unwrap().store
}

fn wait_for(socket: &Path, store: Health) {
    let begun = Instant::now();
    while store_of(socket) != store {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "the store is never {store:?}"
        );
        sleep(Duration::from_millis(5));
    }
}

static DISK_IS_GONE: AtomicBool = AtomicBool::new(false);

fn fails_once(file: &File) -> io::Result<()> {
    if DISK_IS_GONE.swap(false, Ordering::SeqCst) {
        return Err(io::Error::from_raw_os_error(5));
    }
    file.sync_data()
}

#[test]
#[ignore = "minutes: make torture"]
fn a_failed_sync_under_load_loses_nothing_that_was_acknowledged() {
    let house = House::new(&mlp_bundle());
    let rounds = share(10);
    let load = Load::start(&house.socket(), 8);
    for _ in 0..rounds {
        let runtime = serve(&house, fails_once);
        sleep(Duration::from_millis(300));
        DISK_IS_GONE.store(true, Ordering::SeqCst);
        wait_for(&house.socket(), Health::Failed);
        let priced = Client::connect(&house.socket())
            .unwrap()
            .price(&ask("meanwhile", "milk-0"));
        assert!(!priced.unwrap().logged, "prices go on");
        drop(runtime);
    }
    report(
        &house.start(),
        load,
        &format!("fdatasync fails once under load | {rounds} failures"),
    );
}

#[test]
#[ignore = "minutes: make torture"]
fn a_full_disk_refuses_rewards_and_a_restart_on_it_works() {
    let house = House::new(&fixed_bundle(6, 0.0));
    let Some(disk) = SmallDisk::mount(&house.store()) else {
        println!("| full disk | skipped: this system lets nobody mount a small disk |");
        return;
    };
    let daemon = house.start();
    let load = Load::start(&house.socket(), 8);
    sleep(Duration::from_millis(300));
    let ballast = disk.fill();
    price_until_full(&mut daemon.client());
    daemon.kill();
    let daemon = house.start();
    let mut client = daemon.client();
    let mut refused = 0;
    for n in 0..share(200) {
        let reply = client.price(&ask(&format!("full-{n}"), "milk-0")).unwrap();
        let reward = client.reward(&earn(&reply.decision, "r", 1));
        refused += usize::from(reward.is_err_and(|error| error.refusal().unwrap().code == Code::StoreFull));
    }
    fs::remove_file(&ballast).unwrap();
    wait_for(&house.socket(), Health::Ok);
    let what = format!("full disk, killed and started on it | {refused} refused, prices go on");
    report(&daemon, load, &what);
}

/// Lets the shops finish, and compares what they were told with what a daemon has.
fn report(daemon: &Daemon, load: Load, what: &str) {
    let sent = load.finish();
    let (lost, wrong) = sent.compare(&mut daemon.client());
    println!(
        "| {what} | {} acknowledged | {lost} lost | {wrong} wrong values |",
        sent.len()
    );
    assert_eq!((lost, wrong), (0, 0));
}

fn slow(file: &File) -> io::Result<()> {
    sleep(Duration::from_millis(200));
    file.sync_data()
}

#[test]
#[ignore = "minutes: make torture"]
fn a_slow_disk_slows_rewards_and_not_prices() {
    let (quick, slow) = (p99_us(File::sync_data), p99_us(slow));
    println!(
        "| slow disk, +200 ms a sync, 2 shops with rewards | prices p99 {slow:.0} us | {:.2} x of {quick:.0} us without |",
        slow / quick
    );
}

/// How long prices take at most, but for 1 in 100, while two shops wait for the disk.
fn p99_us(sync: fn(&File) -> io::Result<()>) -> f64 {
    let house = House::new(&mlp_bundle());
    let runtime = serve(&house, sync);
    let load = Load::start(&house.socket(), 2);
    let mut client = Client::connect(&house.socket()).unwrap();
    let mut waits: Vec<Duration> = (0..share(10_000))
        .map(|n| {
            // Far fewer than such a disk can take.
            sleep(Duration::from_micros(500));
            let begun = Instant::now();
            client.price(&ask(&format!("p{n}"), "milk-0")).unwrap();
            begun.elapsed()
        })
        .collect();
    load.finish();
    drop(runtime);
    waits.sort();
    waits[waits.len() * 99 / 100].as_secs_f64() * 1e6
}
