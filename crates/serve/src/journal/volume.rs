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

use haggle_core::Digest;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// How the name of a volume ends.
pub const EXTENSION: &str = "log";
/// Bytes of the header.
pub const HEADER_BYTES: usize = 64;
const MAGIC: [u8; 8] = *b"HAGGLEJ2";
const DIGEST_BYTES: usize = 32;

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

    /// The header of the volume in a file, if it is sound.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let mut bytes = [0; HEADER_BYTES];
        fs::File::open(path).ok()?.read_exact(&mut bytes).ok()?;
        Self::read(&bytes)
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

/// The number at a byte, if it is there.
pub fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// The digest at a byte, if it is there.
pub fn digest_at(bytes: &[u8], at: usize) -> Option<Digest> {
    let digest: [u8; DIGEST_BYTES] = bytes.get(at..at + DIGEST_BYTES)?.try_into().ok()?;
    Some(Digest::from(digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_header_are_pinned() {
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
    }
}
