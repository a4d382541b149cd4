use crate::frames::{Frames, NextFrame};
use crate::lines::{Lines, Next};
use crate::protocol::MESSAGE_BYTES_MAX;
use crate::wire::Encoding;

/// What a client has sent and nobody has answered. Its first byte says in which encoding it speaks.
#[derive(Debug)]
pub(crate) enum Inbox {
    /// Nothing has come yet.
    Silent(Vec<u8>),
    /// One JSON object a line.
    Lines(Lines),
    /// MessagePack in frames.
    Frames(Frames),
}

/// What an inbox holds next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message<'a> {
    /// A whole message.
    Whole(&'a [u8], Encoding),
    /// A message that is too long, and how long it said it is. Lines go on with the next one, frames cannot.
    TooLong(u32, Encoding),
    /// More bytes are needed.
    More,
}

impl Default for Inbox {
    fn default() -> Self {
        Self::Silent(Vec::new())
    }
}

impl Inbox {
    /// Where more bytes go.
    pub fn space(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Silent(bytes) => {
                bytes.reserve(MESSAGE_BYTES_MAX / 2);
                bytes
            }
            Self::Lines(lines) => lines.space(),
            Self::Frames(frames) => frames.space(),
        }
    }

    /// The encoding, once it is known; JSON before.
    pub fn encoding(&self) -> Encoding {
        match self {
            Self::Silent(_) | Self::Lines(_) => Encoding::Json,
            Self::Frames(_) => Encoding::MessagePack,
        }
    }

    /// Whether a whole message (or the news of a long one) is waiting.
    pub fn ready(&self) -> bool {
        match self {
            Self::Silent(bytes) => !bytes.is_empty(),
            Self::Lines(lines) => lines.ready(),
            Self::Frames(frames) => frames.ready(),
        }
    }

    /// No more bytes will come: a line that is begun ends here. A frame that is not whole never will be.
    pub fn end(&mut self) {
        match self {
            Self::Silent(bytes) => match bytes.first() {
                Some(first) if Encoding::of(*first) == Encoding::Json => bytes.push(b'\n'),
                _ => {}
            },
            Self::Lines(lines) => lines.end(),
            Self::Frames(_) => {}
        }
    }

    /// Whether a message has begun that is not whole.
    pub fn begun(&self) -> bool {
        match self {
            Self::Silent(_) => false,
            Self::Lines(lines) => lines.begun(),
            Self::Frames(frames) => frames.begun() && !frames.ready(),
        }
    }

    /// The next message.
    pub fn next(&mut self) -> Message<'_> {
        if let Self::Silent(bytes) = self {
            let Some(first) = bytes.first() else {
                return Message::More;
            };
            *self = match Encoding::of(*first) {
                Encoding::Json => Self::Lines(Lines::of(std::mem::take(bytes))),
                Encoding::MessagePack => Self::Frames(Frames::of(std::mem::take(bytes))),
            };
        }
        match self {
            Self::Silent(_) => Message::More,
            Self::Lines(lines) => match lines.next_line() {
                Next::Line(line) => Message::Whole(line, Encoding::Json),
                Next::TooLong => Message::TooLong(0, Encoding::Json),
                Next::More => Message::More,
            },
            Self::Frames(frames) => match frames.next_frame() {
                NextFrame::Frame(frame) => Message::Whole(frame, Encoding::MessagePack),
                NextFrame::TooLong(length) => Message::TooLong(length, Encoding::MessagePack),
                NextFrame::More => Message::More,
            },
        }
    }
}
