use crate::arms::who;
use crate::checkpoint::drop_checkpoint;
use crate::error::ServeError;
use crate::history::segments;
use crate::index::drop_index;
use crate::journal::{Base, Journal, JournalReader};
use crate::record::Record;
use crate::state::State;
use crate::store_error::StoreError;
use crate::whole_file;
use haggle_core::{Offer, encode_record, read_segment, write_segment};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What was erased.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgotten {
    /// Sessions of the user.
    pub sessions: usize,
    /// Decisions made for them.
    pub decisions: usize,
    /// Records erased from the journal: the decisions, and whatever tells of them.
    pub records: usize,
    /// Offers erased from segments.
    pub offers: usize,
}

/// Erases everything of a user: his decisions, those of his sessions, and what was earned with them, from a store that no
/// daemon holds and from the segments of some folders. At the next start the market's memory is rebuilt without him.
///
/// # Errors
/// When the store is in use or damaged, or a file cannot be read or written. It can be called again.
pub fn forget(store: &Path, user: &str, folders: &[PathBuf]) -> Result<Forgotten, ServeError> {
    let journal = Journal::existing(store)?;
    let reader = journal.reader();
    let mut sessions = sessions_of(&reader, user)?;
    let mut segments = Vec::new();
    for path in segment_files(folders)? {
        let bytes = fs::read(&path).map_err(ServeError::io(&path))?;
        let offers = read_segment(&bytes).map_err(|source| ServeError::History {
            path: path.clone(),
            source,
        })?;
        let his = offers.iter().filter(|offer| offer.user.as_deref() == Some(user));
        sessions.extend(his.map(|offer| offer.session.clone()));
        segments.push((path, offers));
    }
    let mut base = Base::state(store)?;
    let mut decisions = HashSet::new();
    if let Some(base) = &mut base {
        sessions.extend(base.ledger.sessions_of(user));
        let gone = base
            .ledger
            .to_mut()
            .forget(|known| sessions.contains(&*known.session));
        decisions.extend(gone.iter().map(ToString::to_string));
    }
    let numbers = records_of(&reader, &sessions, &mut decisions)?;
    drop_index(store)?;
    drop_checkpoint(store)?;
    journal.erase(&numbers)?;
    if let Some(base) = base {
        forget_before(base, user, &decisions, &reader)?;
    }
    let mut forgotten = Forgotten {
        sessions: sessions.len(),
        decisions: decisions.len(),
        records: numbers.len(),
        offers: 0,
    };
    for (path, offers) in segments {
        let left: Vec<Offer> = offers
            .iter()
            .filter(|offer| !sessions.contains(&offer.session))
            .cloned()
            .collect();
        if left.len() < offers.len() {
            forgotten.offers += offers.len() - left.len();
            whole_file::replace(&path, &[&write_segment(&left)]).map_err(ServeError::io(&path))?;
        }
    }
    Ok(forgotten)
}

fn sessions_of(journal: &JournalReader, user: &str) -> Result<HashSet<String>, StoreError> {
    let mut sessions = HashSet::new();
    for record in journal.scan(0) {
        if let (_, Record::Decision(record)) = record?
            && record.offer.user.as_deref() == Some(user)
        {
            sessions.insert(record.offer.session);
        }
    }
    Ok(sessions)
}

/// Numbers of the records that tell of some sessions or decisions. Adds their decisions to the others.
fn records_of(
    journal: &JournalReader,
    sessions: &HashSet<String>,
    decisions: &mut HashSet<String>,
) -> Result<BTreeSet<u64>, StoreError> {
    let mut numbers = BTreeSet::new();
    for record in journal.scan(0) {
        let (number, record) = record?;
        if let Record::Decision(record) = &record
            && sessions.contains(&record.offer.session)
        {
            numbers.insert(number);
            decisions.extend(record.offer.logged.iter().map(|logged| logged.decision.0.clone()));
        }
    }
    // A reward may come before its decision.
    for record in journal.scan(0) {
        let (number, record) = record?;
        if record
            .decision()
            .is_some_and(|decision| decisions.contains(decision))
        {
            numbers.insert(number);
        }
    }
    Ok(numbers)
}

/// Writes what the daemon remembered of dropped records again, without a user and his decisions. Whose sessions are in it
/// nobody knows any more: only those stay that the records which are left tell of.
fn forget_before(
    mut base: State<'static>,
    user: &str,
    decisions: &HashSet<String>,
    journal: &JournalReader,
) -> Result<(), StoreError> {
    let mut kept = HashSet::new();
    for record in journal.scan(0) {
        if let (_, Record::Decision(record)) = record? {
            kept.insert(record.offer.session);
        }
    }
    for decision in decisions {
        base.ledger.to_mut().early.forget(decision);
        base.learnt.forget(decision);
    }
    let memory = base.memory.to_mut();
    memory.forget(user, |session| kept.contains(session));
    if let Some((_, trial)) = &mut base.canary {
        trial.to_mut().forget(&who(Some(user), ""));
    }
    if let Some(trial) = &mut base.holdout {
        trial.to_mut().forget(&who(Some(user), ""));
    }
    let (first, chain) = (base.ledger.next, base.chain);
    Base { first, chain }.write(journal.store(), &encode_record(&base))
}

fn segment_files(folders: &[PathBuf]) -> Result<Vec<PathBuf>, ServeError> {
    let mut paths = Vec::new();
    for folder in folders {
        paths.extend(segments(folder)?);
    }
    paths.sort();
    Ok(paths)
}
