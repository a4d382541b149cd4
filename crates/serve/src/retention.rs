//! Retention: whole volumes leave the journal once they are old and nothing is waited for that they tell of.
//!
//! What the daemon remembered where the first volume that is kept begins takes their place (the [`Base`]): it is made like a
//! checkpoint, by a replay of the volumes that go. So counts, prices of the last 30 days, carts, sessions and what bandits have
//! learnt stay, a start without a checkpoint comes to the same, and decisions whose records are kept can be explained.
//!
//! In two steps, at two checkpoints. First the daemon stops knowing the decisions that are to go, so that no new record tells of
//! one. Then a checkpoint that holds all records up to there is made without them, the base is written, and the volumes are
//! removed, oldest first. Whatever is cut off between is done again at the next checkpoint, or by the next start.

use crate::archive::Archive;
use crate::engine::Core;
use crate::engine_config::EngineConfig;
use crate::error::ServeError;
use crate::index::drop_index;
use crate::journal::{Base, JournalReader};
use crate::ledger::Ledger;
use crate::recovery::{begun_without_its_record, replay_or_begin};
use crate::state::State;
use crate::store_error::StoreError;
use std::path::Path;

/// Volumes that are replayed into a base at once: their decisions are in memory meanwhile.
const VOLUMES_AT_ONCE: usize = 4;

/// How far retention has come.
#[derive(Debug, Default)]
pub(crate) struct Retention {
    /// The records that are to go lie before the first number; none from the second one on tells of their decisions.
    announced: Option<(u64, u64)>,
    /// The newest time in the first volume, by the number of its first record: it is read once.
    newest: Option<(u64, i64)>,
}

impl Retention {
    /// Where the journal may begin: with the first volume that is not older than `limit_s`, or that holds a record from `open` on,
    /// but at most `volumes_max` later than now. None where nothing can go.
    ///
    /// # Errors
    /// When a volume is damaged: it stays.
    pub fn horizon(
        &mut self,
        reader: &JournalReader,
        open: u64,
        limit_s: i64,
        volumes_max: usize,
    ) -> Result<Option<u64>, StoreError> {
        let mut horizon = None;
        for pair in reader.firsts().windows(2).take(volumes_max) {
            let [first, next] = [pair[0], pair[1]];
            if next > open || self.newest_s(reader, first, next)? >= limit_s {
                break;
            }
            horizon = Some(next);
        }
        Ok(horizon)
    }

    /// Records before `horizon` are to go, and none from `number` on will tell of their decisions.
    pub fn announce(&mut self, horizon: u64, number: u64) {
        self.announced = Some((horizon, number));
    }

    /// What a checkpoint of the records before `next` can carry out.
    pub fn due(&self, next: u64) -> Option<u64> {
        let due = self.announced.filter(|(_, number)| *number <= next);
        due.map(|(horizon, _)| horizon)
    }

    /// The newest time that a record of a volume tells of.
    fn newest_s(&mut self, reader: &JournalReader, first: u64, next: u64) -> Result<i64, StoreError> {
        if let Some((_, newest_s)) = self.newest.filter(|(number, _)| *number == first) {
            return Ok(newest_s);
        }
        let mut newest_s = i64::MIN;
        for record in reader.scan(first) {
            let (number, record) = record?;
            if number >= next {
                break;
            }
            newest_s = newest_s.max(record.time_s().unwrap_or(i64::MIN));
        }
        self.newest = Some((first, newest_s));
        Ok(newest_s)
    }
}

/// Drops the volumes whose records lie before a number. `archive` knows every settled decision as it is now: those that a record
/// from there on tells of stay in the base.
///
/// # Errors
/// When a volume is damaged, or the disk says no. It can be called again.
pub(crate) fn drop_before(
    horizon: u64,
    archive: &Archive,
    reader: &JournalReader,
    config: &EngineConfig,
) -> Result<(), ServeError> {
    let store = reader.store();
    let io = StoreError::io(store);
    let history = config.history_digest()?;
    let firsts = reader.firsts().into_iter().skip(1);
    let firsts: Vec<u64> = firsts.filter(|first| *first <= horizon).collect();
    if firsts.is_empty() {
        return Ok(());
    }
    let mut core = resume(reader, config)?;
    for volumes in firsts.chunks(VOLUMES_AT_ONCE) {
        let first = volumes[volumes.len() - 1];
        let from = core.as_ref().map_or(0, |core| core.ledger.next);
        for record in reader.scan(from) {
            let (number, record) = record?;
            if number >= first {
                break;
            }
            replay_or_begin(&mut core, (number, record), config)?;
        }
        let Some(core) = core.as_mut().filter(|core| core.missing.is_none()) else {
            break;
        };
        core.ledger.next = first;
        let told_of = |id: &str| Ok(archive.find(id)?.is_some_and(|found| found.touched >= first));
        // After an earlier try that was cut off the archive has hidden more than the base knows: then all of them stay.
        if first >= archive.horizon() {
            core.ledger.let_go(told_of).map_err(&io)?;
        }
        let chain = reader.chain_before(first)?;
        let base = Base { first, chain };
        if !reader.drop_before(&base, &State::encode(core, chain, history))? {
            tracing::debug!("old records stay while the journal is copied or exported");
            return Ok(());
        }
        tracing::info!("records before {first} are dropped: they are older than store.keep_days");
    }
    // It tells of them, and it is made again when it is asked for.
    Ok(drop_index(store)?)
}

/// The daemon as it was where the journal of a store begins; none where that is with the record that says what is served first.
///
/// # Errors
/// When the base or a bundle cannot be read, or nothing says what was served first.
pub(crate) fn resume(reader: &JournalReader, config: &EngineConfig) -> Result<Option<Core>, ServeError> {
    match Base::state(&config.store)? {
        Some(state) => state.restore(&config.bundles()).map(Some),
        None => begun_without_its_record(reader, config),
    }
}

/// What was known of decisions where the journal of a store begins, for whoever reads it without a market.
///
/// # Errors
/// When the base cannot be read.
pub(crate) fn ledger_before(store: &Path) -> Result<Ledger, StoreError> {
    let state = Base::state(store)?;
    Ok(state.map_or_else(Ledger::default, |state| {
        let mut ledger = state.ledger.into_owned();
        ledger.resume();
        ledger
    }))
}
