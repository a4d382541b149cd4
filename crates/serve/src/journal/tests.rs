#![allow(clippy::unwrap_used)]

use super::*;
use frame::SALT_BYTES;
use haggle_core::{DecisionId, Reward};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// Batches of these sizes, again and again.
const BATCHES: [usize; 5] = [1, 7, 2, 16, 4];

fn record(number: u64) -> Record {
    Record::Reward(Reward {
        decision: DecisionId(format!("decision {number}")),
        reward_id: "r".to_owned(),
        value_minor: number as i64,
        units: 1,
        time_s: 9,
    })
}

/// A store with records in several small volumes, in memory where the system has such a folder: here the bytes are on
/// trial, not the disk.
fn filled(records: u64) -> TempDir {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap());
    let mut journal = Journal::open(dir.path(), Some(1)).unwrap();
    journal.volume_bytes = 4096;
    let mut sizes = BATCHES.iter().cycle();
    while journal.next < records {
        let count = (*sizes.next().unwrap() as u64).min(records - journal.next);
        let batch: Vec<Record> = (journal.next..journal.next + count).map(record).collect();
        journal.append(&batch).unwrap();
    }
    // Little room in advance, so that a test does not read zeros all day.
    journal.file.set_len(journal.offset + 512).unwrap();
    dir
}

fn recovered(store: &Path) -> Result<Vec<Record>, StoreError> {
    let mut records = Vec::new();
    Journal::open(store, None)?.recover(|_, record| {
        records.push(record);
        Ok::<(), StoreError>(())
    })?;
    Ok(records)
}

/// The files that hold records, each with the bytes that are used.
fn files(store: &Path) -> Vec<(PathBuf, Vec<u8>, usize)> {
    let log = store.join("log");
    let firsts = volume::firsts(&log).unwrap();
    let file = |first| {
        let path = volume::path(&log, first);
        let bytes = fs::read(&path).unwrap();
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        (path, bytes, used)
    };
    firsts.into_iter().map(file).collect()
}

/// Damages a store, and holds against it: no panic, no wrong value, a start that says of it what the check says, and a repair
/// that loses exactly what the check names.
fn damage_is_named(store: &Path, all: &[Record], damage: impl FnOnce()) -> u64 {
    damage();
    let start = recovered(store);
    let found = check(store, false).unwrap();
    match start {
        Ok(records) => assert_eq!(records, all),
        Err(StoreError::Damaged { what, .. }) => {
            let named = |what: &str| found.damage.iter().any(|damage| damage.ends_with(what));
            assert!(what.split("; ").all(named), "{what}: {:?}", found.damage);
        }
        Err(error) => panic!("{error}"),
    }
    let repaired = check(store, true).unwrap();
    assert_eq!((&found.lost, &found.damage), (&repaired.lost, &repaired.damage));
    let lost: BTreeSet<u64> = found.lost.iter().flat_map(|(from, to)| *from..=*to).collect();
    let left = (0..all.len() as u64).filter(|number| !lost.contains(number));
    let left: Vec<Record> = left.map(|number| all[number as usize].clone()).collect();
    assert_eq!(recovered(store).unwrap(), left);
    let again = check(store, false).unwrap();
    assert!(again.sound() && again.damage.is_empty(), "{again:?}");
    assert_eq!(again.lost, found.lost, "what was lost stays named");
    lost.len() as u64
}

#[test]
fn what_was_appended_is_there_after_a_restart_and_goes_on() {
    let dir = filled(300);
    let all: Vec<Record> = (0..300).map(record).collect();
    assert!(files(dir.path()).len() > 4, "there are several volumes");
    assert_eq!(recovered(dir.path()).unwrap(), all);
    let mut journal = Journal::open(dir.path(), None).unwrap();
    journal.append(&[record(300)]).unwrap();
    let tail: Vec<u64> = journal.reader().scan(299).map(|found| found.unwrap().0).collect();
    assert_eq!(tail, [299, 300]);
    drop(journal);
    let found = check(dir.path(), false).unwrap();
    assert!(found.sound(), "{found:?}");
    assert_eq!((found.records, found.lost_records, found.torn_bytes), (301, 0, 0));
}

