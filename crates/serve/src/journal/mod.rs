//! The journal: every record in the order in which it happened, appended to a row of volumes.
//!
//! Layout of a store folder: `identity` (version and secret), `log/` (the volumes, named by the number of their first
//! record; format in `volume.rs`), `tail` (number after the last durable record, written without waiting: it survives a
//! killed process and can only be too old after a power cut), `base` (where the journal begins once retention has dropped
//! volumes), `bundles/`, `lock`.
//!
//! A commit is one write over zeros that are on disk already, and one `fdatasync`. The last volume is read when the
//! store is opened: what a power cut tore and nobody was promised is cut off, anything else is damage and is named.

mod backup;
mod base;
mod chain;
mod check;
mod end;
mod erase;
mod examined;
mod frame;
mod identity;
mod lost;
mod opening;
mod pieces;
mod reader;
mod salts;
mod scan;
mod spare;
mod tail;
#[cfg(test)]
mod tests;
mod volume;

pub use backup::backup;
pub(crate) use base::Base;
pub use check::{Checked, check};
pub(crate) use lost::count as lost_records;
pub use reader::JournalReader;

use crate::record::Record;
use crate::store_error::StoreError;
use crate::whole_file::sync_folder;
use frame::{Entry, Frame};
use haggle_core::{Digest, encode_record};
use salts::Salts;
use spare::Spare;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use tail::Tail;
use volume::{HEADER_BYTES, Header};

/// Bytes of a volume: one that has grown to this is sealed.
const VOLUME_BYTES: u64 = 8 << 20;
/// Records of a batch that are encoded before whoever waits for the processor has his turn: a scheduler lets a thread run for
/// milliseconds, in which a price could not be answered or taken.
const RECORDS_PER_TURN: usize = 32;
/// A larger batch means that the disk is behind: it is written without turns.
const UNHURRIED_MAX: usize = 1_024;

/// The open journal: the only writer of a store.
#[derive(Debug)]
pub struct Journal {
    reader: JournalReader,
    file: File,
    /// Number of the first record of the last volume.
    first: u64,
    /// Where the next frame goes.
    offset: u64,
    /// Bytes of the file.
    allocated: u64,
    sealed: bool,
    chain: Digest,
    next: u64,
    tail: Tail,
    salts: Salts,
    secret: u64,
    volume_bytes: u64,
    spare: Spare,
    /// The last batch: its memory serves the next one.
    batch: Vec<u8>,
    /// `fdatasync`.
    sync: fn(&File) -> io::Result<()>,
}

impl Journal {
    /// Calls something else in the place of `fdatasync`: the slow or failing disk of a test.
    #[must_use]
    pub fn with_sync(mut self, sync: fn(&File) -> io::Result<()>) -> Self {
        self.sync = sync;
        self
    }

    /// Seals volumes that have grown to some bytes: a test has much in little.
    #[must_use]
    pub fn with_volume_bytes(mut self, bytes: u64) -> Self {
        self.volume_bytes = bytes;
        self.spare = Spare::new(&self.reader.log(), bytes);
        self
    }

    /// The key of the store's draws.
    #[must_use]
    pub fn secret(&self) -> u64 {
        self.secret
    }

    /// Something that reads while this writes.
    #[must_use]
    pub fn reader(&self) -> JournalReader {
        self.reader.clone()
    }

    /// Reads every record in order, with its number; none may be missing.
    ///
    /// # Errors
    /// When a record is damaged or missing, or `each` fails.
    pub fn recover<E: From<StoreError>>(
        &mut self,
        mut each: impl FnMut(u64, Record) -> Result<(), E>,
    ) -> Result<u64, E> {
        for record in self.reader.scan(0) {
            let (number, record) = record?;
            each(number, record)?;
        }
        Ok(self.next)
    }

