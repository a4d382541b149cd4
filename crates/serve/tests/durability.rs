//! What survives a killed daemon, and what a damaged, foreign or full store is answered.
#![allow(clippy::unwrap_used)]

mod common;

use common::{House, SmallDisk, ask, earn, fixed_bundle, mlp_bundle, outcome, price_until_full};
use haggle_core::{FEATURE_NAMES, read_segment};
use haggle_serve::{AdminRequest, Checked, Client, Code, Exported, Health, RewardStatus, admin_path};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::net::UnixListener;
use std::sync::mpsc;
use std::time::Duration;

/// Prices and rewards until the connection breaks; every acknowledged reward goes to `acknowledged`.
fn shop(mut client: Client, name: &str, acknowledged: &mpsc::Sender<(String, i64)>) {
    for n in 0i64.. {
        let Ok(reply) = client.price(&ask(&format!("{name}-{n}"), "milk-0")) else {
            return;
        };
        let value = n + 1;
        match client.reward(&earn(&reply.decision, "r", value)) {
            Ok(RewardStatus::Durable) => acknowledged.send((reply.decision, value)).unwrap(),
            Ok(other) => panic!("nobody sent it before, and it is in time: {other:?}"),
            Err(_) => return,
        }
    }
}

#[test]
fn every_acknowledged_reward_survives_kill_9() {
    let house = House::new(&mlp_bundle());
    house.configure("[store]\ncheckpoint_records = 300\n[rewards]\nterms = { window_s = 5 }\n");
    let mut acknowledged = BTreeMap::new();
    for round in 0..4 {
        let daemon = house.start();
        let (sender, receiver) = mpsc::channel();
        let shops: Vec<_> = (0..8)
            .map(|n| {
                let (client, sender) = (daemon.client(), sender.clone());
                std::thread::spawn(move || shop(client, &format!("r{round}s{n}"), &sender))
            })
            .collect();
        std::thread::sleep(Duration::from_millis(300 + 170 * round));
        daemon.kill();
        shops.into_iter().for_each(|shop| shop.join().unwrap());
        drop(sender);
        let before = acknowledged.len();
        acknowledged.extend(receiver);
        assert!(
            acknowledged.len() > before + 20,
            "there was load: {}",
            acknowledged.len() - before
        );
        let daemon = house.start();
        let mut client = daemon.client();
        for (decision, value) in &acknowledged {
            let there = client.get(decision).unwrap();
            assert_eq!((there.value_minor, there.units), (*value, 1), "{decision}");
        }
        assert!(client.status().unwrap().rewards >= acknowledged.len() as u64);
        daemon.kill();
    }
    let store = house.store();
    let checked = house.haggled(&["check", "--json", "--store", store.to_str().unwrap()]);
    let found: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert!(
        found["rewards"].as_u64().unwrap() >= acknowledged.len() as u64,
        "{found}"
    );
}

#[test]
fn sigterm_answers_what_is_in_flight_and_writes_it() {
    let house = House::new(&fixed_bundle(6, 0.0));
    let daemon = house.start();
    let mut client = daemon.client();
    let asks: Vec<_> = (0..500).map(|n| ask(&format!("s{n}"), "milk-0")).collect();
    let decisions: Vec<String> = client
        .prices(&asks)
        .unwrap()
        .into_iter()
        .map(|reply| reply.unwrap().decision)
        .collect();
    let mut late = daemon.client();
    let rewards: Vec<_> = decisions.iter().map(|decision| earn(decision, "r", 7)).collect();
    late.status().unwrap();
    // The requests lie in the socket when the signal comes: they are answered all the same.
    let sent = std::thread::spawn(move || late.rewards(&rewards[..60]));
    std::thread::sleep(Duration::from_millis(5));
    let (code, took) = daemon.terminate();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(10), "{took:?}");
    let answers = sent.join().unwrap().unwrap();
    assert!(answers.iter().all(|answer| *answer == Ok(RewardStatus::Durable)));
    assert!(!house.socket().exists(), "the socket is gone");
    let daemon = house.start();
    let status = daemon.client().status().unwrap();
    assert_eq!((status.decisions, status.rewards), (500, 60));
}

/// Makes a store with some records and stops the daemon.
fn filled() -> House {
    let house = House::new(&fixed_bundle(6, 0.0));
    let daemon = house.start();
    let mut client = daemon.client();
    for n in 0..200 {
        let reply = client.price(&ask(&format!("s{n}"), "milk-0")).unwrap();
        client.reward(&earn(&reply.decision, "r", 7)).unwrap();
    }
    daemon.terminate();
    house
}