#[test]
fn a_thousand_flipped_bits_change_no_value_and_lose_one_record_each() {
    let dir = filled(300);
    let all: Vec<Record> = (0..300).map(record).collect();
    let sound = files(dir.path());
    let bits: usize = sound.iter().map(|(_, _, used)| 8 * used).sum();
    let mut lost = 0;
    for n in 0..1000 {
        let mut bit = bits / 1000 * n + n % 8;
        let (path, bytes, _) = sound
            .iter()
            .find(|(_, _, used)| {
                let here = bit < 8 * used;
                bit -= if here { 0 } else { 8 * used };
                here
            })
            .unwrap();
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let cost = damage_is_named(dir.path(), &all, || fs::write(path, &flipped).unwrap());
        assert!(cost <= 1, "one bit costs one record, not {cost}");
        lost += cost;
        fs::write(path, bytes).unwrap();
    }
    assert!(lost > 900, "most of a volume is records: {lost}");
}

#[test]
fn pages_ends_and_whole_volumes_can_be_lost_and_are_named() {
    let dir = filled(300);
    let all: Vec<Record> = (0..300).map(record).collect();
    let sound = files(dir.path());
    for (path, bytes, used) in &sound {
        for from in (0..*used).step_by(512) {
            let mut zeroed = bytes.clone();
            zeroed[from..(from + 512).min(*used)].fill(0);
            let lost = damage_is_named(dir.path(), &all, || fs::write(path, &zeroed).unwrap());
            assert!(lost <= 512 / 50 + 2, "{lost}");
            let cut = bytes[..from].to_vec();
            damage_is_named(dir.path(), &all, || fs::write(path, &cut).unwrap());
            fs::write(path, bytes).unwrap();
        }
    }
    for (path, bytes, _) in [&sound[0], &sound[2]] {
        assert!(damage_is_named(dir.path(), &all, || fs::remove_file(path).unwrap()) > 10);
        fs::write(path, bytes).unwrap();
    }
    let found = check(dir.path(), false).unwrap();
    assert!(found.sound() && found.lost.is_empty(), "{found:?}");
}

#[test]
fn what_was_torn_before_it_was_acknowledged_is_cut_off() {
    let dir = filled(30);
    let (path, bytes, used) = files(dir.path()).pop().unwrap();
    let (next, mut torn) = (30, bytes[..used].to_vec());
    let start = torn.len();
    for place in 0..3 {
        let number = next + u64::from(place);
        let record = encode_record(&record(number));
        let salt = [place as u8; SALT_BYTES];
        let entry = Entry::Record {
            salt,
            record: &record,
        };
        Frame { number, place, entry }.write(&mut torn);
    }
    // The disk wrote the last page of the batch, and not the first.
    torn[start..start + 20].fill(0);
    fs::write(&path, &torn).unwrap();
    let found = check(dir.path(), false).unwrap();
    assert!(found.sound() && found.torn_bytes > 0, "{found:?}");
    let mut journal = Journal::open(dir.path(), None).unwrap();
    journal.append(&[record(30)]).unwrap();
    drop(journal);
    assert_eq!(
        recovered(dir.path()).unwrap(),
        (0..31).map(record).collect::<Vec<_>>()
    );
    assert_eq!(check(dir.path(), false).unwrap().torn_bytes, 0);
}

