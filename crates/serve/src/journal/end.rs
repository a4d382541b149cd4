use super::chain;
use super::frame::Entry;
use super::pieces::{Piece, Pieces};
use super::volume::{HEADER_BYTES, Header};
use haggle_core::Digest;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Where a volume ends: what is appended to it next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// The byte after its last frame.
    pub offset: usize,
    /// Number of the next record.
    pub next: u64,
    /// Chain digest of all records before.
    pub chain: Digest,
    /// Whether it is complete.
    pub sealed: bool,
}

/// Why a volume cannot be appended to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsound {
    /// It has no header and no record: it was never used.
    Empty,
    /// Acknowledged records are lost.
    Lost,
}

impl End {
    /// Of a volume that is made just now.
    pub fn new(first: u64, chain: Digest) -> Self {
        Self {
            offset: HEADER_BYTES,
            next: first,
            chain,
            sealed: false,
        }
    }

    /// Reads the last volume. `durable` is the number after the last record that is known to have been acknowledged.
    ///
    /// # Errors
    /// When an acknowledged record is not there. What was torn and never acknowledged is no error: it lies behind the
    /// end and is to be cleaned away.
    pub fn read(bytes: &[u8], first: u64, durable: u64) -> Result<Self, Unsound> {
        let header = Header::read(bytes).filter(|header| header.first == first);
        let mut end = Self::new(first, header.map_or_else(chain::origin, |header| header.chain));
        let (mut durable, mut whole) = (durable, header.is_some());
        let mut pieces = Pieces::new(bytes, first);
        while let Some(piece) = pieces.next() {
            match piece {
                Piece::Sound(_, frame) if whole && frame.number == end.next => {
                    end.next = frame.next();
                    end.offset = pieces.offset();
                    end.sealed = matches!(frame.entry, Entry::Seal(_));
                    end.chain = chain::after(end.chain, &frame);
                }
                Piece::Sound(_, frame) => {
                    whole = false;
                    durable = durable.max(frame.number.saturating_sub(u64::from(frame.place)));
                }
                Piece::Damage(_) => whole = false,
            }
        }
        if durable > end.next {
            return Err(Unsound::Lost);
        }
        header.map(|_| end).ok_or(Unsound::Empty)
    }

    /// Overwrites what lies behind the end with zeros, durably.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn clean(&self, file: &File, bytes: &[u8]) -> io::Result<()> {
        let behind = bytes.get(self.offset..).unwrap_or_default();
        if let Some(last) = behind.iter().rposition(|byte| *byte != 0) {
            file.write_all_at(&vec![0; last + 1], self.offset as u64)?;
            file.sync_data()?;
        }
        Ok(())
    }
}
