//! The journal: every record in the order in which it happened, appended to a row of volumes.
//!
//! Layout of a store folder: `identity` (version and secret), `log/` (the volumes, named by the number of their first
//! record; format in `volume.rs`), `tail` (number after the last durable record, written without waiting: it survives a
//! killed process and can only be too old after a power cut), `bundles/`, `lock`.
//!
//! A commit is one write over zeros that are on disk already, and one `fdatasync`. The last volume is read when the
//! store is opened: what a power cut tore and nobody was promised is cut off, anything else is damage and is named.

mod backup;
mod check;
mod end;
mod erase;
mod examined;
mod identity;
mod reader;
mod spare;
mod tail;
#[cfg(test)]
mod tests;
mod volume;

pub use backup::backup;
pub use check::{Checked, check};
pub use reader::JournalReader;

use crate::record::Record;
use crate::store_error::StoreError;
use end::{End, Unsound};
use examined::Examined;
use haggle_core::{Digest, encode_record};
use spare::Spare;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::Path;
use tail::Tail;
use volume::{Entry, Frame, HEADER_BYTES, Header, SALT_BYTES};

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

/// Random salts: a digest of a key that is never written, and a counter.
#[derive(Debug)]
struct Salts {
    key: [u8; 32],
    count: u64,
}

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
        let mut firsts = volume::firsts(&log).map_err(&io)?;
        if let Some(first) = firsts.first().filter(|first| **first > 0) {
            return Err(StoreError::lost(store, 0, *first));
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
            None if tail.number() > 0 => return Err(StoreError::lost(store, 0, tail.number())),
            None => {
                firsts.push(0);
                let file = begin_volume(&mut spare, &log, 0, volume::origin());
                let file = file.map_err(StoreError::full_or_io(store))?;
                (file, End::new(0, volume::origin()), VOLUME_BYTES)
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

    /// Calls something else in the place of `fdatasync`: the slow or failing disk of a test.
    #[must_use]
    pub fn with_sync(mut self, sync: fn(&File) -> io::Result<()>) -> Self {
        self.sync = sync;
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
                chain = volume::link(chain, digest);
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
        self.allocated = VOLUME_BYTES;
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

impl Salts {
    fn new() -> io::Result<Self> {
        let mut key = [0; 32];
        File::open("/dev/urandom")?.read_exact(&mut key)?;
        Ok(Self { key, count: 0 })
    }

    fn draw(&mut self) -> [u8; SALT_BYTES] {
        self.count += 1;
        let digest = Digest::of_parts(&[&self.key, &self.count.to_le_bytes()]);
        std::array::from_fn(|place| digest.as_bytes()[place])
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

pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
