use super::base::Base;
use super::end::{End, Unsound};
use super::examined::Examined;
use super::salts::Salts;
use super::spare::Spare;
use super::tail::Tail;
use super::{Journal, JournalReader, VOLUME_BYTES, begin_volume, identity, volume};
use crate::store_error::StoreError;
use crate::whole_file::sync_folder;
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

impl Journal {
    /// Opens the store in a folder, or makes a new one. `secret` keys the draws of a new store; without it one is
    /// taken from the system.
    ///
    /// # Errors
    /// When the folder cannot be written, another process holds the store, it is of another version or damaged, or
    /// `secret` is not the one that the store was made with.
    pub fn open(store: &Path, secret: Option<u64>) -> Result<Self, StoreError> {
        let io = StoreError::io(store);
        // The secret of the draws lies in it: nobody else may read it.
        let mut folder = DirBuilder::new();
        folder.recursive(true).mode(0o700).create(store).map_err(&io)?;
        let lock = identity::lock(store)?;
        let secret = identity::claim(store, secret)?;
        let log = store.join("log");
        folder.create(&log).map_err(&io)?;
        sync_folder(store).map_err(&io)?;
        let tail = Tail::open(store).map_err(&io)?;
        let base = Base::read(store)?;
        if let Err(error) = Base::heal(store) {
            tracing::warn!("one of the files `base` and `base.copy` cannot be written again: {error}");
        }
        if base.first > 0
            && let Err(error) = identity::mark_trimmed(store)
        {
            tracing::warn!("`identity` does not say that retention has dropped records: {error}");
        }
        let mut firsts = volume::firsts(&log).map_err(&io)?;
        base.expect_its_journal(store, &firsts)?;
        if base.first > 0 && base.is_followed(store) == Some(false) {
            return Err(StoreError::Base {
                store: store.to_owned(),
            });
        }
        for first in firsts.extract_if(.., |first| *first < base.first) {
            // Retention was cut off. Where nobody can write they are in nobody's way.
            let _ = fs::remove_file(volume::path(&log, first));
        }
        if let Some(first) = firsts.first().filter(|first| **first > base.first) {
            return Err(StoreError::lost(store, base.first, *first));
        }
        let mut spare = Spare::new(&log, VOLUME_BYTES);
        let end = loop {
            let Some(first) = firsts.last() else { break None };
            let bytes = fs::read(volume::path(&log, *first)).map_err(&io)?;
            match End::read(&bytes, *first, tail.number()) {
                Ok(end) => break Some((end, bytes)),
                // Its making was cut off: it never held a record.
                Err(Unsound::Empty) => firsts.pop(),
                Err(Unsound::Lost) => {
                    return Err(Examined::new(&bytes, *first, tail.number(), true, None).refusal(store));
                }
            };
        };
        let (file, end, allocated) = match end {
            Some((end, bytes)) => {
                let path = volume::path(&log, firsts.last().copied().unwrap_or_default());
                let file = File::options().read(true).write(true).open(&path);
                // To be copied or exported a store need not be written.
                let file = file
                    .or_else(|error| identity::read_only(&path, error))
                    .map_err(&io)?;
                end.clean(&file, &bytes).map_err(&io)?;
                (file, end, bytes.len() as u64)
            }
            None if tail.number() > base.first => {
                return Err(StoreError::lost(store, base.first, tail.number()));
            }
            None => {
                firsts.push(base.first);
                let file = begin_volume(&mut spare, &log, base.first, base.chain);
                let file = file.map_err(StoreError::full_or_io(store))?;
                (file, End::new(base.first, base.chain), VOLUME_BYTES)
            }
        };
        Ok(Self {
            first: firsts.last().copied().unwrap_or_default(),
            reader: JournalReader::new(store, firsts, end.next, lock),
            file,
            offset: end.offset as u64,
            allocated,
            sealed: end.sealed,
            chain: end.chain,
            next: end.next,
            tail,
            salts: Salts::new().map_err(&io)?,
            secret,
            volume_bytes: VOLUME_BYTES,
            spare,
            batch: Vec::new(),
            sync: File::sync_data,
        })
    }

    /// Opens a store that is there already.
    ///
    /// # Errors
    /// When there is none, or as [`Journal::open`].
    pub fn existing(store: &Path) -> Result<Self, StoreError> {
        identity::expect(store)?;
        Self::open(store, None)
    }
}
