use crate::admin::AdminRequest;
use crate::engine::Status;
use crate::protocol::{
    GetReply, GetRequest, PriceReply, PriceRequest, Refusal, RewardReply, RewardRequest, RewardStatus,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Requests on the way at a time: their bytes fit into the socket's buffers, so that neither side waits for the other.
const WINDOW: usize = 64;

/// A blocking client of the daemon's sockets.
#[derive(Debug)]
pub struct Client {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
    next_id: u64,
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The daemon said no.
    #[error("{} ({:?})", .0.message, .0.code)]
    Refused(Refusal),
    /// The connection broke.
    #[error("the connection to the daemon broke")]
    Io(#[from] io::Error),
    /// The answer cannot be understood.
    #[error("the daemon's answer cannot be understood")]
    Answer(#[from] serde_json::Error),
}

#[derive(Serialize)]
struct Line<'a, T> {
    id: u64,
    op: &'a str,
    #[serde(flatten)]
    body: &'a T,
}

#[derive(Serialize)]
struct AdminLine<'a> {
    id: u64,
    #[serde(flatten)]
    body: &'a AdminRequest,
}

#[derive(Deserialize)]
struct Head {
    id: Option<u64>,
    ok: bool,
}

type Answer<T> = Result<T, Refusal>;

impl Client {
    /// Connects to a daemon's socket: the shop's, or the operator's ([`crate::admin_path`]).
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn connect(socket: &Path) -> io::Result<Self> {
        let writer = UnixStream::connect(socket)?;
        Ok(Self {
            reader: BufReader::with_capacity(1 << 16, writer.try_clone()?),
            writer,
            next_id: 1,
        })
    }

    /// Asks for one price.
    ///
    /// # Errors
    /// When the daemon refuses or the connection breaks.
    pub fn price(&mut self, request: &PriceRequest) -> Result<PriceReply, ClientError> {
        self.one("price", request)
    }

    /// Asks for many prices at a time; answers are in the order of the requests.
    ///
    /// # Errors
    /// When the connection breaks; refusals are answers.
    pub fn prices(&mut self, requests: &[PriceRequest]) -> Result<Vec<Answer<PriceReply>>, ClientError> {
        self.many("price", requests)
    }

    /// Sends one reward; it is on disk when this returns.
    ///
    /// # Errors
    /// When the daemon refuses or the connection breaks.
    pub fn reward(&mut self, request: &RewardRequest) -> Result<RewardStatus, ClientError> {
        Ok(self.one::<_, RewardReply>("reward", request)?.status)
    }

    /// Sends many rewards at a time; answers are in the order of the requests, and those of the kind `Ok` are on disk.
    ///
    /// # Errors
    /// When the connection breaks; refusals are answers.
    pub fn rewards(&mut self, requests: &[RewardRequest]) -> Result<Vec<Answer<RewardStatus>>, ClientError> {
        let replies = self.many::<_, RewardReply>("reward", requests)?;
        Ok(replies
            .into_iter()
            .map(|reply| reply.map(|reply| reply.status))
            .collect())
    }

    /// Reads a decision back.
    ///
    /// # Errors
    /// When the daemon refuses or the connection breaks.
    pub fn get(&mut self, decision: &str) -> Result<GetReply, ClientError> {
        let decision = decision.to_owned();
        self.one("get", &GetRequest { decision })
    }

    /// How the daemon is doing.
    ///
    /// # Errors
    /// When the daemon refuses or the connection breaks.
    pub fn status(&mut self) -> Result<Status, ClientError> {
        self.one("status", &serde_json::Map::new())
    }

    /// Asks something on the operator's socket.
    ///
    /// # Errors
    /// When the daemon refuses or the connection breaks.
    pub fn admin<T: DeserializeOwned>(&mut self, request: &AdminRequest) -> Result<T, ClientError> {
        let id = self.take_id();
        let mut out = serde_json::to_vec(&AdminLine { id, body: request })?;
        out.push(b'\n');
        self.writer.write_all(&out)?;
        self.read()?.1.map_err(ClientError::Refused)
    }

    fn one<B: Serialize, T: DeserializeOwned>(&mut self, op: &str, body: &B) -> Result<T, ClientError> {
        let mut replies = self.many(op, std::slice::from_ref(body))?;
        let reply = replies
            .pop()
            .ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        reply.map_err(ClientError::Refused)
    }

    fn many<B: Serialize, T: DeserializeOwned>(
        &mut self,
        op: &str,
        bodies: &[B],
    ) -> Result<Vec<Answer<T>>, ClientError> {
        let mut answers = Vec::with_capacity(bodies.len());
        for window in bodies.chunks(WINDOW) {
            let first = self.next_id;
            let mut out = Vec::with_capacity(window.len() * 256);
            for body in window {
                let id = self.take_id();
                serde_json::to_writer(&mut out, &Line { id, op, body })?;
                out.push(b'\n');
            }
            self.writer.write_all(&out)?;
            let mut by_id = HashMap::with_capacity(window.len());
            for _ in window {
                let (id, answer) = self.read()?;
                by_id.insert(id, answer);
            }
            for id in first..self.next_id {
                answers.extend(by_id.remove(&Some(id)));
            }
        }
        Ok(answers)
    }

    fn read<T: DeserializeOwned>(&mut self) -> Result<(Option<u64>, Answer<T>), ClientError> {
        let mut line = Vec::new();
        if self.reader.read_until(b'\n', &mut line)? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let head: Head = serde_json::from_slice(&line)?;
        let answer = if head.ok {
            Ok(serde_json::from_slice(&line)?)
        } else {
            Err(serde_json::from_slice(&line)?)
        };
        Ok((head.id, answer))
    }

    fn take_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }
}

impl ClientError {
    /// The refusal, if the daemon said no.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Io(_) | Self::Answer(_) => None,
        }
    }
}
