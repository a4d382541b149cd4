use super::base::Base;
use super::chain;
use super::identity;
use super::pieces::{Piece, Pieces};
use super::scan::Scan;
use super::volume::{self, Header};
use crate::record::Record;
use crate::store_error::StoreError;
use crate::whole_file::sync_folder;
use haggle_core::Digest;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

/// Reads a journal, also while it is being written.
#[derive(Clone, Debug)]
pub struct JournalReader {
    shared: Arc<Shared>,
    /// Prices wait beside it.
    pub(super) unhurried: bool,
}

#[derive(Debug)]
struct Shared {
    store: PathBuf,
    /// First numbers of the volumes, in order.
    firsts: RwLock<Vec<u64>>,
    /// Held by those who read many volumes: none is dropped meanwhile.
    kept: RwLock<()>,
    /// Number after the last durable record.
    next: AtomicU64,
    /// The store is held as long as somebody reads it.
    _lock: File,
}

impl JournalReader {
    pub(super) fn new(store: &Path, firsts: Vec<u64>, next: u64, lock: File) -> Self {
        Self {
            shared: Arc::new(Shared {
                store: store.to_owned(),
                firsts: RwLock::new(firsts),
                kept: RwLock::new(()),
                next: AtomicU64::new(next),
                _lock: lock,
            }),
            unhurried: false,
        }
    }

    /// One that gives others their turns: a scheduler lets a thread run for milliseconds, in which no price comes about.
    #[must_use]
    pub(crate) fn unhurried(self) -> Self {
        Self {
            unhurried: true,
            ..self
        }
    }

    /// The records from a number on, up to the last that is durable now, each with its number. What is erased or was
    /// declared lost is passed over, and so is what retention has dropped. After an error the iteration ends.
    pub fn scan(&self, from: u64) -> impl Iterator<Item = Result<(u64, Record), StoreError>> + use<> {
        Scan::new(self, from)
    }

    /// The record of a number, if it is durable and neither erased nor dropped.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn get(&self, number: u64) -> Result<Option<Record>, StoreError> {
        let found = self.scan(number).next().transpose()?;
        Ok(found
            .filter(|(found, _)| *found == number)
            .map(|(_, record)| record))
    }

    /// Chain digest of all records before a number, which must be durable.
    ///
    /// # Errors
    /// When the volume that it lies in is damaged before it.
    pub(crate) fn chain_before(&self, number: u64) -> Result<Digest, StoreError> {
        let firsts = self.firsts();
        let at = firsts.partition_point(|first| *first <= number).max(1) - 1;
        let first = firsts.get(at).copied().unwrap_or(0);
        let bytes = fs::read(volume::path(&self.log(), first)).map_err(self.io())?;
        let header = Header::read(&bytes).filter(|header| header.first == first);
        let lost = |expected| StoreError::lost(self.store(), expected, number);
        let mut chain = header.ok_or_else(|| lost(first))?.chain;
        let mut expected = first;
        let mut pieces = Pieces::new(&bytes, first);
        while expected < number {
            match pieces.next() {
                Some(Piece::Sound(_, frame)) if frame.number == expected => {
                    chain = chain::after(chain, &frame);
                    expected = frame.next();
                }
                _ => return Err(lost(expected)),
            }
        }
        Ok(chain)
    }

    /// Number after the last durable record.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.shared.next.load(Ordering::Acquire)
    }

    pub(super) fn publish(&self, next: u64) {
        self.shared.next.store(next, Ordering::Release);
    }

    /// A new volume begins with a number.
    pub(super) fn begin(&self, first: u64) {
        let mut firsts = self.shared.firsts.write().unwrap_or_else(PoisonError::into_inner);
        firsts.push(first);
    }

    /// While this is held retention drops nothing.
    pub(crate) fn hold(&self) -> RwLockReadGuard<'_, ()> {
        self.shared.kept.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops the volumes whose records lie before a base, which is written first. False where somebody holds them.
    ///
    /// # Errors
    /// When the base cannot be written or a volume not removed; a start removes what was left.
    pub(crate) fn drop_before(&self, base: &Base, state: &[u8]) -> Result<bool, StoreError> {
        let Ok(_nobody_reads) = self.shared.kept.try_write() else {
            return Ok(false);
        };
        identity::mark_trimmed(self.store())?;
        base.write(self.store(), state)?;
        let mut firsts = self.shared.firsts.write().unwrap_or_else(PoisonError::into_inner);
        let dropped: Vec<u64> = firsts.extract_if(.., |first| *first < base.first).collect();
        drop(firsts);
        for first in dropped {
            fs::remove_file(volume::path(&self.log(), first)).map_err(self.io())?;
        }
        sync_folder(&self.log()).map_err(self.io())?;
        Ok(true)
    }

    /// Numbers of the first records of the volumes, in order.
    pub(crate) fn firsts(&self) -> Vec<u64> {
        let firsts = self.shared.firsts.read().unwrap_or_else(PoisonError::into_inner);
        firsts.clone()
    }

    pub(crate) fn store(&self) -> &Path {
        &self.shared.store
    }

    pub(super) fn log(&self) -> PathBuf {
        self.shared.store.join("log")
    }

    pub(super) fn io(&self) -> impl Fn(io::Error) -> StoreError + use<> {
        StoreError::io(&self.shared.store)
    }
}
