//! One volume of the journal: a file of consecutive records. The journal is a row of volumes; all but the last are
//! sealed and never written again (but for `forget` and `check --repair`, which replace a whole file).
//!
//! Disk format, version 2 (integers little endian):
//!
//! ```text
//! header, 64 bytes: "HAGGLEJ2" | first number: u64 | chain digest of all records before: 32 bytes | 12 zeros |
//!                   CRC-32C of the 60 bytes before: u32
//! frame:            length of the payload: u32 | CRC-32C of the payload: u32 | payload   (the codec's frame)
//! payload:          number: u64 | place in its batch: u16 | kind: u8 | body
//!   kind 0, record: salt: 16 bytes | record of the codec (version byte and postcard)
//!   kind 1, erased: digest of the salted record that stood here: 32 bytes
//!   kind 2, lost:   number of the next record that is left: u64; those before it are lost
//!   kind 3, seal:   chain digest of all records up to here: 32 bytes; the last frame of a sealed volume
//! after the last frame: zeros (space allocated in advance)
//! ```
//!
//! A frame tells its number, so that what a damaged stretch held is known by its neighbours. It tells its place in its
//! batch, because a batch is only begun when the one before it is on disk: whatever stands before the batch of a sound
//! frame was acknowledged, and its damage is a loss; whatever is torn after it never was. The chain digest of record n is
//! `blake3(chain of n - 1, blake3(number, salt, record))`; an erased record keeps its digest, and the random salt that is
//! erased with it keeps anybody from guessing the record back. Lost records count as one link,
//! `blake3("lost", number, number of the next)`; at the seal the chain is again what it was.

use haggle_core::{Digest, FRAME_BYTES_MAX, Frames, write_frame};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// How the name of a volume ends.
pub const EXTENSION: &str = "log";
/// Bytes of the header.
pub const HEADER_BYTES: usize = 64;
/// Bytes of a salt.
pub const SALT_BYTES: usize = 16;
const MAGIC: [u8; 8] = *b"HAGGLEJ2";
const FRAME_HEADER_BYTES: usize = 8;
/// Number, place in the batch, kind.
const PREFIX_BYTES: usize = 11;
const DIGEST_BYTES: usize = 32;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// A record.
    Record {
        /// Random bytes that are erased with it.
        salt: [u8; SALT_BYTES],
        /// The record, as the codec writes it.
        record: &'a [u8],
    },
    /// A record that was erased.
    Erased(Digest),
    /// Records up to this number, without it, are lost.
    Lost(u64),
    /// The volume is complete.
    Seal(Digest),
}

/// One frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Number of the record.
    pub number: u64,
    /// Records of the same batch before it.
    pub place: u16,
    /// What it holds.
    pub entry: Entry<'a>,
}

/// A stretch of a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A sound frame, and the byte that it begins at.
    Sound(usize, Frame<'a>),
    /// Bytes that are no frame, from here to the next sound one or to the end.
    Damage(usize),
}

/// The header of a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Number of its first record.
    pub first: u64,
    /// Chain digest of all records before.
    pub chain: Digest,
}

impl Header {
    /// The header as bytes.
    #[must_use]
    pub fn write(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..16].copy_from_slice(&self.first.to_le_bytes());
        bytes[16..48].copy_from_slice(self.chain.as_bytes());
        let sum = crc32c::crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// The header at the beginning of a volume, if it is sound.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..HEADER_BYTES)?;
        let sum = u32::from_le_bytes(bytes[60..].try_into().ok()?);
        (bytes[..8] == MAGIC && crc32c::crc32c(&bytes[..60]) == sum).then_some(Self {
            first: u64_at(bytes, 8)?,
            chain: digest_at(bytes, 16)?,
        })
    }
}

impl Entry<'_> {
    /// The digest by which the chain knows the record, or the loss of some; none for a seal.
    #[must_use]
    pub fn digest(&self, number: u64) -> Option<Digest> {
        match self {
            Self::Record { salt, record } => Some(Digest::of_parts(&[&number.to_le_bytes(), salt, record])),
            Self::Erased(digest) => Some(*digest),
            Self::Lost(next) => Some(Digest::of_parts(&[
                b"lost",
                &number.to_le_bytes(),
                &next.to_le_bytes(),
            ])),
            Self::Seal(_) => None,
        }
    }
}

