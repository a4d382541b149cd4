use super::frame::{Frame, PREFIX_BYTES};
use super::volume::HEADER_BYTES;
use haggle_core::{FRAME_BYTES_MAX, Frames};

const FRAME_HEADER_BYTES: usize = 8;

/// A stretch of a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A sound frame, and the byte that it begins at.
    Sound(usize, Frame<'a>),
    /// Bytes that are no frame, from here to the next sound one or to the end.
    Damage(usize),
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

#[cfg(test)]
mod tests {
    use super::super::chain::origin;
    use super::super::frame::{Entry, SALT_BYTES};
    use super::super::volume::Header;
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
}
