//! What a repaired store still knows, where the records are lost that say what is served.
#![allow(clippy::unwrap_used)]

mod common;

use common::{House, earn, fixed_bundle, named};
use haggle_serve::{Checked, Client, RewardStatus, check};
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
    let output = house.haggled(&[
        "ctl",
        "--socket",
        house.socket().to_str().unwrap(),
        "swap",
        "--force",
        "--bundle",
        other.to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{output:?}");
    let before = daemon.client().status().unwrap();
    daemon.terminate();
    lose(&house.store(), 0);
    repair(&house, 1);
    all_is_known(&house);
    let daemon = house.start();
    let after = daemon.client().status().unwrap();
    assert_eq!((after.policy, after.previous), (before.policy, before.previous));
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
