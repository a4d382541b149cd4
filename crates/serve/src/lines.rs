use crate::protocol::MESSAGE_BYTES_MAX;

/// Room for one read.
const READ_BYTES: usize = 32 * 1024;

/// Bytes from a socket, cut into lines. Blank lines are passed over; a line that is too long is thrown away up to its
/// end, and told of.
#[derive(Debug, Default)]
pub struct Lines {
    bytes: Vec<u8>,
    start: usize,
    /// How far the line that is begun has been searched for its end.
    searched: usize,
    skipping: bool,
}

/// What a buffer holds next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// A line, without its end.
    Line(&'a [u8]),
    /// A line was too long.
    TooLong,
    /// More bytes are needed.
    More,
}

impl Lines {
    /// Goes on with bytes that were read before it was known that they are lines.
    #[must_use]
    pub fn of(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            ..Self::default()
        }
    }

    /// Whether a line has begun that has no end yet.
    #[must_use]
    pub fn begun(&self) -> bool {
        self.start < self.bytes.len() && !self.ready()
    }

    /// Where more bytes go; what has been read is forgotten.
    pub fn space(&mut self) -> &mut Vec<u8> {
        self.bytes.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        self.bytes.reserve(READ_BYTES);
        &mut self.bytes
    }

    /// No more bytes will come: a line that is begun ends here.
    pub fn end(&mut self) {
        if self.begun() {
            self.bytes.push(b'\n');
        }
    }

    /// Whether a whole line (or the news of a long one) is waiting.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.bytes[self.searched..].contains(&b'\n') || self.bytes.len() - self.start >= MESSAGE_BYTES_MAX
    }

    /// The next line.
    pub fn next_line(&mut self) -> Next<'_> {
        loop {
            let rest = &self.bytes[self.searched..];
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                self.searched = self.bytes.len();
                if self.searched - self.start < MESSAGE_BYTES_MAX {
                    return Next::More;
                }
                self.start = self.searched;
                if std::mem::replace(&mut self.skipping, true) {
                    return Next::More;
                }
                return Next::TooLong;
            };
            let (from, end) = (self.start, self.searched + end);
            self.start = end + 1;
            self.searched = self.start;
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            if end + 1 - from > MESSAGE_BYTES_MAX {
                return Next::TooLong;
            }
            if !self.bytes[from..end].iter().all(u8::is_ascii_whitespace) {
                return Next::Line(&self.bytes[from..end]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes out when the bytes arrive in pieces of `piece` bytes.
    fn cut(bytes: &[u8], piece: usize) -> Vec<String> {
        let mut lines = Lines::default();
        let mut out = Vec::new();
        for chunk in bytes.chunks(piece) {
            lines.space().extend_from_slice(chunk);
            loop {
                match lines.next_line() {
                    Next::Line(line) => out.push(String::from_utf8_lossy(line).into_owned()),
                    Next::TooLong => out.push("too long".to_owned()),
                    Next::More => break,
                }
            }
        }
        out
    }

    #[test]
    fn lines_are_whole_however_they_arrive() {
        for piece in 1..9 {
            assert_eq!(cut(b"one\n\n \r\nfour\nfi", piece), ["one", "four"]);
        }
    }

    #[test]
    fn the_last_line_needs_no_end() {
        let mut lines = Lines::of(b"one\ntwo".to_vec());
        assert_eq!(lines.next_line(), Next::Line(b"one"));
        assert_eq!(lines.next_line(), Next::More);
        lines.end();
        assert_eq!(lines.next_line(), Next::Line(b"two"));
        lines.end();
        assert_eq!(lines.next_line(), Next::More);
    }

    #[test]
    fn a_long_line_is_told_of_once_and_the_next_one_is_read() {
        let mut bytes = vec![b'x'; 3 * MESSAGE_BYTES_MAX + 5];
        bytes.extend_from_slice(b"\nnext\n");
        for piece in [1000, 4096, MESSAGE_BYTES_MAX, bytes.len()] {
            assert_eq!(cut(&bytes, piece), ["too long", "next"], "pieces of {piece}");
        }
        let mut fits = vec![b'x'; MESSAGE_BYTES_MAX - 1];
        fits.push(b'\n');
        assert_eq!(cut(&fits, 777)[0].len(), MESSAGE_BYTES_MAX - 1);
    }
}
