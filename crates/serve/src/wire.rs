//! Requests from bytes and replies to bytes, in both encodings.
//!
//! A frame is `length: u32 BE | version: u8 = 1 | type: u8 | id: u64 BE | body: one MessagePack map`. Types of requests are the
//! numbers of [`Op`]; a reply has the type of its request plus 128, a refusal 255.

use crate::envelope::Envelope;
use crate::protocol::{MESSAGE_BYTES_MAX, RequestId};
use crate::refusal::{Code, Refusal};
use crate::reply::Reply;
use crate::request::{Nothing, Op, Request};
use crate::strict::Strict;
use rmp_serde::decode;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

/// The version of a frame.
pub const FRAME_VERSION: u8 = 1;
/// Bytes of a frame between its length and its body.
pub const FRAME_HEADER_BYTES: usize = 10;
/// Added to a request's type in its reply.
pub const REPLY_TYPE: u8 = 128;
/// The type of a refusal.
pub const REFUSAL_TYPE: u8 = 255;

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// One object a line.
    Json,
    /// Frames around maps.
    MessagePack,
}

/// Who is answered: the id, and the type that a reply to it has.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Caller {
    pub id: Option<RequestId>,
    reply_type: u8,
}

/// The refusal of a request, and who asked, as far as that is known.
type Refused = (Caller, Refusal);

#[derive(Serialize)]
struct Line<'a, T> {
    id: &'a Option<RequestId>,
    ok: bool,
    #[serde(flatten)]
    body: &'a T,
}

impl Encoding {
    /// The encoding of a connection whose first byte this is: printable ASCII and white space begin a line, everything else
    /// the length of a frame.
    pub fn of(first: u8) -> Self {
        if first.is_ascii_graphic() || first.is_ascii_whitespace() {
            Self::Json
        } else {
            Self::MessagePack
        }
    }

    /// Reads one request.
    pub fn read(self, message: &[u8]) -> Result<(Caller, Request), Refused> {
        match self {
            Self::Json => read_line(message),
            Self::MessagePack => read_frame(message),
        }
    }

    /// Appends one reply.
    pub fn write(self, out: &mut Vec<u8>, caller: &Caller, reply: &Result<Reply, Refusal>) {
        match (self, reply) {
            (Self::Json, Ok(body)) => write_line(out, &caller.id, true, body),
            (Self::Json, Err(refusal)) => write_line(out, &caller.id, false, refusal),
            (Self::MessagePack, Ok(body)) => write_frame(out, caller.reply_type, &caller.id, body),
            (Self::MessagePack, Err(refusal)) => write_frame(out, REFUSAL_TYPE, &caller.id, refusal),
        }
    }

    /// The refusal of a message that is too long.
    pub fn too_long(self, length: u32) -> Refusal {
        match self {
            Self::Json => {
                let message = format!("a line has at most {MESSAGE_BYTES_MAX} bytes");
                Refusal::new(Code::LineTooLong, message)
            }
            Self::MessagePack => {
                let message = format!("a frame of {length} bytes; it has at most {MESSAGE_BYTES_MAX}");
                Refusal::new(Code::FrameTooLong, message)
            }
        }
    }
}

impl Caller {
    /// Nobody in particular.
    pub const NOBODY: Self = Self {
        id: None,
        reply_type: 0,
    };

    pub fn new(id: Option<RequestId>, op: Op) -> Self {
        let reply_type = REPLY_TYPE + op as u8;
        Self { id, reply_type }
    }
}

fn read_line(line: &[u8]) -> Result<(Caller, Request), Refused> {
    let mut envelope = Envelope::read(line).map_err(|refusal| (Caller::NOBODY, refusal))?;
    let Some(op) = Op::named(&envelope.op) else {
        let refusal = envelope.unknown_op(&Op::ALL.map(Op::name).join(", "));
        return Err((
            Caller {
                id: envelope.id,
                reply_type: 0,
            },
            refusal,
        ));
    };
    let caller = Caller::new(envelope.id.take(), op);
    match request(op, Body::Json(&envelope, line)) {
        Ok(request) => Ok((caller, request)),
        Err(refusal) => Err((caller, refusal)),
    }
}

