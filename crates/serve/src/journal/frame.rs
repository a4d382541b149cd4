use super::volume::{digest_at, u64_at};
use haggle_core::{Digest, write_frame};

/// Bytes of a salt.
pub const SALT_BYTES: usize = 16;
/// Number, place in the batch, kind.
pub const PREFIX_BYTES: usize = 11;

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
        write_frame(out, |out| {
            out.extend_from_slice(&self.number.to_le_bytes());
            out.extend_from_slice(&self.place.to_le_bytes());
            match &self.entry {
                Entry::Record { salt, record } => {
                    out.push(0);
                    out.extend_from_slice(salt);
                    out.extend_from_slice(record);
                }
                Entry::Erased(digest) => {
                    out.push(1);
                    out.extend_from_slice(digest.as_bytes());
                }
                Entry::Lost(next) => {
                    out.push(2);
                    out.extend_from_slice(&next.to_le_bytes());
                }
                Entry::Seal(chain) => {
                    out.push(3);
                    out.extend_from_slice(chain.as_bytes());
                }
            }
        });
    }

    /// The frame of a payload, if it is one.
    #[must_use]
    pub fn read(payload: &'a [u8]) -> Option<Self> {
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

#[cfg(test)]
mod tests {
    use super::super::chain::{link, origin};
    use super::*;
    use haggle_core::encode_record;

    #[test]
    fn the_bytes_of_frames_are_pinned() {
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
            write_frame(&mut expected, |out| out.extend_from_slice(&payload));
            assert_eq!(bytes, expected);
            assert_eq!(Frame::read(&payload), Some(frame));
        }
    }

    #[test]
    fn an_erased_record_leaves_the_chain_as_it_was() {
        let record = encode_record(&"somebody");
        let kept = Entry::Record {
            salt: [7; SALT_BYTES],
            record: &record,
        };
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