#[test]
fn erased_records_leave_the_chain_whole_and_no_byte_behind() {
    let dir = filled(300);
    let before = check(dir.path(), false).unwrap();
    let numbers: BTreeSet<u64> = [0, 7, 150, 299].into();
    Journal::open(dir.path(), None).unwrap().erase(&numbers).unwrap();
    let after = check(dir.path(), false).unwrap();
    assert!(after.sound(), "{after:?}");
    assert_eq!(
        (after.records, after.erased, &after.chain),
        (296, 4, &before.chain)
    );
    let text = b"decision 150";
    let holds = |bytes: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    assert!(!files(dir.path()).iter().any(|(_, bytes, _)| holds(bytes)));
    let mut journal = Journal::open(dir.path(), None).unwrap();
    journal.append(&[record(300)]).unwrap();
    assert_eq!(journal.reader().scan(0).count(), 297);
}

#[test]
fn a_missing_volume_is_called_missing_and_an_unknown_end_unknown() {
    let dir = filled(300);
    let (path, bytes, _) = files(dir.path()).remove(1);
    fs::remove_file(&path).unwrap();
    let found = check(dir.path(), false).unwrap();
    assert!(found.breaks.is_empty(), "{found:?}");
    assert!(found.damage[0].ends_with(": it is missing"), "{found:?}");
    fs::write(&path, bytes).unwrap();
    let (last, bytes, used) = files(dir.path()).pop().unwrap();
    fs::write(&last, &bytes[..used - 3]).unwrap();
    let found = check(dir.path(), false).unwrap();
    assert!(
        !found.sound() && !found.tail_unknown,
        "the tail tells of it: {found:?}"
    );
    fs::remove_file(dir.path().join("tail")).unwrap();
    let found = check(dir.path(), false).unwrap();
    assert!(found.torn_bytes > 0 && found.tail_unknown, "{found:?}");
}

#[test]
fn a_changed_record_with_a_new_checksum_breaks_the_chain() {
    let dir = filled(300);
    let (path, bytes, _) = files(dir.path()).remove(1);
    let header = Header::read(&bytes).unwrap();
    let mut forged = bytes[..HEADER_BYTES].to_vec();
    let forgery = encode_record(&record(1_000_000));
    for (place, piece) in pieces::Pieces::new(&bytes, header.first).enumerate() {
        let pieces::Piece::Sound(_, mut frame) = piece else {
            panic!("the volume is sound");
        };
        if let (3, Entry::Record { salt, .. }) = (place, frame.entry) {
            let record = &forgery;
            frame.entry = Entry::Record { salt, record };
        }
        frame.write(&mut forged);
    }
    fs::write(&path, forged).unwrap();
    let found = check(dir.path(), false).unwrap();
    assert!(!found.sound() && found.damage.is_empty(), "{found:?}");
    assert!(found.breaks[0].ends_with("its records are not those that it was sealed with"));
}

#[test]
fn a_copy_holds_what_was_durable_when_it_was_begun() {
    let dir = filled(300);
    let mut journal = Journal::open(dir.path(), None).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let out = elsewhere.path().join("copy");
    let inside = backup(&journal.reader(), &dir.path().join("log/../copy"));
    assert!(matches!(inside, Err(StoreError::Inside { .. })), "{inside:?}");
    let copied = backup(&journal.reader(), &out).unwrap();
    assert_eq!((copied.records, copied.lost_records), (300, 0));
    journal.append(&[record(300)]).unwrap();
    assert_eq!(recovered(&out).unwrap(), (0..300).map(record).collect::<Vec<_>>());
    assert!(
        matches!(backup(&journal.reader(), &out), Err(StoreError::There(_))),
        "nothing is mixed"
    );
}

#[test]
fn a_failed_sync_is_final_and_a_full_disk_is_not() {
    let dir = filled(30);
    let mut journal = Journal::open(dir.path(), None).unwrap();
    journal.sync = |_| Err(io::Error::other("the disk is gone"));
    assert!(matches!(
        journal.append(&[record(30)]),
        Err(StoreError::Io { .. })
    ));
    journal.sync = |_| Err(io::ErrorKind::StorageFull.into());
    assert!(
        matches!(journal.append(&[record(30)]), Err(StoreError::Io { .. })),
        "after a failed sync nobody knows what is on disk"
    );
}
