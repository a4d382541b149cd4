use crate::decide::Source;
use crate::error::ServeError;
use crate::journal::{JournalReader, expect_outside};
use crate::known::Known;
use crate::record::Record;
use crate::reply::Stage;
use crate::retention::ledger_before;
use crate::store_error::StoreError;
use haggle_core::{Logged, Offer, SEGMENT_EXTENSION, write_segment};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Offers of one segment.
const SEGMENT_OFFERS: usize = 50_000;

/// What an export wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exported {
    /// The segments, oldest first.
    pub segments: Vec<PathBuf>,
    /// Decisions, each with its rewards joined.
    pub offers: usize,
    /// Rewards joined.
    pub rewards: usize,
    /// Decisions whose windows are still open: who has not bought by now may yet do so.
    pub open: usize,
}

/// Joins the decisions that were shown with their rewards into segments in a folder, in the order of the decisions. A segment is
/// named by the number of its first record and appears whole; a later export replaces it by one with later rewards.
///
/// # Errors
/// When a record is damaged, the folder lies in the store, or a file cannot be written.
pub fn export(journal: &JournalReader, out: &Path) -> Result<Exported, ServeError> {
    expect_outside(journal.store(), out)?;
    let _kept = journal.hold();
    let mut ledger = ledger_before(journal.store())?;
    for record in journal.scan(0) {
        let (number, record) = record?;
        ledger.replay(&record, number);
    }
    let mut exported = Exported::default();
    fs::create_dir_all(out).map_err(ServeError::io(out))?;
    let mut offers: Vec<Offer> = Vec::new();
    let mut first = 0;
    let mut volumes = journal.firsts().into_iter().peekable();
    for record in journal.scan(0) {
        let (number, record) = record?;
        while volumes.next_if(|first| *first <= number).is_some() {
            // Segments end where volumes do, so that retention moves no later one.
            if !offers.is_empty() {
                seal(out, first, &mut offers, &mut exported)?;
            }
        }
        let Record::Decision(record) = record else {
            continue;
        };
        let id = record
            .offer
            .logged
            .as_ref()
            .map(|logged| logged.decision.0.as_str());
        let known = id.and_then(|id| ledger.find(id));
        // After retention has dropped a decision its id may name another one.
        let shown =
            |known: &&Known| known.record == number && matches!(known.stage, Stage::Open | Stage::Closed);
        let Some(known) = known.filter(shown) else {
            continue;
        };
        exported.rewards += known.counting().count();
        exported.open += usize::from(known.stage == Stage::Open);
        let mut offer = record.offer;
        (offer.value_minor, offer.units) = known.earned();
        match (record.source, &mut offer.logged) {
            // With which probability the caller sets his prices nobody knows.
            (Source::Caller, logged) => *logged = None,
            (Source::Holdout, Some(logged)) => logged.policy = Logged::held_out(),
            _ => {}
        }
        if offers.is_empty() {
            first = number;
        }
        offers.push(offer);
        if offers.len() == SEGMENT_OFFERS {
            seal(out, first, &mut offers, &mut exported)?;
        }
    }
    if !offers.is_empty() {
        seal(out, first, &mut offers, &mut exported)?;
    }
    Ok(exported)
}

fn seal(out: &Path, first: u64, offers: &mut Vec<Offer>, exported: &mut Exported) -> Result<(), ServeError> {
    let path = out.join(format!("{first:012}.{SEGMENT_EXTENSION}"));
    let draft = out.join(format!(".{first:012}.{}", std::process::id()));
    let write = || {
        let mut file = File::create(&draft)?;
        file.write_all(&write_segment(offers))?;
        file.sync_all()?;
        fs::rename(&draft, &path)?;
        File::open(out)?.sync_all()
    };
    write().map_err(|source: std::io::Error| {
        // Best effort: the write has failed already, and its own error is the one to tell.
        let _ = fs::remove_file(&draft);
        if source.kind() == std::io::ErrorKind::StorageFull {
            return StoreError::Full {
                store: out.to_owned(),
            }
            .into();
        }
        ServeError::io(&path)(source)
    })?;
    exported.offers += offers.len();
    exported.segments.push(path);
    offers.clear();
    Ok(())
}