impl<'a> Frame<'a> {
    /// Appends the frame.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut payload = Vec::with_capacity(512);
        payload.extend_from_slice(&self.number.to_le_bytes());
        payload.extend_from_slice(&self.place.to_le_bytes());
        match &self.entry {
            Entry::Record { salt, record } => {
                payload.push(0);
                payload.extend_from_slice(salt);
                payload.extend_from_slice(record);
            }
            Entry::Erased(digest) => {
                payload.push(1);
                payload.extend_from_slice(digest.as_bytes());
            }
            Entry::Lost(next) => {
                payload.push(2);
                payload.extend_from_slice(&next.to_le_bytes());
            }
            Entry::Seal(chain) => {
                payload.push(3);
                payload.extend_from_slice(chain.as_bytes());
            }
        }
        write_frame(out, &payload);
    }

    fn read(payload: &'a [u8]) -> Option<Self> {
        let body = payload.get(PREFIX_BYTES..)?;
        let entry = match payload[PREFIX_BYTES - 1] {
            0 => Entry::Record {
                salt: body.get(..SALT_BYTES)?.try_into().ok()?,
                record: &body[SALT_BYTES..],
            },
            1 => Entry::Erased(digest_at(body, 0)?),
            2 => Entry::Lost(u64_at(body, 0)?),
            3 => Entry::Seal(digest_at(body, 0)?),
            _ => return None,
        };
        Some(Self {
            number: u64_at(payload, 0)?,
            place: u16::from_le_bytes([payload[8], payload[9]]),
            entry,
        })
    }

    /// Number of the frame after it.
    #[must_use]
    pub fn next(&self) -> u64 {
        match self.entry {
            Entry::Record { .. } | Entry::Erased(_) => self.number + 1,
            Entry::Lost(next) => next.max(self.number),
            Entry::Seal(_) => self.number,
        }
    }
}

/// The stretches of a volume after its header, in order. Never fails: what is no frame is damage.
#[derive(Debug)]
pub struct Pieces<'a> {
    bytes: &'a [u8],
    offset: usize,
    /// No frame may have a smaller number.
    least: u64,
}

impl<'a> Pieces<'a> {
    /// Walks the bytes of a volume whose first record has a number.
    #[must_use]
    pub fn new(bytes: &'a [u8], first: u64) -> Self {
        Self::starting_at(bytes, HEADER_BYTES, first)
    }

    /// Walks the bytes of a volume from a frame on; none before may have a number above `least`.
    #[must_use]
    pub fn starting_at(bytes: &'a [u8], offset: usize, least: u64) -> Self {
        Self {
            bytes,
            offset: offset.min(bytes.len()),
            least,
        }
    }

    /// The byte after the last piece.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    fn frame_at(&self, offset: usize) -> Option<(usize, Frame<'a>)> {
        let head = self.bytes.get(offset..offset + FRAME_HEADER_BYTES)?;
        let length = u32::from_le_bytes(head[..4].try_into().ok()?) as usize;
        if !(PREFIX_BYTES..=FRAME_BYTES_MAX).contains(&length) {
            return None;
        }
        let end = offset + FRAME_HEADER_BYTES + length;
        let payload = Frames::new(self.bytes.get(offset..end)?).next()?.ok()?;
        let frame = Frame::read(payload)?;
        (frame.number >= self.least).then_some((end, frame))
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let offset = self.offset;
        if let Some((end, frame)) = self.frame_at(offset) {
            self.offset = end;
            self.least = frame.next();
            return Some(Piece::Sound(offset, frame));
        }
        let rest = &self.bytes[offset..];
        if rest.iter().all(|byte| *byte == 0) {
            return None;
        }
        let sound = (offset + 1..self.bytes.len()).find(|offset| self.frame_at(*offset).is_some());
        self.offset = sound.unwrap_or(self.bytes.len());
        Some(Piece::Damage(offset))
    }
}

/// The chain digest after one more record.
#[must_use]
pub fn link(chain: Digest, record: Digest) -> Digest {
    Digest::of_parts(&[chain.as_bytes(), record.as_bytes()])
}

/// The chain digest after one more frame.
#[must_use]
pub fn chain_after(chain: Digest, frame: &Frame<'_>) -> Digest {
    match (frame.entry, frame.entry.digest(frame.number)) {
        (Entry::Seal(sealed), _) => sealed,
        (_, Some(digest)) => link(chain, digest),
        (_, None) => chain,
    }
}

/// The chain digest before the first record of a store.
#[must_use]
pub fn origin() -> Digest {
    Digest::of(b"haggle store 3")
}

/// Where the volume that begins with a number lies.
#[must_use]
pub fn path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}.{EXTENSION}"))
}

