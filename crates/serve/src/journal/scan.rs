use super::JournalReader;
use super::examined::Examined;
use super::frame::{Entry, Frame};
use super::pieces::{Piece, Pieces};
use super::volume::{self, HEADER_BYTES, Header};
use crate::record::Record;
use crate::store_error::StoreError;
use haggle_core::decode_record;
use std::fs;
use std::io::ErrorKind;

/// Records that are read before whoever waits for the processor has his turn.
const RECORDS_PER_TURN: u64 = 64;
/// Whoever has more than this to read is behind, and gives no turns.
const UNHURRIED_MAX: u64 = 1 << 18;

/// A walk through the volumes of a journal, record by record.
#[derive(Debug)]
pub struct Scan {
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
    /// Walks from a record on, up to the last that is durable now.
    pub fn new(reader: &JournalReader, from: u64) -> Self {
        let firsts = reader.firsts();
        let at = firsts.partition_point(|first| *first <= from).max(1) - 1;
        Self {
            reader: reader.clone(),
            end: reader.next(),
            expected: firsts.get(at).copied().unwrap_or(0),
            firsts: firsts.into_iter().skip(at).collect::<Vec<_>>().into_iter(),
            from,
            first: 0,
            bytes: Vec::new(),
            offset: 0,
            ended: false,
        }
    }

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