fn read_frame(frame: &[u8]) -> Result<(Caller, Request), Refused> {
    let bad = |what: String| (Caller::NOBODY, Refusal::new(Code::BadFrame, what));
    let Some((header, body)) = frame.split_first_chunk::<FRAME_HEADER_BYTES>() else {
        return Err(bad(format!(
            "a frame of {} bytes; its header alone has {FRAME_HEADER_BYTES}",
            frame.len()
        )));
    };
    let [version, kind, id @ ..] = *header;
    let id = Some(RequestId::Number(u64::from_be_bytes(id)));
    let nobody = Caller {
        id: id.clone(),
        reply_type: 0,
    };
    if version != FRAME_VERSION {
        let message = format!("a frame of version {version}; this daemon reads version {FRAME_VERSION}");
        return Err((nobody, Refusal::new(Code::Version, message)));
    }
    let Some(op) = Op::of_type(kind) else {
        let message = format!("there is no operation of type {kind}");
        return Err((nobody, Refusal::new(Code::UnknownOp, message)));
    };
    let caller = Caller::new(id, op);
    match request(op, Body::MessagePack(body)) {
        Ok(request) => Ok((caller, request)),
        Err(refusal) => Err((caller, refusal)),
    }
}

/// What follows the head of a request.
enum Body<'a> {
    Json(&'a Envelope<'a>, &'a [u8]),
    MessagePack(&'a [u8]),
}

impl Body<'_> {
    fn read<T: DeserializeOwned>(self) -> Result<T, Refusal> {
        let bytes = match self {
            Self::Json(envelope, line) => return envelope.body(line),
            Self::MessagePack(bytes) => bytes,
        };
        let mut packed = rmp_serde::Deserializer::from_read_ref(bytes);
        let value = T::deserialize(Strict::beside(&mut packed, &[])).map_err(|error| {
            // Whether the bytes are to blame the error of a field says no more.
            match IgnoredAny::deserialize(&mut rmp_serde::Deserializer::from_read_ref(bytes)) {
                Err(broken @ (decode::Error::InvalidMarkerRead(_) | decode::Error::InvalidDataRead(_))) => {
                    Refusal::new(Code::BadFrame, broken.to_string())
                }
                _ => Refusal::new(Code::BadRequest, error.to_string()),
            }
        })?;
        // The reader does not say where it stands: at the end there is no marker to be read.
        match IgnoredAny::deserialize(&mut packed) {
            Err(decode::Error::InvalidMarkerRead(_)) => Ok(value),
            _ => Err(Refusal::new(Code::BadFrame, "something follows the body")),
        }
    }
}

fn request(op: Op, body: Body<'_>) -> Result<Request, Refusal> {
    Ok(match op {
        Op::Hello => Request::Hello(body.read()?),
        Op::Price => Request::Price(Box::new(body.read()?)),
        Op::Reward => Request::Reward(body.read()?),
        Op::Rewards => Request::Rewards(body.read()?),
        Op::Status => {
            body.read::<Nothing>()?;
            Request::Status
        }
        Op::Activate | Op::Get | Op::Cancel | Op::Cart | Op::Explain => Request::Decision(op, body.read()?),
    })
}

/// Appends one line.
pub(crate) fn write_line<T: Serialize>(out: &mut Vec<u8>, id: &Option<RequestId>, ok: bool, body: &T) {
    let start = out.len();
    if serde_json::to_writer(&mut *out, &Line { id, ok, body }).is_err() {
        out.truncate(start);
        out.extend_from_slice(
            br#"{"id":null,"ok":false,"code":"bad_request","message":"the reply cannot be written"}"#,
        );
    }
    out.push(b'\n');
}

fn write_frame<T: Serialize>(out: &mut Vec<u8>, kind: u8, id: &Option<RequestId>, body: &T) {
    let id = match id {
        Some(RequestId::Number(id)) => *id,
        Some(RequestId::Text(_)) | None => 0,
    };
    frame(out, kind, id, body);
}

/// Appends one frame.
pub(crate) fn frame<T: Serialize>(out: &mut Vec<u8>, kind: u8, id: u64, body: &T) {
    let start = out.len();
    out.extend_from_slice(&[0, 0, 0, 0, FRAME_VERSION, kind]);
    out.extend_from_slice(&id.to_be_bytes());
    let mut packer = rmp_serde::Serializer::new(&mut *out)
        .with_struct_map()
        .with_human_readable();
    // Writing into memory cannot fail, and no message has a part that MessagePack cannot hold.
    let _ = body.serialize(&mut packer);
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}