/// Numbers of the first records of the volumes in a folder, in order.
///
/// # Errors
/// When the folder cannot be read.
pub fn firsts(folder: &Path) -> io::Result<Vec<u64>> {
    let mut firsts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            firsts.extend(stem.and_then(|stem| stem.parse::<u64>().ok()));
        }
    }
    firsts.sort_unstable();
    Ok(firsts)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn digest_at(bytes: &[u8], at: usize) -> Option<Digest> {
    let digest: [u8; DIGEST_BYTES] = bytes.get(at..at + DIGEST_BYTES)?.try_into().ok()?;
    Some(Digest::from(digest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use haggle_core::encode_record;

    fn frame(number: u64, record: &[u8]) -> Frame<'_> {
        let salt = [7; SALT_BYTES];
        Frame {
            number,
            place: 1,
            entry: Entry::Record { salt, record },
        }
    }

    /// A header and five frames, 10 to 14, and room behind them.
    fn volume() -> (Vec<u8>, Vec<usize>) {
        let header = Header {
            first: 10,
            chain: origin(),
        };
        let (mut bytes, mut offsets) = (header.write().to_vec(), Vec::new());
        for number in 10..15 {
            offsets.push(bytes.len());
            frame(number, &encode_record(&(number, "what happened"))).write(&mut bytes);
        }
        offsets.push(bytes.len());
        bytes.resize(bytes.len() + 200, 0);
        (bytes, offsets)
    }

    #[test]
    fn the_bytes_are_pinned() {
        let header = Header {
            first: 258,
            chain: Digest::from([9; 32]),
        };
        let mut expected = b"HAGGLEJ2\x02\x01\0\0\0\0\0\0".to_vec();
        expected.extend([9; 32]);
        expected.extend([0; 12]);
        let sum = crc32c::crc32c(&expected);
        expected.extend(sum.to_le_bytes());
        assert_eq!(header.write().to_vec(), expected);
        assert_eq!(Header::read(&expected), Some(header));

        let entries: [(Entry<'_>, u8, Vec<u8>); 4] = [
            (
                Entry::Record {
                    salt: [7; SALT_BYTES],
                    record: &[1, 5],
                },
                0,
                [vec![7; 16], vec![1, 5]].concat(),
            ),
            (Entry::Erased(Digest::from([8; 32])), 1, vec![8; 32]),
            (Entry::Lost(300), 2, vec![44, 1, 0, 0, 0, 0, 0, 0]),
            (Entry::Seal(Digest::from([6; 32])), 3, vec![6; 32]),
        ];
        for (entry, kind, body) in entries {
            let frame = Frame {
                number: 258,
                place: 3,
                entry,
            };
            let mut bytes = Vec::new();
            frame.write(&mut bytes);
            let payload = [&[2, 1, 0, 0, 0, 0, 0, 0, 3, 0, kind][..], &body].concat();
            let mut expected = Vec::new();
            write_frame(&mut expected, &payload);
            assert_eq!(bytes, expected);
            assert_eq!(Frame::read(&payload), Some(frame));
        }
    }

    #[test]
    fn every_flipped_bit_costs_one_record_and_changes_none() {
        let (sound, offsets) = volume();
        let used = offsets[5];
        for bit in 8 * HEADER_BYTES..8 * used {
            let mut bytes = sound.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let hit = offsets.iter().rposition(|offset| *offset <= bit / 8).unwrap_or(0);
            let mut left = Vec::new();
            for piece in Pieces::new(&bytes, 10) {
                match piece {
                    Piece::Sound(_, found) => {
                        let record = encode_record(&(found.number, "what happened"));
                        assert_eq!(found, frame(found.number, &record));
                        left.push(found.number as usize - 10);
                    }
                    Piece::Damage(at) => assert_eq!(at, offsets[hit]),
                }
            }
            let expected: Vec<usize> = (0..5).filter(|place| *place != hit).collect();
            assert_eq!(left, expected, "bit {bit}");
        }
        for bit in 0..8 * HEADER_BYTES {
            let mut bytes = sound.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::read(&bytes), None);
        }
    }

    #[test]
    fn a_cut_and_a_zeroed_stretch_leave_what_lies_outside() {
        let (sound, offsets) = volume();
        for cut in HEADER_BYTES..offsets[5] {
            let whole = offsets.iter().filter(|offset| **offset <= cut).count() - 1;
            let pieces = Pieces::new(&sound[..cut], 10);
            let left = pieces.filter(|piece| matches!(piece, Piece::Sound(..))).count();
            assert_eq!(left, whole, "cut at {cut}");
        }
        let mut bytes = sound.clone();
        bytes[offsets[1] + 3..offsets[3] + 1].fill(0);
        let numbers = Pieces::new(&bytes, 10).filter_map(|piece| match piece {
            Piece::Sound(_, frame) => Some(frame.number),
            Piece::Damage(_) => None,
        });
        assert_eq!(numbers.collect::<Vec<_>>(), [10, 14]);
    }

    #[test]
    fn an_erased_record_leaves_the_chain_as_it_was() {
        let record = encode_record(&"somebody");
        let kept = frame(3, &record).entry;
        let digest = kept.digest(3).expect("a record has one");
        let erased = Entry::Erased(digest);
        assert_eq!(
            link(origin(), digest),
            link(origin(), erased.digest(3).expect("it keeps it"))
        );
        assert_ne!(kept.digest(3), kept.digest(4), "a record has its place");
        let other = Entry::Record {
            salt: [8; SALT_BYTES],
            record: &record,
        };
        assert_ne!(kept.digest(3), other.digest(3), "the salt tells two alike apart");
    }
}
