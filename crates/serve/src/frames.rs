use crate::protocol::MESSAGE_BYTES_MAX;

/// Room for one read.
const READ_BYTES: usize = 32 * 1024;
const LENGTH_BYTES: usize = 4;

/// Bytes from a socket, cut into frames: a length (u32, big endian), then that many bytes.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    bytes: Vec<u8>,
    start: usize,
}

/// What a buffer holds next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NextFrame<'a> {
    /// A frame, without its length.
    Frame(&'a [u8]),
    /// The length is impossible; where the next frame begins is not known.
    TooLong(u32),
    /// More bytes are needed.
    More,
}

impl Frames {
    /// Goes on with bytes that were read before it was known that they are frames.
    pub fn of(bytes: Vec<u8>) -> Self {
        Self { bytes, start: 0 }
    }

    /// Where more bytes go; what has been read is forgotten.
    pub fn space(&mut self) -> &mut Vec<u8> {
        self.bytes.drain(..self.start);
        self.start = 0;
        self.bytes.reserve(READ_BYTES);
        &mut self.bytes
    }

    /// Whether a whole frame (or an impossible length) is waiting.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.length().is_some_and(|length| {
            length > MESSAGE_BYTES_MAX || self.bytes.len() - self.start >= LENGTH_BYTES + length
        })
    }

    /// Whether a frame has begun.
    #[must_use]
    pub fn begun(&self) -> bool {
        self.start < self.bytes.len()
    }

    /// The next frame.
    pub fn next_frame(&mut self) -> NextFrame<'_> {
        let Some(length) = self.length() else {
            return NextFrame::More;
        };
        if length > MESSAGE_BYTES_MAX {
            return NextFrame::TooLong(length as u32);
        }
        let from = self.start + LENGTH_BYTES;
        if self.bytes.len() < from + length {
            return NextFrame::More;
        }
        self.start = from + length;
        NextFrame::Frame(&self.bytes[from..self.start])
    }

    fn length(&self) -> Option<usize> {
        let length = self.bytes[self.start..].first_chunk::<LENGTH_BYTES>()?;
        Some(u32::from_be_bytes(*length) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_whole_wherever_they_are_cut() {
        let mut bytes = Vec::new();
        for frame in [&b"one"[..], b"", b"three"] {
            bytes.extend_from_slice(&(frame.len() as u32).to_be_bytes());
            bytes.extend_from_slice(frame);
        }
        for cut in 0..=bytes.len() {
            let mut frames = Frames::default();
            let mut out = Vec::new();
            for piece in [&bytes[..cut], &bytes[cut..]] {
                frames.space().extend_from_slice(piece);
                while let NextFrame::Frame(frame) = frames.next_frame() {
                    out.push(frame.to_vec());
                }
            }
            assert_eq!(out, [&b"one"[..], b"", b"three"], "cut at {cut}");
            assert!(!frames.begun() && !frames.ready());
        }
    }

    #[test]
    fn an_impossible_length_takes_no_memory() {
        for length in [MESSAGE_BYTES_MAX as u32 + 1, u32::MAX] {
            let mut frames = Frames::of(length.to_be_bytes().to_vec());
            assert!(frames.ready());
            assert_eq!(frames.next_frame(), NextFrame::TooLong(length));
            assert!(frames.space().capacity() < 2 * READ_BYTES);
        }
    }
}
