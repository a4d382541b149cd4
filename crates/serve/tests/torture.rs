//! Long failure tests of the store: `make torture`. They need no network; power cuts need root and loop devices.
//!
//! `HAGGLE_TORTURE_SHARE=0.1` does a tenth of everything.
#![allow(clippy::unwrap_used)]

mod common;
#[path = "torture/cuts.rs"]
mod cuts;
#[path = "torture/disks.rs"]
mod disks;
#[path = "torture/load.rs"]
mod load;
#[path = "torture/swaps.rs"]
mod swaps;

use common::{House, ask, earn, mlp_bundle};
use haggle_serve::{Journal, Record, StoreError, check};
use load::Load;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// This share of a full count, at least one.
fn share(full: usize) -> usize {
    let share = std::env::var("HAGGLE_TORTURE_SHARE")
        .ok()
        .and_then(|text| text.parse::<f64>().ok());
    ((full as f64 * share.unwrap_or(1.0)) as usize).max(1)
}

#[test]
#[ignore = "minutes: make torture"]
fn kill_9_under_load_loses_and_doubles_nothing() {
    let house = House::new(&mlp_bundle());
    let kills = share(200);
    let load = Load::start(&house.socket(), 8);
    for n in 0..kills {
        let daemon = house.start();
        std::thread::sleep(Duration::from_millis(60 + 13 * (n as u64 % 17)));
        daemon.kill();
    }
    let daemon = house.start();
    let sent = load.finish();
    let (lost, wrong) = sent.compare(&mut daemon.client());
    let sum = sent.sum_at(&mut daemon.client());
    println!(
        "| kill -9 under load, retries with the same ids | {kills} kills | {} acknowledged | {lost} lost | {wrong} wrong values | sum {sum} of {} |",
        sent.len(),
        sent.sum()
    );
    assert!(sent.len() > 20 * kills, "there was load: {}", sent.len());
    assert_eq!((lost, wrong, sum), (0, 0, sent.sum()));
}

#[test]
#[ignore = "minutes: make torture"]
fn power_cuts_lose_nothing_that_was_acknowledged() {
    let Some(rig) = cuts::Rig::new(256) else {
        println!("| power cuts | skipped: this system lets nobody mount a loop device |");
        return;
    };
    let mut house = House::new(&mlp_bundle());
    house.move_store_to(&rig.folder().join("store"));
    let daemon = house.start();
    let load = Load::start(&house.socket(), 8);
    let (cuts, mut acknowledged, mut lost, mut wrong) = (share(50), 0, 0, 0);
    for n in 0..cuts {
        std::thread::sleep(Duration::from_millis(50 + 17 * (n as u64 % 11)));
        // The shops wait meanwhile, so that the disk is large enough however fast they are.
        let (sent, there) = daemon.paused(|| {
            let sent = load.acknowledged(); // before the power went
            let after = rig.cut().mount();
            let store = after.folder().join("store");
            let found = check(&store, false).unwrap();
            assert!(found.sound() && found.lost.is_empty(), "{found:?}");
            (sent, load::rewards_of(&store))
        });
        acknowledged = sent.len();
        let (gone, changed) = sent.compare_with(&there);
        (lost, wrong) = (lost + gone, wrong + changed);
    }
    load.finish();
    println!(
        "| power cut, the daemon's store | {cuts} cuts | {acknowledged} acknowledged at the last | {lost} lost | {wrong} wrong values |"
    );
    assert_eq!((lost, wrong), (0, 0));
    daemon.kill();

    let synced = rig.appends(share(10), true);
    println!(
        "| power cut, control: log with fdatasync | {} cuts | {} acknowledged | {} lost |",
        synced.cuts, synced.acknowledged, synced.lost
    );
    let unsynced = rig.appends(share(10), false);
    println!(
        "| power cut, control: log without it | {} cuts | {} acknowledged | {} lost |",
        unsynced.cuts, unsynced.acknowledged, unsynced.lost
    );
    assert_eq!(synced.lost, 0);
    assert!(unsynced.lost > 0, "the rig does not bite");
}

/// Every record of a store, or what is wrong with it.
fn records(store: &Path) -> Result<Vec<(u64, Record)>, StoreError> {
    let mut records = Vec::new();
    Journal::existing(store)?.recover(|number, record| {
        records.push((number, record));
        Ok::<(), StoreError>(())
    })?;
    Ok(records)
}

#[test]
#[ignore = "minutes: make torture"]
fn a_thousand_damaged_offsets_cause_no_panic_and_no_wrong_value() {
    let house = House::new(&mlp_bundle());
    let daemon = house.start();
    let mut client = daemon.client();
    for n in 0..600 {
        let reply = client.price(&ask(&format!("s{n}"), "milk-0")).unwrap();
        client.reward(&earn(&reply.decision, "r", n)).unwrap();
    }
    daemon.terminate();
    let store = house.store();
    let truth = records(&store).unwrap();
    let volume = store.join("log/00000000000000000000.log");
    let files: Vec<PathBuf> = vec![volume, store.join("tail"), store.join("identity")];
    let (mut panics, mut wrong, mut unnamed, mut lost) = (0, 0, 0, 0);
    let offsets = share(1000);
    for n in 0..offsets {
        let file = &files[if n % 50 == 0 { 1 + n / 50 % 2 } else { 0 }];
        let sound = fs::read(file).unwrap();
        let used = sound.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        let at = (n * 7919) % used;
        let mut damaged = sound.clone();
        match n % 4 {
            0 | 1 => damaged[at] ^= 1 << (n % 8),
            2 => damaged[at..(at + 4096).min(used)].fill(0),
            _ => damaged.truncate(at),
        }
        fs::write(file, damaged).unwrap();
        let tried = catch_unwind(|| (records(&store), check(&store, false)));
        match tried {
            Err(_) => panics += 1,
            // A flipped bit in the version is another version.
            Ok((Err(StoreError::Version { .. }), Err(StoreError::Version { .. }))) => {}
            Ok((read, checked)) => {
                let checked = checked.unwrap();
                let gone = |number: u64| {
                    checked
                        .lost
                        .iter()
                        .any(|(from, to)| (*from..=*to).contains(&number))
                };
                match read {
                    Ok(read) => wrong += usize::from(read != truth),
                    Err(_) => unnamed += usize::from(checked.damage.is_empty()),
                }
                let left = truth.iter().filter(|(number, _)| !gone(*number)).count();
                unnamed += usize::from(checked.records as usize != left);
                lost += truth.len() - left;
            }
        }
        fs::write(file, sound).unwrap();
    }
    assert_eq!(records(&store).unwrap(), truth);
    println!(
        "| flipped bits, zeroed pages, cut files | {offsets} offsets | {lost} records lost and named | {panics} panics | {wrong} wrong values | {unnamed} losses not named |"
    );
    assert_eq!((panics, wrong, unnamed), (0, 0, 0));
}
