//! What a repaired store still knows, where the records are lost that say what is served.
#![allow(clippy::unwrap_used)]

mod common;

use common::{House, earn, fixed_bundle, named};
use haggle_serve::{Checked, Client, Engine, Journal, Mode, RewardStatus, Status, check};
use std::fs;
use std::path::{Path, PathBuf};

const DECISIONS: usize = 50;
const HEADER_BYTES: usize = 64;
/// Length and checksum, number, place in the batch and kind.
const FRAME_HEAD_BYTES: usize = 19;

fn price_and_reward(client: &mut Client) -> Vec<RewardStatus> {
    let reward = |n| {
        client
            .price(&named(&format!("d{n}"), &format!("s{n}"), "milk-0"))
            .unwrap();
        client.reward(&earn(&format!("d{n}"), "r", 7)).unwrap()
    };
    (0..DECISIONS).map(reward).collect()
}

/// A store of decisions with their rewards.
fn filled() -> House {
    let house = House::new(&fixed_bundle(6, 0.0));
    let daemon = house.start();
    assert_eq!(
        price_and_reward(&mut daemon.client()),
        vec![RewardStatus::Durable; DECISIONS]
    );
    daemon.terminate();
    house
}

fn volume(store: &Path) -> PathBuf {
    store.join("log/00000000000000000000.log")
}

/// Damages a record of the first volume.
fn lose(store: &Path, record: usize) {
    let mut bytes = fs::read(volume(store)).unwrap();
    let mut at = HEADER_BYTES;
    for _ in 0..record {
        at += 8 + u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    }
    bytes[at + FRAME_HEAD_BYTES + 20] ^= 1;
    fs::write(volume(store), bytes).unwrap();
}

fn repair(house: &House, lost: u64) -> Checked {
    let found = check(&house.store(), true).unwrap();
    assert!(found.repaired && found.lost_records == lost, "{found:?}");
    found
}

/// Every decision and reward is known: each comes back as a duplicate.
fn all_is_known(house: &House) {
    let daemon = house.start();
    let mut client = daemon.client();
    let status = client.status().unwrap();
    assert_eq!((status.decisions, status.rewards), (DECISIONS, DECISIONS as u64));
    assert_eq!(
        price_and_reward(&mut client),
        vec![RewardStatus::Duplicate; DECISIONS]
    );
    assert_eq!(client.get("d7").unwrap().value_minor, 7);
    let status = client.status().unwrap();
    assert_eq!((status.decisions, status.rewards), (DECISIONS, DECISIONS as u64));
    daemon.kill();
}

/// The status after an operator's command.
fn ctl(daemon: &common::Daemon, house: &House, args: &[&str]) -> Status {
    let socket = house.socket();
    let output = house.haggled(&[&["ctl", "--socket", socket.to_str().unwrap()], args].concat());
    assert!(output.status.success(), "{output:?}");
    daemon.client().status().unwrap()
}

fn without_bundle(house: &House) -> (i32, String) {
    let (socket, store) = (house.socket(), house.store());
    let args = [
        "serve",
        "--socket",
        socket.to_str().unwrap(),
        "--store",
        store.to_str().unwrap(),
    ];
    common::outcome(house.haggled(&args))
}

#[test]
fn decisions_and_rewards_outlive_the_record_that_says_what_is_served() {
    let house = filled();
    lose(&house.store(), 0);
    assert_eq!(repair(&house, 1).rewards, DECISIONS as u64);
    let (code, message) = without_bundle(&house);
    assert_eq!(code, 2, "{message}");
    assert!(
        message.contains("name the bundle to serve with --bundle"),
        "{message}"
    );
    all_is_known(&house);
    // From now on the store says it again, also without a checkpoint.
    let found = check(&house.store(), false).unwrap();
    assert_eq!((found.swaps, found.decisions), (1, DECISIONS as u64));
    fs::remove_dir_all(house.store().join("checkpoint")).unwrap();
    all_is_known(&house);
    let mut unnamed = std::process::Command::new(common::HAGGLED);
    unnamed
        .arg("serve")
        .arg("--socket")
        .arg(house.socket())
        .arg("--store")
        .arg(house.store());
    let daemon = common::Daemon::start(&mut unnamed, &house.socket());
    let status = daemon.client().status().unwrap();
    assert_eq!((status.decisions, status.previous), (DECISIONS, None));
}

#[test]
fn a_later_swap_says_what_was_served_before_it() {
    let house = filled();
    let daemon = house.start();
    let other = house.add(&fixed_bundle(4, 0.0));
    let before = ctl(
        &daemon,
        &house,
        &["swap", "--force", "--bundle", other.to_str().unwrap()],
    );
    daemon.terminate();
    lose(&house.store(), 0);
    repair(&house, 1);
    all_is_known(&house);
    let daemon = house.start();
    let after = daemon.client().status().unwrap();
    assert_eq!((after.policy, after.previous), (before.policy, before.previous));
}

