use super::base::Base;
use super::examined::Examined;
use super::frame::{Entry, Frame};
use super::tail::Tail;
use super::volume::{self, Header};
use super::{identity, sync_folder};
use crate::checkpoint::drop_checkpoint;
use crate::ledger::EarlyRewards;
use crate::record::Record;
use crate::store_error::StoreError;
use haggle_core::{Digest, decode_record};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// What a check of a store found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// Number of the first record that is kept: retention has dropped those before.
    pub first: u64,
    /// Volumes read.
    pub volumes: usize,
    /// Sound records.
    pub records: u64,
    /// Decisions among them.
    pub decisions: u64,
    /// Rewards that count among them; one that came early counts with its decision.
    pub rewards: u64,
    /// Swaps among them.
    pub swaps: u64,
    /// Records that were erased because a user is forgotten.
    pub erased: u64,
    /// Ranges of records that are lost: first and last number of each.
    pub lost: Vec<(u64, u64)>,
    /// How many records that is.
    pub lost_records: u64,
    /// Bytes behind the last record that were never acknowledged; the next start cuts them off.
    pub torn_bytes: usize,
    /// Whether nobody can say that: the file `tail` is missing or damaged, and what is torn may be a loss.
    pub tail_unknown: bool,
    /// What is damaged, one sentence each.
    pub damage: Vec<String>,
    /// Whether the damage was repaired.
    pub repaired: bool,
    /// Where the chain of digests is broken, one sentence each: there a record was changed, moved or put in.
    pub breaks: Vec<String>,
    /// Chain digest after the last record. Write it down: as long as it comes again, nobody has rewritten the past.
    pub chain: String,
}

impl Checked {
    /// Whether the store can be used and nobody has changed what it holds.
    #[must_use]
    pub fn sound(&self) -> bool {
        (self.damage.is_empty() || self.repaired) && self.breaks.is_empty()
    }

    fn take(&mut self, examined: &Examined<'_>, early: &mut EarlyRewards) {
        self.volumes += 1;
        for frame in &examined.frames {
            match frame.entry {
                Entry::Record { record, .. } => self.count(record, early),
                Entry::Erased(_) => self.erased += 1,
                Entry::Lost(_) | Entry::Seal(_) => {}
            }
        }
        for (from, next) in &examined.lost {
            self.lost.push((*from, next - 1));
            self.lost_records += next - from;
        }
        self.damage.extend(examined.named(&examined.damage));
        self.breaks.extend(examined.named(&examined.breaks));
        self.torn_bytes += examined.torn_bytes;
        self.chain = examined.chain.to_string();
    }

    fn count(&mut self, record: &[u8], early: &mut EarlyRewards) {
        self.records += 1;
        match decode_record(record) {
            Ok(Record::Decision(decision)) => {
                self.decisions += 1;
                self.rewards += early.join(&decision).len() as u64;
            }
            Ok(Record::Reward(_) | Record::Late(_)) => self.rewards += 1,
            Ok(Record::Early(waiting)) => {
                early.wait(&waiting.reward, waiting.until_s);
            }
            Ok(Record::Swap(_)) => self.swaps += 1,
            _ => {}
        }
    }
}

/// Reads every byte of a store that no daemon holds. With `repair` each damaged volume is written again, with what is
/// left of it and a mark where records are lost, so that the store can be used.
///
/// # Errors
/// When another process holds the store, there is none, or it cannot be read or (for a repair) written.
pub fn check(store: &Path, repair: bool) -> Result<Checked, StoreError> {
    let io = StoreError::io(store);
    identity::expect(store)?;
    let _lock = identity::lock(store)?;
    let mut found = Checked::default();
    match identity::claim(store, None) {
        Err(StoreError::Damaged { what, .. }) => {
            found
                .damage
                .push(format!("{what}; a repair gives the draws a new key"));
            if repair {
                identity::give(store, None)?;
            }
        }
        claimed => drop(claimed?),
    }
    let log = store.join("log");
    let tail = Tail::open(store).map_err(&io)?;
    let durable = tail.number();
    found.tail_unknown = !tail.is_known();
    for file in Base::damaged(store) {
        found
            .damage
            .push(format!("its file `{file}` is damaged; there is another one"));
    }
    if repair {
        Base::heal(store)?;
    }
    let (base, state) = (Base::read(store)?, Base::state(store)?);
    found.first = base.first;
    let mut firsts = volume::firsts(&log).map_err(&io)?;
    // What retention has dropped and not yet removed.
    firsts.retain(|first| *first >= base.first);
    let (mut next, mut chain) = (base.first, (base.first > 0).then_some(base.chain));
    let mut early = state.map_or_else(EarlyRewards::default, |state| state.ledger.into_owned().early);
    let mut there = firsts.iter().peekable();
    loop {
        // A volume that is missing is examined as an empty one.
        let path = volume::path(&log, next);
        let bytes = match there.next_if_eq(&&next) {
            Some(_) => fs::read(&path).map_err(&io)?,
            None => Vec::new(),
        };
        let last = there.peek().is_none();
        let until = there.peek().map_or(durable, |first| **first);
        let examined = Examined::new(&bytes, next, until, last, chain);
        let sound = examined.damage.is_empty();
        found.take(&examined, &mut early);
        if repair && !sound {
            drop_checkpoint(store)?;
            let seal = there
                .peek()
                .map(|first| follower_chain(&log, **first, examined.chain));
            rewrite(&log, &examined, seal).map_err(StoreError::full_or_io(store))?;
        }
        if last && examined.next >= durable {
            break;
        }
        // Where records are lost and no seal says it, nobody knows what the next volume follows.
        (next, chain) = (examined.next, examined.chain_is_known().then_some(examined.chain));
    }
    found.repaired = repair && !found.damage.is_empty();
    Ok(found)
}

/// The chain digest that the next volume goes on from; what was computed where its header is damaged, too.
fn follower_chain(log: &Path, first: u64, computed: Digest) -> Digest {
    let bytes = fs::read(volume::path(log, first)).unwrap_or_default();
    Header::read(&bytes).map_or(computed, |header| header.chain)
}

/// Writes a volume again, in one piece.
///
/// # Errors
/// When it cannot be written; then the old one is still there.
pub(super) fn rewrite(log: &Path, examined: &Examined<'_>, seal: Option<Digest>) -> io::Result<()> {
    let mut bytes = examined.header.write().to_vec();
    for frame in &examined.frames {
        frame.write(&mut bytes);
    }
    let sealed = examined
        .frames
        .last()
        .is_some_and(|frame| matches!(frame.entry, Entry::Seal(_)));
    if let (Some(chain), false) = (seal, sealed) {
        let seal = Frame {
            number: examined.next,
            place: 0,
            entry: Entry::Seal(chain),
        };
        seal.write(&mut bytes);
    }
    let draft = log.join(".draft");
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&draft)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&draft, volume::path(log, examined.header.first))?;
    sync_folder(log)
}
