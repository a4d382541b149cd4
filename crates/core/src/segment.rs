//! A segment: eight bytes that name the format, then one frame per [`Offer`]. Sealed by the daemon, read by history.
//!
//! Losses to prevent: a cut-off or damaged file taken for a shorter sound one.

use crate::Offer;
use crate::codec::{FrameError, Frames, decode_record, encode_record, write_frame};

/// The first bytes of every segment.
pub const SEGMENT_MAGIC: [u8; 8] = *b"HAGGLES1";
/// How the name of a segment file ends.
pub const SEGMENT_EXTENSION: &str = "seg";

/// Why bytes are no sound segment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// The file does not begin as a segment does.
    #[error("not a segment: the first 8 bytes are not `HAGGLES1`")]
    Magic,
    /// A frame is torn, damaged, of another version, or no offer.
    #[error("byte {byte}, after {sound} sound records")]
    Record {
        /// Records before the damage.
        sound: usize,
        /// Where in the file the unsound frame begins.
        byte: usize,
        /// What is wrong with it.
        source: FrameError,
    },
}

/// A whole segment as bytes.
#[must_use]
pub fn write_segment(offers: &[Offer]) -> Vec<u8> {
    let mut bytes = SEGMENT_MAGIC.to_vec();
    for offer in offers {
        write_frame(&mut bytes, |bytes| bytes.extend(encode_record(offer)));
    }
    bytes
}

/// The offers of a segment, in the order in which they were written.
///
/// # Errors
/// When the bytes are no segment, or any frame of it is unsound: a segment is read whole or not at all.
pub fn read_segment(bytes: &[u8]) -> Result<Vec<Offer>, SegmentError> {
    if !bytes.starts_with(&SEGMENT_MAGIC) {
        return Err(SegmentError::Magic);
    }
    let mut offers = Vec::new();
    let mut frames = Frames::starting_at(bytes, SEGMENT_MAGIC.len());
    loop {
        let byte = frames.offset();
        let Some(frame) = frames.next() else {
            return Ok(offers);
        };
        let offer = frame
            .and_then(decode_record)
            .map_err(|source| SegmentError::Record {
                sound: offers.len(),
                byte,
                source,
            })?;
        offers.push(offer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DecisionId, Digest, Logged, Mask, Pmf, PriceMinor};

    fn offer(units: u32) -> Offer {
        Offer {
            session: "s1".into(),
            user: Some("u1".into()),
            category: "MILK".into(),
            item: "4711".into(),
            time_s: 1_483_228_800,
            price_minor: PriceMinor(199),
            posted_minor: PriceMinor(209),
            units,
            value_minor: i64::from(units) * 199,
            censored: false,
            logged: Some(Logged {
                decision: DecisionId("d1".into()),
                policy: Digest::of(b"policy"),
                mask: Mask::all(3),
                pmf: Pmf::certain(3, 1),
                rung: 1,
                features: vec![0.5, -1.0],
            }),
        }
    }

    #[test]
    fn a_segment_reads_back_as_written() {
        let offers: Vec<Offer> = (0..3).map(offer).collect();
        assert_eq!(read_segment(&write_segment(&offers)), Ok(offers));
        assert_eq!(read_segment(&write_segment(&[])), Ok(Vec::new()));
    }

    #[test]
    fn every_cut_between_two_records_is_seen() {
        let bytes = write_segment(&[offer(0), offer(1)]);
        let second = write_segment(&[offer(0)]).len();
        for cut in second + 1..bytes.len() {
            let error = read_segment(&bytes[..cut]).expect_err("cut off");
            assert_eq!(
                error,
                SegmentError::Record {
                    sound: 1,
                    byte: second,
                    source: FrameError::Torn { offset: second }
                }
            );
        }
        assert_eq!(read_segment(&bytes[..5]), Err(SegmentError::Magic));
    }
}
