//! Records as bytes: a version byte and the record (postcard), framed as
//! `length: u32 LE | CRC-32C of the payload: u32 LE | payload`. Segments and the journal hold such frames.
//!
//! Losses to prevent: a record read back with another value; a torn tail taken for the end.

use serde::{Serialize, de::DeserializeOwned};

/// The version that this program writes and reads.
pub const RECORD_VERSION: u8 = 1;
/// No record is longer; a length field above it is damage, found before anything is allocated.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
const HEADER_BYTES: usize = 8;
/// Room for a decision with its features and its distribution.
const RECORD_BYTES_USUAL: usize = 512;

/// Why bytes are no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The bytes end inside a frame: a write was cut off.
    #[error("the frame at byte {offset} is cut off")]
    Torn {
        /// Where the frame begins.
        offset: usize,
    },
    /// The checksum differs, or the length is impossible.
    #[error("the frame at byte {offset} is damaged: its checksum does not match")]
    Damaged {
        /// Where the frame begins.
        offset: usize,
    },
    /// Written by another version.
    #[error("record version {got}: this program reads version {RECORD_VERSION}")]
    Version {
        /// The version found.
        got: u8,
    },
    /// The payload has a sound checksum but is not the expected record.
    #[error("not a record of the expected kind: {0}")]
    Content(String),
}

/// A record as bytes, without a frame.
///
/// # Panics
/// Never for the types of this crate: they hold nothing that postcard cannot write.
pub fn encode_record<T: Serialize>(record: &T) -> Vec<u8> {
    // Most records fit: a growing one would be copied half a dozen times.
    let mut bytes = Vec::with_capacity(RECORD_BYTES_USUAL);
    bytes.push(RECORD_VERSION);
    postcard::to_extend(record, bytes).expect("plain records can be written")
}

/// A record from the bytes that [`encode_record`] made.
///
/// # Errors
/// When the version is another one or the bytes are no such record.
pub fn decode_record<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FrameError> {
    match bytes.split_first() {
        Some((&RECORD_VERSION, body)) => {
            postcard::from_bytes(body).map_err(|error| FrameError::Content(error.to_string()))
        }
        Some((&got, _)) => Err(FrameError::Version { got }),
        None => Err(FrameError::Content("no bytes".to_owned())),
    }
}

/// Appends one frame around the payload that `write` appends.
pub fn write_frame(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_BYTES]);
    write(out);
    let (header, payload) = out[start..].split_at_mut(HEADER_BYTES);
    let length = u32::try_from(payload.len()).expect("records are far below 4 GiB");
    header[..4].copy_from_slice(&length.to_le_bytes());
    header[4..].copy_from_slice(&crc32c::crc32c(payload).to_le_bytes());
}

/// The payloads of consecutive frames. After an error the iteration ends: what follows has no known beginning.
#[derive(Debug)]
pub struct Frames<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Frames<'a> {
    /// Iterates over the frames in `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self::starting_at(bytes, 0)
    }

    /// Iterates over the frames from byte `offset` (at most the length) to the end of `bytes`.
    #[must_use]
    pub fn starting_at(bytes: &'a [u8], offset: usize) -> Self {
        Self { bytes, offset }
    }

    /// Where the next frame begins: after an error, how many bytes were sound.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    fn frame(&self) -> Result<&'a [u8], FrameError> {
        let offset = self.offset;
        let rest = &self.bytes[offset..];
        let Some((header, body)) = rest.split_at_checked(HEADER_BYTES) else {
            return Err(FrameError::Torn { offset });
        };
        let word =
            |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let length = word(0) as usize;
        if length > FRAME_BYTES_MAX {
            return Err(FrameError::Damaged { offset });
        }
        let payload = body.get(..length).ok_or(FrameError::Torn { offset })?;
        if crc32c::crc32c(payload) == word(4) {
            Ok(payload)
        } else {
            Err(FrameError::Damaged { offset })
        }
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<&'a [u8], FrameError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.offset == self.bytes.len() {
            return None;
        }
        let frame = self.frame();
        match &frame {
            Ok(payload) => self.offset += HEADER_BYTES + payload.len(),
            Err(_) => self.bytes = &self.bytes[..self.offset],
        }
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DecisionId, Reward};
    use proptest::prelude::*;

    fn reward(units: u32) -> Reward {
        Reward {
            decision: DecisionId("d".into()),
            reward_id: "r".into(),
            value_minor: -5,
            units,
            time_s: 9,
        }
    }

    #[test]
    fn the_bytes_are_pinned() {
        let mut framed = Vec::new();
        write_frame(&mut framed, |out| out.extend(encode_record(&reward(3))));
        assert_eq!(
            framed,
            [8, 0, 0, 0, 0xb2, 0x9c, 0x11, 0xde, 1, 1, b'd', 1, b'r', 9, 3, 18]
        );
    }

    #[test]
    fn another_version_is_refused() {
        let mut bytes = encode_record(&reward(1));
        bytes[0] = 9;
        assert_eq!(
            decode_record::<Reward>(&bytes),
            Err(FrameError::Version { got: 9 })
        );
    }

    proptest! {
        #[test]
        fn no_flipped_bit_goes_unnoticed(units in 0u32..1000, at in 0usize..48, bit in 0u8..8) {
            let mut bytes = Vec::new();
            for n in 0..3 {
                write_frame(&mut bytes, |out| out.extend(encode_record(&reward(units + n))));
            }
            prop_assume!(at < bytes.len());
            bytes[at] ^= 1 << bit;
            let read: Vec<Reward> = Frames::new(&bytes).map_while(Result::ok).filter_map(|p| decode_record(p).ok()).collect();
            prop_assert!(read.len() < 3);
            for (n, got) in read.into_iter().enumerate() {
                prop_assert_eq!(got, reward(units + n as u32));
            }
        }

        #[test]
        fn a_cut_leaves_the_whole_frames(cut in 0usize..48) {
            let mut bytes = Vec::new();
            for n in 0..3 {
                write_frame(&mut bytes, |out| out.extend(encode_record(&reward(n))));
            }
            let each = bytes.len() / 3;
            let cut = cut.min(bytes.len());
            let mut frames = Frames::new(&bytes[..cut]);
            prop_assert_eq!(frames.by_ref().map_while(Result::ok).count(), cut / each);
            prop_assert_eq!(frames.offset(), cut / each * each);
        }
    }
}
