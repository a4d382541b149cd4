use crate::protocol::MESSAGE_BYTES_MAX;
use crate::refusal::Refusal;
use crate::wire::{FRAME_HEADER_BYTES, FRAME_VERSION, REFUSAL_TYPE};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::io;

/// Longest answer that is read: far above any that a daemon gives.
pub(crate) const ANSWER_BYTES_MAX: usize = 16 * MESSAGE_BYTES_MAX;

/// What the daemon said to one request.
pub type Answer<T> = Result<T, Refusal>;

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The daemon said no.
    #[error("{} ({})", .0.message, .0.code)]
    Refused(Refusal),
    /// The connection broke.
    #[error("the connection to the daemon broke")]
    Io(#[from] io::Error),
    /// The answer cannot be understood.
    #[error("the daemon's answer cannot be understood")]
    Answer(#[from] serde_json::Error),
    /// The answer's frame cannot be understood.
    #[error("the daemon's answer cannot be understood: {0}")]
    Frame(String),
}

impl ClientError {
    /// The refusal, if the daemon said no.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Io(_) | Self::Answer(_) | Self::Frame(_) => None,
        }
    }
}

#[derive(Deserialize)]
struct Head {
    id: Option<u64>,
    ok: bool,
}

/// The id of an answer line, and the answer.
pub(crate) fn read_line<T: DeserializeOwned>(line: &[u8]) -> Result<(Option<u64>, Answer<T>), ClientError> {
    let head: Head = serde_json::from_slice(line)?;
    let answer = if head.ok {
        Ok(serde_json::from_slice(line)?)
    } else {
        Err(serde_json::from_slice(line)?)
    };
    Ok((head.id, answer))
}

/// The id of an answer frame, and the answer.
pub(crate) fn read_frame<T: DeserializeOwned>(frame: &[u8]) -> Result<(Option<u64>, Answer<T>), ClientError> {
    let unsound = |what: &str| ClientError::Frame(what.to_owned());
    let (header, body) = frame
        .split_first_chunk::<FRAME_HEADER_BYTES>()
        .ok_or_else(|| unsound("it is too short"))?;
    let [version, kind, id @ ..] = *header;
    if version != FRAME_VERSION {
        return Err(unsound("it has another version"));
    }
    let answer = match kind {
        REFUSAL_TYPE => Err(unpack(body)?),
        _ => Ok(unpack(body)?),
    };
    Ok((Some(u64::from_be_bytes(id)), answer))
}

fn unpack<T: DeserializeOwned>(body: &[u8]) -> Result<T, ClientError> {
    let mut packed = rmp_serde::Deserializer::from_read_ref(body).with_human_readable();
    T::deserialize(&mut packed).map_err(|error| ClientError::Frame(error.to_string()))
}