#[test]
fn a_damaged_store_is_a_sentence_and_never_a_wrong_value() {
    let house = filled();
    let file = house.store().join("log/00000000000000000000.log");
    let sound = fs::read(&file).unwrap();
    let used = sound.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let flips = (0..10).map(|n| (used * (2 * n + 1) / 20, "flip"));
    for (at, how) in flips.chain([(used / 2, "zero"), (used / 2, "cut"), (used / 4, "cut")]) {
        let mut bytes = sound.clone();
        match how {
            "flip" => bytes[at] ^= 0x10,
            "zero" => bytes[at..(at + 4096).min(used)].fill(0),
            _ => bytes.truncate(at),
        }
        fs::write(&file, bytes).unwrap();
        let (code, message) = house.refusal();
        assert_eq!(code, 3, "{how} at {at}: {message}");
        assert!(
            message.starts_with("haggled: store ") && message.contains(" lost; "),
            "{message}"
        );
        let found = house.haggled(&["check", "--json", "--store", house.store().to_str().unwrap()]);
        let found: Checked = serde_json::from_slice(&found.stdout).unwrap();
        let what = format!("it is damaged: {}; `haggled check", found.damage.join("; "));
        assert!(message.contains(&what), "{message}: {what}");
    }
}

#[test]
fn a_store_that_cannot_be_used_is_named() {
    let house = filled();
    let daemon = house.start();
    let (code, message) = house.refusal();
    assert_eq!(code, 2, "{message}");
    assert!(message.contains("another program listens there"), "{message}");
    let store = house.store();
    let store = store.to_str().unwrap();
    let elsewhere = house.dir.path().join("other");
    let elsewhere = elsewhere.to_str().unwrap();
    let (code, message) = outcome(house.haggled(&["serve", "--socket", elsewhere, "--store", store]));
    assert_eq!(code, 3);
    assert!(
        message.ends_with("another process is using it (a running haggled?)"),
        "{message}"
    );
    let (code, message) = outcome(house.haggled(&["export", "--out", elsewhere, "--store", store]));
    assert_eq!(code, 3);
    assert!(
        message.ends_with("another process is using it (a running haggled?)"),
        "{message}"
    );
    daemon.terminate();
    let (code, message) =
        outcome(house.haggled(&["serve", "--socket", elsewhere, "--store", store, "--seed", "6"]));
    assert_eq!(code, 3);
    assert!(message.contains("made with another seed"), "{message}");
    let (code, message) = outcome(house.haggled(&[
        "serve",
        "--socket",
        elsewhere,
        "--store",
        &format!("{elsewhere}-store"),
    ]));
    assert_eq!(code, 2);
    assert!(
        message.contains("name the bundle to serve with --bundle"),
        "{message}"
    );
    assert!(
        !house.dir.path().join("other-store").exists(),
        "nothing is left behind"
    );
    let nowhere = format!("{elsewhere}-none");
    for (folder, what) in [
        (nowhere.as_str(), "there is no such folder"),
        (
            house.dir.path().to_str().unwrap(),
            "the folder holds no store: there is no `identity` in it",
        ),
    ] {
        for args in [vec!["check"], vec!["export", "--out", elsewhere]] {
            let (code, message) = outcome(house.haggled(&[&args[..], &["--store", folder]].concat()));
            assert_eq!((code, message), (3, format!("haggled: store {folder}: {what}")));
        }
    }
    let stale = house.dir.path().join("stale");
    drop(UnixListener::bind(admin_path(&stale)).unwrap());
    for (socket, what) in [
        (
            house.socket(),
            "there is no such socket; no daemon is running there",
        ),
        (stale, "a daemon was there, but none is running now"),
    ] {
        let (code, message) =
            outcome(house.haggled(&["ctl", "--socket", socket.to_str().unwrap(), "status"]));
        let sentence = format!("haggled: socket {}: {what}", admin_path(&socket).display());
        assert_eq!((code, message), (2, sentence));
    }
    let identity = house.store().join("identity");
    let kept = fs::read_to_string(&identity).unwrap();
    fs::write(&identity, kept.replace("store 3", "store 9")).unwrap();
    let (code, message) = house.refusal();
    assert_eq!(code, 3);
    assert!(message.contains("its version is `haggle store 9`"), "{message}");
    fs::create_dir(house.store().join("journal")).unwrap();
    fs::write(house.store().join("journal/db"), "sled").unwrap();
    let (code, message) = house.refusal();
    assert_eq!(code, 3);
    assert!(
        message.contains("its version is `haggle store 1`") && message.contains("--history"),
        "{message}"
    );
}