#[test]
fn what_came_after_a_missing_first_volume_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let config = common::engine_config(dir.path(), &fixed_bundle(6, 0.0), "", None);
    let journal = Journal::open(&config.store, config.seed).unwrap();
    let engine = Engine::over(journal.with_volume_bytes(4 << 10), &config).unwrap();
    for n in 0..DECISIONS {
        let request = named(&format!("d{n}"), &format!("s{n}"), "milk-0");
        common::shop::quote_durably(&engine, request, 1_500_000_000);
    }
    engine.close().unwrap();
    drop(engine);
    fs::remove_file(volume(&config.store)).unwrap();
    let found = check(&config.store, true).unwrap();
    assert!(
        found.repaired && found.lost_records > 5 && found.decisions > 20,
        "{found:?}"
    );
    let engine = Engine::open(&config).unwrap();
    let status = engine.status();
    assert_eq!(
        (status.decisions as u64, status.lost_records),
        (found.decisions, found.lost_records)
    );
    assert!(engine.get("d49").is_ok() && engine.get("d0").is_err());
}

#[test]
fn a_bundle_of_other_items_is_refused_in_the_place_of_a_lost_record() {
    let mut house = filled();
    lose(&house.store(), 0);
    repair(&house, 1);
    house.bundle = house.add(&common::segment_bundle());
    let (code, message) = house.refusal();
    assert_eq!(code, 2, "{message}");
    assert!(
        message.contains("has no item `milk-0`, which was priced"),
        "{message}"
    );
}

#[test]
fn lost_records_are_told_of_until_the_operator_has_looked() {
    let house = filled();
    let daemon = house.start();
    let status = ctl(&daemon, &house, &["freeze"]);
    assert_eq!((status.lost_records, status.mode), (0, Mode::Frozen));
    daemon.terminate();
    // The last record of the journal said so.
    let last = 1 + 2 * DECISIONS;
    fs::remove_dir_all(house.store().join("checkpoint")).unwrap();
    lose(&house.store(), last);
    repair(&house, 1);
    let store = house.store();
    let found = house.haggled(&["check", "--store", store.to_str().unwrap()]);
    let text = String::from_utf8(found.stdout).unwrap();
    assert!(
        text.contains("may have been a swap, a freeze, a mode or a canary"),
        "{text}"
    );
    for _ in 0..2 {
        // Also from a checkpoint, and in a copy.
        let daemon = house.start();
        let status = daemon.client().status().unwrap();
        assert_eq!((status.lost_records, status.mode), (1, Mode::Live));
        daemon.terminate();
    }
    let copy = house.dir.path().join("copy");
    let done = house.haggled(&[
        "backup",
        "--store",
        store.to_str().unwrap(),
        "--out",
        copy.to_str().unwrap(),
    ]);
    assert!(done.status.success(), "{done:?}");
    assert_eq!(
        fs::read(copy.join("lost")).unwrap(),
        fs::read(store.join("lost")).unwrap()
    );
    fs::remove_file(store.join("lost")).unwrap();
    assert_eq!(house.start().client().status().unwrap().lost_records, 0);
}

#[test]
fn a_bundle_that_the_store_needs_is_checked_with_it() {
    let house = filled();
    let store = house.store();
    let kept = fs::read_dir(store.join("bundles"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let (store, copy) = (store.to_str().unwrap(), house.dir.path().join("copy"));
    let copy = copy.to_str().unwrap();
    let refused = |what: &str| {
        for args in [
            vec!["check", "--store", store],
            vec!["check", "--repair", "--store", store],
        ] {
            let output = house.haggled(&args);
            let text = String::from_utf8(output.stdout.clone()).unwrap();
            assert!(
                text.contains(what) && text.contains("copy the intact folder"),
                "{text}"
            );
            let (code, message) = common::outcome(output);
            assert_eq!(code, 3, "{message}");
            assert!(
                message.contains("a bundle that it needs is damaged or missing"),
                "{message}"
            );
        }
        let (code, message) = common::outcome(house.haggled(&["backup", "--store", store, "--out", copy]));
        assert_eq!(code, 3, "{message}");
        assert!(message.contains(what), "{message}");
        fs::remove_dir_all(copy).unwrap();
    };
    let name = kept.file_name().unwrap().to_str().unwrap();
    let manifest = kept.join("manifest.json");
    let sound = fs::read(&manifest).unwrap();
    let mut damaged = sound.clone();
    let at = sound.len() / 2;
    damaged[at] ^= 1;
    fs::write(&manifest, damaged).unwrap();
    refused(name);
    fs::remove_dir_all(&kept).unwrap();
    refused(name);
    fs::create_dir(&kept).unwrap();
    for file in fs::read_dir(&house.bundle).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), kept.join(file.file_name())).unwrap();
    }
    assert!(house.haggled(&["check", "--store", store]).status.success());
    assert!(
        house
            .haggled(&["backup", "--store", store, "--out", copy])
            .status
            .success()
    );
}
