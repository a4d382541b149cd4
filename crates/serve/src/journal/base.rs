use super::volume::{self, Header};
use super::{chain, identity};
use crate::state::State;
use crate::store_error::StoreError;
use crate::whole_file;
use haggle_core::{Digest, decode_record};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

const MAGIC: [u8; 8] = *b"HAGGLEB1";
const HEAD_BYTES: usize = 56;
/// The one that is read, and the one that is read when that is damaged.
pub const FILES: [&str; 2] = ["base", "base.copy"];

/// Where a journal begins whose first volumes were dropped, and what the daemon remembered there. The file `base` of a store:
/// "HAGGLEB1" | number of the first record that is kept: u64 | chain digest of all records before: 32 bytes | CRC-32C of
/// what follows the head: u32 | CRC-32C of the 52 bytes before: u32 | the [`State`] as the codec writes records. A store
/// without the file is kept from its beginning.
///
/// The first volume's header goes on from the same digest: so volumes that were dropped are told apart from lost ones. Nothing
/// else knows what was before, so the file is there twice; the copy is written first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Base {
    /// Number of the first record that is kept.
    pub first: u64,
    /// Chain digest of all records before.
    pub chain: Digest,
}

impl Base {
    /// Where the journal of a store begins.
    ///
    /// # Errors
    /// When the file is damaged or cannot be read.
    pub fn read(store: &Path) -> Result<Self, StoreError> {
        Ok(read(store)?.map_or_else(Self::origin, |(base, _)| base))
    }

    /// The beginning of a journal of which nothing was dropped.
    pub fn origin() -> Self {
        Self {
            first: 0,
            chain: chain::origin(),
        }
    }

    /// What the daemon remembered where the journal of a store begins; nothing where that is its beginning.
    ///
    /// # Errors
    /// As for [`Base::read`].
    pub fn state(store: &Path) -> Result<Option<State<'static>>, StoreError> {
        let Some((base, state)) = read(store)? else {
            return Ok(None);
        };
        let state: State<'static> = decode_record(&state).map_err(|_| damaged(store))?;
        if (state.ledger.next, state.chain) != (base.first, base.chain) {
            return Err(damaged(store));
        }
        Ok(Some(state))
    }

    /// Writes the base of a store, durably: from now on the records before it may be missing.
    ///
    /// # Errors
    /// When it cannot be written; then the old one is still there.
    pub fn write(&self, store: &Path, state: &[u8]) -> Result<(), StoreError> {
        let mut head = MAGIC.to_vec();
        head.extend(self.first.to_le_bytes());
        head.extend(self.chain.as_bytes());
        head.extend(crc32c::crc32c(state).to_le_bytes());
        head.extend(crc32c::crc32c(&head).to_le_bytes());
        for file in FILES.iter().rev() {
            let replaced = whole_file::replace(&store.join(file), &[&head, state]);
            replaced.map_err(StoreError::full_or_io(store))?;
        }
        Ok(())
    }

    /// Names those of its files that are damaged, or of another store than the other one.
    #[must_use]
    pub fn damaged(store: &Path) -> Vec<&'static str> {
        let found = FILES.map(|file| fs::read(store.join(file)).ok().map(parse));
        let own = |found: &Option<(Self, Vec<u8>)>| {
            found
                .as_ref()
                .is_some_and(|(base, _)| base.is_followed(store) == Some(true))
        };
        let one_is_own = found.iter().flatten().any(own);
        let damaged = |found: &Option<(Self, Vec<u8>)>| found.is_none() || one_is_own && !own(found);
        let files = FILES.into_iter().zip(&found);
        let files = files.filter(|(_, found)| found.as_ref().is_some_and(damaged));
        files.map(|(file, _)| file).collect()
    }

    /// Writes a file again that is missing, damaged, of another store, or older than the other one.
    ///
    /// # Errors
    /// When none is sound, or one cannot be written.
    pub fn heal(store: &Path) -> Result<(), StoreError> {
        let Some((base, state)) = read(store)? else {
            return Ok(());
        };
        let [one, other] = FILES.map(|file| fs::read(store.join(file)).ok());
        let both_sound = || Self::damaged(store).is_empty() && one.is_some() && other.is_some();
        if one == other || base.is_followed(store) != Some(true) && both_sound() {
            return Ok(());
        }
        base.write(store, &state)
    }

    /// Refuses one that is of another journal: nothing may be removed on its word.
    ///
    /// # Errors
    /// When older volumes are there, and not the one that it says is the first.
    pub fn expect_its_journal(&self, store: &Path, firsts: &[u64]) -> Result<(), StoreError> {
        let older = firsts.iter().any(|first| *first < self.first);
        if older && !firsts.contains(&self.first) {
            return Err(damaged(store));
        }
        Ok(())
    }

    /// Whether the volume that it says is the first one goes on from it; nothing where that cannot be read.
    pub fn is_followed(&self, store: &Path) -> Option<bool> {
        let header = Header::of(&volume::path(&store.join("log"), self.first))?;
        Some(header.chain == self.chain)
    }
}

/// The one that the journal goes on from, else the first that is sound; none where there is no file at all.
fn read(store: &Path) -> Result<Option<(Base, Vec<u8>)>, StoreError> {
    let (mut there, mut found) = (false, Vec::new());
    for file in FILES {
        match fs::read(store.join(file)) {
            Ok(bytes) => {
                there = true;
                found.extend(parse(bytes));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(StoreError::io(store)(error)),
        }
    }
    let followed = found
        .iter()
        .position(|(base, _)| base.is_followed(store) == Some(true));
    if !found.is_empty() {
        return Ok(Some(found.swap_remove(followed.unwrap_or(0))));
    }
    let from_the_beginning = || volume::path(&store.join("log"), 0).exists();
    if there || identity::is_trimmed(store) && !from_the_beginning() {
        return Err(damaged(store));
    }
    Ok(None)
}

fn parse(mut head: Vec<u8>) -> Option<(Base, Vec<u8>)> {
    let state = head.split_off(HEAD_BYTES.min(head.len()));
    let rest = head.strip_prefix(&MAGIC)?;
    let (first, rest) = rest.split_first_chunk::<8>()?;
    let (chain, sums) = rest.split_first_chunk::<32>()?;
    let of_state = crc32c::crc32c(&state).to_le_bytes();
    let of_head = crc32c::crc32c(head.get(..HEAD_BYTES - 4)?).to_le_bytes();
    let base = Base {
        first: u64::from_le_bytes(*first),
        chain: Digest::from(*chain),
    };
    (*sums == *[of_state, of_head].concat()).then_some((base, state))
}

fn damaged(store: &Path) -> StoreError {
    StoreError::Base {
        store: store.to_owned(),
    }
}