#[test]
fn on_a_full_disk_rewards_are_refused_and_prices_go_on() {
    let house = House::new(&fixed_bundle(6, 0.0));
    let Some(disk) = SmallDisk::mount(&house.store()) else {
        println!("skipped: this system lets nobody mount a small disk");
        return;
    };
    let daemon = house.start();
    let mut client = daemon.client();
    let before = client.price(&ask("before", "milk-0")).unwrap();
    client.reward(&earn(&before.decision, "r", 1)).unwrap();
    let given_up = client.price(&ask("given up", "milk-0")).unwrap();
    let ballast = disk.fill();
    let more = price_until_full(&mut client);
    let refusal = client.reward(&earn(&before.decision, "r2", 2)).unwrap_err();
    assert_eq!(refusal.refusal().unwrap().code, Code::StoreFull);
    let refusal = client.reward(&earn(&given_up.decision, "r", 9)).unwrap_err();
    assert_eq!(refusal.refusal().unwrap().code, Code::StoreFull);
    assert_eq!(
        client.status().unwrap().rewards,
        1,
        "refused rewards do not count"
    );
    assert_eq!(client.get(&before.decision).unwrap().rewards, ["r"]);
    for n in 0..100 {
        client.price(&ask(&format!("s{n}"), "milk-0")).unwrap();
    }
    assert_eq!(client.status().unwrap().store, Health::Full);
    fs::remove_file(&ballast).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(
        client.reward(&earn(&before.decision, "r2", 2)).unwrap(),
        RewardStatus::Durable
    );
    assert_eq!(client.status().unwrap().store, Health::Ok);
    assert_eq!(client.status().unwrap().rewards, 2);
    daemon.kill();
    let daemon = house.start();
    let mut client = daemon.client();
    let status = client.status().unwrap();
    assert_eq!(
        (status.decisions, status.rewards),
        (102 + more, 2),
        "what was decided while it was full is there"
    );
    assert_eq!(client.get(&before.decision).unwrap().rewards, ["r", "r2"]);
    let mut later = ask("later", "milk-0");
    later.user = ask("given up", "milk-0").user;
    let later = client.price(&later).unwrap();
    assert_eq!(
        client.reward(&earn(&given_up.decision, "r", 9)).unwrap(),
        RewardStatus::Durable,
        "a refused reward can be sent again after a restart, too"
    );
    let out = house.dir.path().join("out");
    let exported: Exported = daemon.operator().admin(&AdminRequest::Export { out }).unwrap();
    let segments = exported.segments.into_iter();
    let offers = segments.flat_map(|segment| read_segment(&fs::read(segment).unwrap()).unwrap());
    let seen = offers
        .filter_map(|offer| offer.logged)
        .find(|logged| logged.decision.0 == later.decision)
        .unwrap();
    let last_choice = FEATURE_NAMES
        .iter()
        .position(|name| *name == "loyalty.last_choice")
        .unwrap();
    assert_eq!(
        seen.features[last_choice], 1.0,
        "the market remembers the purchase whose reward was refused"
    );
}

#[test]
fn a_daemon_starts_again_while_the_disk_is_full() {
    let house = House::new(&fixed_bundle(6, 0.0));
    let Some(disk) = SmallDisk::mount(&house.store()) else {
        println!("skipped: this system lets nobody mount a small disk");
        return;
    };
    let daemon = house.start();
    let mut client = daemon.client();
    let before = client.price(&ask("before", "milk-0")).unwrap();
    client.reward(&earn(&before.decision, "r", 1)).unwrap();
    let ballast = disk.fill();
    daemon.terminate();
    let daemon = house.start();
    let mut client = daemon.client();
    assert_eq!(client.get(&before.decision).unwrap().rewards, ["r"]);
    client.price(&ask("while full", "milk-0")).unwrap();
    daemon.kill();
    fs::remove_file(&ballast).unwrap();
    let daemon = house.start();
    let rewarded = daemon.client().reward(&earn(&before.decision, "r2", 2)).unwrap();
    assert_eq!(rewarded, RewardStatus::Durable);
}

#[test]
fn a_store_on_a_read_only_disk_can_be_checked_and_copied() {
    let house = House::new(&fixed_bundle(6, 0.0));
    let Some(disk) = SmallDisk::mount(&house.store()) else {
        println!("skipped: this system lets nobody mount a small disk");
        return;
    };
    let daemon = house.start();
    let reply = daemon.client().price(&ask("s", "milk-0")).unwrap();
    daemon.client().reward(&earn(&reply.decision, "r", 7)).unwrap();
    daemon.terminate();
    disk.make_read_only();
    let (store, out) = (house.store(), house.dir.path().join("copy"));
    let (store, out) = (store.to_str().unwrap(), out.to_str().unwrap());
    for args in [vec!["check"], vec!["backup", "--out", out]] {
        let done = house.haggled(&[&args[..], &["--store", store]].concat());
        assert!(done.status.success(), "{args:?}: {:?}", outcome(done));
    }
    let (code, message) = outcome(house.haggled(&["check", "--store", out]));
    assert_eq!(code, 0, "{message}");
}
