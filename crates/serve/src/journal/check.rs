use super::base::Base;
use super::examined::Examined;
use super::frame::{Entry, Frame};
use super::tail::Tail;
use super::volume::{self, Header};
use super::{identity, lost};
use crate::bundles::Bundles;
use crate::checkpoint::drop_checkpoint;
use crate::error::chain as chain_of;
use crate::ledger::EarlyRewards;
use crate::record::Record;
use crate::store_error::StoreError;
use crate::whole_file::sync_folder;
use haggle_core::{Digest, decode_record};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
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
    /// Which bundles that the store needs are missing or damaged, one sentence each.
    #[serde(default)]
    pub bundles: Vec<String>,
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
        (self.damage.is_empty() || self.repaired) && self.breaks.is_empty() && self.bundles.is_empty()
    }

    fn take(&mut self, examined: &Examined<'_>, past: &mut Past) {
        self.volumes += 1;
        for frame in &examined.frames {
            match frame.entry {
                Entry::Record { record, .. } => self.count(record, past),
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

    fn count(&mut self, record: &[u8], past: &mut Past) {
        self.records += 1;
        match decode_record(record) {
            Ok(Record::Decision(decision)) => {
                self.decisions += 1;
                self.rewards += past.early.join(&decision).len() as u64;
            }
            Ok(Record::Reward(_) | Record::Late(_)) => self.rewards += 1,
            Ok(Record::Early(waiting)) => {
                past.early.wait(&waiting.reward, waiting.until_s);
            }
            Ok(Record::Swap(swap)) => {
                self.swaps += 1;
                past.bundles.insert(swap.to);
            }
            Ok(Record::Canary(canary)) => {
                past.bundles.insert(canary.bundle);
            }
            Ok(Record::Mode(mode)) => past.bundles.extend(mode.shadow),
            _ => {}
        }
    }
}

/// What a check remembers of the records before.
#[derive(Default)]
struct Past {
    early: EarlyRewards,
    /// The bundles that a start needs.
    bundles: BTreeSet<Digest>,
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
    base.expect_its_journal(store, &firsts)?;
    // What retention has dropped and not yet removed.
    firsts.retain(|first| *first >= base.first);
    let (mut next, mut chain) = (base.first, (base.first > 0).then_some(base.chain));
    let mut past = state.map_or_else(Past::default, |state| Past {
        bundles: state.bundles().collect(),
        early: state.ledger.into_owned().early,
    });
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
        found.take(&examined, &mut past);
        if repair && !sound {
            drop_checkpoint(store)?;
            lost::write(store, &found.lost)?;
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
    found.bundles = unsound(store, &past.bundles);
    Ok(found)
}

/// Which bundles cannot be loaded from a store.
fn unsound(store: &Path, bundles: &BTreeSet<Digest>) -> Vec<String> {
    let kept = Bundles::new(store, None);
    let failures = bundles.iter().filter_map(|digest| kept.load(*digest).err());
    failures
        .map(|error| format!("bundle {}; copy the intact folder there", chain_of(&error)))
        .collect()
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