    /// Appends records; they are on disk when this returns.
    ///
    /// # Errors
    /// [`StoreError::Full`] when no space is left: nothing was written, and it can be tried again. Everything else is
    /// final: what is on disk is only known after a restart.
    pub fn append(&mut self, records: &[Record]) -> Result<(), StoreError> {
        let (mut bytes, mut chain) = (std::mem::take(&mut self.batch), self.chain);
        bytes.clear();
        for (place, record) in records.iter().enumerate() {
            let (number, record) = (self.next + place as u64, encode_record(record));
            let salt = self.salts.draw();
            let entry = Entry::Record {
                salt,
                record: &record,
            };
            let place = place as u16;
            if let Some(digest) = entry.digest(number) {
                chain = chain::link(chain, digest);
            }
            Frame { number, place, entry }.write(&mut bytes);
            if records.len() <= UNHURRIED_MAX && (usize::from(place) + 1).is_multiple_of(RECORDS_PER_TURN) {
                std::thread::yield_now();
            }
        }
        if self.sealed || self.offset + bytes.len() as u64 > self.volume_bytes && self.first < self.next {
            self.roll()?;
        }
        self.write(&bytes)?;
        self.batch = bytes;
        self.chain = chain;
        self.next += records.len() as u64;
        self.reader.publish(self.next);
        // Only a hint for finding lost records after a restart: an error here loses nothing.
        let _ = self.tail.write(self.next);
        Ok(())
    }

    /// Seals the last volume and begins another one.
    fn roll(&mut self) -> Result<(), StoreError> {
        if !self.sealed {
            let mut seal = Vec::new();
            Frame {
                number: self.next,
                place: 0,
                entry: Entry::Seal(self.chain),
            }
            .write(&mut seal);
            self.write(&seal)?;
            self.sealed = true;
            self.file.set_len(self.offset).map_err(self.reader.io())?;
        }
        let made = begin_volume(&mut self.spare, &self.reader.log(), self.next, self.chain);
        self.file = made.map_err(StoreError::full_or_io(self.reader.store()))?;
        self.reader.begin(self.next);
        self.first = self.next;
        self.offset = HEADER_BYTES as u64;
        self.allocated = self.volume_bytes;
        self.sealed = false;
        Ok(())
    }

    /// Writes bytes at the end, durably.
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let full_or_io = StoreError::full_or_io(self.reader.store());
        if let Err(error) = self.file.write_all_at(bytes, self.offset) {
            // Half a batch must not lie behind the next one.
            let there = self.allocated.saturating_sub(self.offset).min(bytes.len() as u64);
            let cleaned = self.file.write_all_at(&vec![0; there as usize], self.offset);
            return Err(match cleaned.and_then(|()| self.file.set_len(self.allocated)) {
                Ok(()) => full_or_io(error),
                Err(_) => self.reader.io()(error),
            });
        }
        (self.sync)(&self.file).map_err(self.reader.io())?;
        self.offset += bytes.len() as u64;
        self.allocated = self.allocated.max(self.offset);
        if self.offset > self.volume_bytes / 2 {
            self.spare.begin();
        }
        Ok(())
    }
}

/// Begins a volume, durably.
fn begin_volume(spare: &mut Spare, log: &Path, first: u64, chain: Digest) -> io::Result<File> {
    let file = spare.take(&volume::path(log, first))?;
    file.write_all_at(&Header { first, chain }.write(), 0)?;
    file.sync_data()?;
    sync_folder(log)?;
    Ok(file)
}

/// Refuses a folder inside a store: what is written there would be in the store's way.
pub(crate) fn expect_outside(store: &Path, out: &Path) -> Result<(), StoreError> {
    let io = StoreError::io(store);
    let (store, out) = (
        store.canonicalize().map_err(&io)?,
        std::path::absolute(out).map_err(&io)?,
    );
    let there = out.ancestors().find_map(|folder| folder.canonicalize().ok());
    if there.is_some_and(|folder| folder.starts_with(&store)) {
        return Err(StoreError::Inside { store, out });
    }
    Ok(())
}
