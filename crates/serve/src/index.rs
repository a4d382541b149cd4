//! The index over the journal, in sled: which records tell of a decision. The journal is the truth; the index is caught up
//! when it is behind, and dropped and built again when it is damaged or knows more than the journal.
//!
//! Tree `keys`: the decision's id, a zero byte, the number of the record (big endian); no value. Tree `meta`: under `next`
//! the number up to which the journal is indexed, under `count` how many keys there are: sled can lose some in silence.

use crate::journal::{Journal, JournalReader};
use crate::record::Record;
use crate::store_error::StoreError;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

const NEXT: &str = "next";
const COUNT: &str = "count";
/// Records indexed in one batch.
const BATCH: u64 = 10_000;
const CACHE_BYTES: u64 = 64 << 20;

/// An index that is as far as the journal.
#[derive(Debug)]
pub struct Index {
    reader: JournalReader,
    keys: sled::Tree,
    _db: sled::Db,
}

impl Index {
    /// Opens the index of a store and catches it up, or builds it.
    ///
    /// # Errors
    /// When the journal is damaged, or there is no room for an index.
    pub fn open(store: &Path, journal: &Journal) -> Result<Self, StoreError> {
        let (folder, reader) = (folder(store), journal.reader());
        if let Ok(index) = open(&folder, &reader) {
            return Ok(index);
        }
        // Damaged, or of another journal: nothing is lost with it.
        drop_index(store)?;
        open(&folder, &reader)
    }

    /// The records that tell of a decision, in order, each with its number.
    ///
    /// # Errors
    /// When one of them is damaged.
    pub fn records(&self, decision: &str) -> Result<Vec<(u64, Record)>, StoreError> {
        let mut records = Vec::new();
        for key in self.keys.scan_prefix(prefix(decision)).keys() {
            let key = key.map_err(|error| unusable(&self.reader, &error.to_string()))?;
            let number = key.last_chunk().map_or(0, |number| u64::from_be_bytes(*number));
            let record = self.reader.get(number)?;
            records.extend(record.map(|record| (number, record)));
        }
        Ok(records)
    }
}

/// Drops the index of a store: it tells of decisions that are to be forgotten, say.
///
/// # Errors
/// When its files cannot be removed.
pub(crate) fn drop_index(store: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(folder(store)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(StoreError::io(store)(error)),
        _ => Ok(()),
    }
}

fn folder(store: &Path) -> PathBuf {
    store.join("index")
}

fn open(folder: &Path, reader: &JournalReader) -> Result<Index, StoreError> {
    // sled panics on some damage.
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let config = sled::Config::new().path(folder).cache_capacity(CACHE_BYTES);
        let db = config.flush_every_ms(None).open()?;
        catch_up(&db, reader)
    }));
    match opened {
        Ok(Ok(Some(index))) => Ok(index),
        Ok(Ok(None)) => Err(unusable(reader, "it is of another journal")),
        Ok(Err(error)) => Err(error.into_store(reader)),
        Err(_) => Err(unusable(reader, "its files cannot be understood")),
    }
}

/// Why an index cannot be brought up to the journal.
enum Behind {
    Journal(StoreError),
    Sled(sled::Error),
}

impl From<sled::Error> for Behind {
    fn from(error: sled::Error) -> Self {
        Self::Sled(error)
    }
}

impl Behind {
    fn into_store(self, reader: &JournalReader) -> StoreError {
        match self {
            Self::Journal(error) => error,
            Self::Sled(error) => unusable(reader, &error.to_string()),
        }
    }
}

/// None where the index knows more than the journal, or has not the keys that it had.
fn catch_up(db: &sled::Db, reader: &JournalReader) -> Result<Option<Index>, Behind> {
    let (keys, meta) = (db.open_tree("keys")?, db.open_tree("meta")?);
    let number = |name: &str| -> sled::Result<u64> {
        let kept = meta.get(name)?;
        let kept = kept.and_then(|kept| Some(u64::from_be_bytes(kept.as_ref().try_into().ok()?)));
        Ok(kept.unwrap_or(0))
    };
    let (known, mut count) = (number(NEXT)?, number(COUNT)?);
    if known > reader.next() || keys.len() as u64 != count {
        return Ok(None);
    }
    let mut batch = sled::Batch::default();
    for record in reader.scan(known) {
        let (number, record) = record.map_err(Behind::Journal)?;
        if let Some(decision) = record.decision() {
            let mut key = prefix(decision);
            key.extend(number.to_be_bytes());
            batch.insert(key, &[]);
            count += 1;
        }
        if (number + 1) % BATCH == 0 {
            keys.apply_batch(std::mem::take(&mut batch))?;
        }
    }
    keys.apply_batch(batch)?;
    meta.insert(COUNT, &count.to_be_bytes())?;
    meta.insert(NEXT, &reader.next().to_be_bytes())?;
    db.flush()?;
    Ok(Some(Index {
        reader: reader.clone(),
        keys,
        _db: db.clone(),
    }))
}

fn prefix(decision: &str) -> Vec<u8> {
    let mut key = decision.as_bytes().to_vec();
    key.push(0);
    key
}

fn unusable(reader: &JournalReader, what: &str) -> StoreError {
    StoreError::Damaged {
        store: reader.store().to_owned(),
        what: format!("its index: {what}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use haggle_core::{DecisionId, Reward};

    fn reward(decision: &str, value_minor: i64) -> Record {
        Record::Reward(Reward {
            decision: DecisionId(decision.to_owned()),
            reward_id: format!("r{value_minor}"),
            value_minor,
            units: 1,
            time_s: 9,
        })
    }

    fn numbers(store: &Path, decision: &str) -> Vec<u64> {
        let journal = Journal::open(store, None).unwrap();
        let records = Index::open(store, &journal).unwrap().records(decision).unwrap();
        records.into_iter().map(|(number, _)| number).collect()
    }

    #[test]
    fn it_follows_the_journal_and_is_built_again_when_it_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path();
        let append = |records: &[Record]| Journal::open(store, Some(1)).unwrap().append(records).unwrap();
        append(&[reward("a", 1), reward("ab", 2), reward("a", 3)]);
        assert_eq!(numbers(store, "a"), [0, 2], "`ab` is another decision");
        append(&[reward("a", 4)]);
        assert_eq!(numbers(store, "a"), [0, 2, 3]);
        let db = folder(store).join("db");
        let sound = fs::read(&db).unwrap();
        for at in (0..sound.len().min(4096)).step_by(97) {
            let mut damaged = sound.clone();
            damaged[at] ^= 0x10;
            fs::write(&db, damaged).unwrap();
            let found = numbers(store, "a");
            assert_eq!(found, [0, 2, 3], "byte {at}");
        }
        fs::write(&db, &sound[..sound.len() / 2]).unwrap();
        assert_eq!(numbers(store, "a"), [0, 2, 3]);
    }

    #[test]
    fn an_index_of_another_journal_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path();
        let append = |records: &[Record]| Journal::open(store, Some(1)).unwrap().append(records).unwrap();
        append(&[reward("a", 1), reward("a", 2)]);
        assert_eq!(numbers(store, "a"), [0, 1]);
        fs::remove_dir_all(store.join("log")).unwrap();
        fs::remove_file(store.join("tail")).unwrap();
        append(&[reward("b", 1)]);
        assert_eq!((numbers(store, "a"), numbers(store, "b")), (vec![], vec![0]));
    }
}
