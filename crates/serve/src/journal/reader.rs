use super::examined::Examined;
use super::volume::{self, Entry, Frame, HEADER_BYTES, Header, Piece, Pieces};
use crate::record::Record;
use crate::store_error::StoreError;
use haggle_core::{Digest, decode_record};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// Records that are read before whoever waits for the processor has his turn.
const RECORDS_PER_TURN: u64 = 64;
/// Whoever has more than this to read is behind, and gives no turns.
const UNHURRIED_MAX: u64 = 1 << 18;

/// Reads a journal, also while it is being written.
#[derive(Clone, Debug)]
pub struct JournalReader {
    shared: Arc<Shared>,
    /// Prices wait beside it.
    unhurried: bool,
}

#[derive(Debug)]
struct Shared {
    store: PathBuf,
    /// First numbers of the volumes, in order.
    firsts: RwLock<Vec<u64>>,
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
        let firsts = self.firsts();
        let at = firsts.partition_point(|first| *first <= from).max(1) - 1;
        Scan {
            reader: self.clone(),
            end: self.next(),
            expected: firsts.get(at).copied().unwrap_or(0),
            firsts: firsts.into_iter().skip(at).collect::<Vec<_>>().into_iter(),
            from,
            first: 0,
            bytes: Vec::new(),
            offset: 0,
            ended: false,
        }
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
                    chain = volume::chain_after(chain, &frame);
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

    pub(super) fn firsts(&self) -> Vec<u64> {
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

/// A walk through the volumes.
struct Scan {
    reader: JournalReader,
    firsts: std::vec::IntoIter<u64>,
    /// The volume that is read: number of its first record, its bytes, and where in them.
    first: u64,
    bytes: Vec<u8>,
    offset: usize,
    /// Number of the next record.
    expected: u64,
    /// The first number that is asked for, and the one after the last.
    from: u64,
    end: u64,
    ended: bool,
}

impl Scan {
    fn step(&mut self) -> Result<Option<(u64, Record)>, StoreError> {
        while self.expected < self.end {
            let mut pieces = Pieces::starting_at(&self.bytes, self.offset, self.expected);
            let piece = pieces.next();
            self.offset = pieces.offset();
            match piece {
                Some(Piece::Sound(_, frame)) if frame.number == self.expected => {
                    self.expected = frame.next();
                    if let Some(record) = self.read(frame)? {
                        return Ok(Some((frame.number, record)));
                    }
                }
                Some(_) => return Err(self.damaged(self.first, &self.bytes)),
                None => match self.firsts.next() {
                    Some(first) => self.open(first)?,
                    None => return Err(self.damaged(self.first, &self.bytes)),
                },
            }
        }
        Ok(None)
    }

    fn read(&self, frame: Frame<'_>) -> Result<Option<Record>, StoreError> {
        let Entry::Record { record, .. } = frame.entry else {
            return Ok(None);
        };
        if frame.number < self.from {
            return Ok(None);
        }
        let record = decode_record(record).map_err(|error| StoreError::Damaged {
            store: self.reader.store().to_owned(),
            what: format!("record {}: {error}", frame.number),
        });
        record.map(Some)
    }

    fn open(&mut self, first: u64) -> Result<(), StoreError> {
        let bytes = match fs::read(volume::path(&self.reader.log(), first)) {
            Ok(bytes) => bytes,
            // Retention was faster.
            Err(error) if error.kind() == ErrorKind::NotFound && !self.reader.firsts().contains(&first) => {
                self.expected = self.firsts.as_slice().first().copied().unwrap_or(self.end);
                return Ok(());
            }
            Err(error) => return Err(self.reader.io()(error)),
        };
        if first != self.expected {
            return Err(StoreError::lost(
                self.reader.store(),
                self.expected,
                first.min(self.end),
            ));
        }
        if Header::read(&bytes).is_none_or(|header| header.first != first) {
            return Err(self.damaged(first, &bytes));
        }
        self.first = first;
        self.bytes = bytes;
        self.offset = HEADER_BYTES;
        Ok(())
    }

    /// Says the same of a volume as a check.
    fn damaged(&self, first: u64, bytes: &[u8]) -> StoreError {
        let follower = self.firsts.as_slice().first();
        let until = follower.copied().unwrap_or(self.end);
        Examined::new(bytes, first, until, follower.is_none(), None).refusal(self.reader.store())
    }
}

impl Iterator for Scan {
    type Item = Result<(u64, Record), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let left = self.end - self.expected.min(self.end);
        if self.reader.unhurried && left < UNHURRIED_MAX && self.expected.is_multiple_of(RECORDS_PER_TURN) {
            std::thread::yield_now();
        }
        let step = self.step();
        self.ended = !matches!(step, Ok(Some(_)));
        step.transpose()
    }
}
