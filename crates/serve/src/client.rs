use crate::admin::AdminRequest;
use crate::answer::{ANSWER_BYTES_MAX, Answer, ClientError, read_frame, read_line};
use crate::explain::Card;
use crate::price_request::PriceRequest;
use crate::reply::{
    GetReply, HelloReply, PriceReply, RewardReply, RewardResult, RewardStatus, RewardsReply, StageReply,
    Status,
};
use crate::request::{DecisionName, HelloRequest, Nothing, Op, RewardRequest, RewardsRequest};
use crate::wire::{Encoding, frame};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Requests on the way at a time: their bytes fit into the socket's buffers, so that neither side waits for the other.
const WINDOW: usize = 64;

/// A blocking client of the daemon's sockets.
#[derive(Debug)]
pub struct Client {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
    encoding: Encoding,
    next_id: u64,
    out: Vec<u8>,
    buffer: Vec<u8>,
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

impl Client {
    /// Connects to a daemon's socket, to speak JSON lines: the shop's, or the operator's ([`crate::admin_path`]).
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn connect(socket: &Path) -> io::Result<Self> {
        Self::speaking(socket, Encoding::Json)
    }

    /// Connects to the shop's socket, to speak MessagePack frames: shorter and faster.
    ///
    /// # Errors
    /// When nobody listens there.
    pub fn connect_packed(socket: &Path) -> io::Result<Self> {
        Self::speaking(socket, Encoding::MessagePack)
    }

    fn speaking(socket: &Path, encoding: Encoding) -> io::Result<Self> {
        let writer = UnixStream::connect(socket)?;
        Ok(Self {
            reader: BufReader::with_capacity(1 << 16, writer.try_clone()?),
            writer,
            encoding,
            next_id: 1,
            out: Vec::new(),
            buffer: Vec::new(),
        })
    }

    /// Asks who is there.
    ///
    /// # Errors
    /// When the daemon refuses or the connection breaks.
    pub fn hello(&mut self) -> Result<HelloReply, ClientError> {
        self.one(Op::Hello, &HelloRequest::default())
    }

    /// Asks for one price.
    ///
    /// # Errors
    /// When the daemon refuses or the connection breaks.
    pub fn price(&mut self, request: &PriceRequest) -> Result<PriceReply, ClientError> {
        self.one(Op::Price, request)
    }

    /// Asks for many prices at a time; answers are in the order of the requests.
    ///
    /// # Errors
    /// When the connection breaks; refusals are answers.
    pub fn prices(&mut self, requests: &[PriceRequest]) -> Result<Vec<Answer<PriceReply>>, ClientError> {
        self.many(Op::Price, requests)
    }

    /// Sends one reward; it is on disk when this returns.
    ///
    /// # Errors
    /// When the daemon refuses or the connection breaks.
    pub fn reward(&mut self, request: &RewardRequest) -> Result<RewardStatus, ClientError> {
        Ok(self.one::<_, RewardReply>(Op::Reward, request)?.status)
    }

    /// Sends many rewards at a time; answers are in the order of the requests, and those of the kind `Ok` are on disk.
    ///
    /// # Errors
    /// When the connection breaks; refusals are answers.
    pub fn rewards(&mut self, requests: &[RewardRequest]) -> Result<Vec<Answer<RewardStatus>>, ClientError> {
        let replies = self.many::<_, RewardReply>(Op::Reward, requests)?;
        let status = |reply: Answer<RewardReply>| reply.map(|reply| reply.status);
        Ok(replies.into_iter().map(status).collect())
    }

    /// Sends up to [`crate::BATCH_MAX`] rewards as one request.
    ///
    /// # Errors
    /// When the daemon refuses the batch or the connection breaks; what became of each reward is an answer.
    pub fn batch(&mut self, rewards: &[RewardRequest]) -> Result<Vec<RewardResult>, ClientError> {
        let rewards = rewards.to_vec();
        Ok(self
            .one::<_, RewardsReply>(Op::Rewards, &RewardsRequest { rewards })?
            .results)
    }

    /// Reads a decision back.
    ///
    /// # Errors
    /// When the daemon refuses or the connection breaks.
    pub fn get(&mut self, decision: &str) -> Result<GetReply, ClientError> {
        self.about(Op::Get, decision)
    }

    /// A deferred decision was shown.
    ///
    /// # Errors
    /// When the daemon refuses or the connection breaks.
    pub fn activate(&mut self, decision: &str) -> Result<StageReply, ClientError> {
        self.about(Op::Activate, decision)
    }

    /// A price was not shown after all.
    ///
    /// # Errors
    /// When the daemon refuses or the connection breaks.
    pub fn cancel(&mut self, decision: &str) -> Result<StageReply, ClientError> {
        self.about(Op::Cancel, decision)
    }

    /// The session put the item into its cart.
    ///
    /// # Errors
    /// When the daemon refuses or the connection breaks.
    pub fn cart(&mut self, decision: &str) -> Result<StageReply, ClientError> {
        self.about(Op::Cart, decision)
    }

    /// Asks why a price is what it is.
    ///
    /// # Errors
    /// When the daemon refuses or the connection breaks.
    pub fn explain(&mut self, decision: &str) -> Result<Card, ClientError> {
        self.about(Op::Explain, decision)
    }

    /// How the daemon is doing.
    ///
    /// # Errors
    /// When the daemon refuses or the connection breaks.
    pub fn status(&mut self) -> Result<Status, ClientError> {
        self.one(Op::Status, &Nothing {})
    }

    /// Asks something on the operator's socket, which speaks JSON lines only.
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

    /// Asks something about one decision; `T` is read from the whole answer.
    ///
    /// # Errors
    /// When the daemon refuses or the connection breaks.
    pub fn about<T: DeserializeOwned>(&mut self, op: Op, decision: &str) -> Result<T, ClientError> {
        let decision = decision.to_owned();
        self.one(op, &DecisionName { decision })
    }

    fn one<B: Serialize, T: DeserializeOwned>(&mut self, op: Op, body: &B) -> Result<T, ClientError> {
        self.out.clear();
        self.put(op, body)?;
        self.writer.write_all(&self.out)?;
        self.read()?.1.map_err(ClientError::Refused)
    }

    fn many<B: Serialize, T: DeserializeOwned>(
        &mut self,
        op: Op,
        bodies: &[B],
    ) -> Result<Vec<Answer<T>>, ClientError> {
        let mut answers = Vec::with_capacity(bodies.len());
        for window in bodies.chunks(WINDOW) {
            let first = self.next_id;
            self.out.clear();
            for body in window {
                self.put(op, body)?;
            }
            self.writer.write_all(&self.out)?;
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

    fn put<B: Serialize>(&mut self, op: Op, body: &B) -> Result<(), ClientError> {
        let id = self.take_id();
        match self.encoding {
            Encoding::MessagePack => frame(&mut self.out, op as u8, id, body),
            Encoding::Json => {
                let op = op.name();
                serde_json::to_writer(&mut self.out, &Line { id, op, body })?;
                self.out.push(b'\n');
            }
        }
        Ok(())
    }

    fn read<T: DeserializeOwned>(&mut self) -> Result<(Option<u64>, Answer<T>), ClientError> {
        self.buffer.clear();
        match self.encoding {
            Encoding::Json => {
                if self.reader.read_until(b'\n', &mut self.buffer)? == 0 {
                    return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                }
                read_line(&self.buffer)
            }
            Encoding::MessagePack => {
                let mut length = [0; 4];
                self.reader.read_exact(&mut length)?;
                let length = u32::from_be_bytes(length) as usize;
                if length > ANSWER_BYTES_MAX {
                    return Err(ClientError::Frame(format!("it has {length} bytes")));
                }
                self.buffer.resize(length, 0);
                self.reader.read_exact(&mut self.buffer)?;
                read_frame(&self.buffer)
            }
        }
    }

    fn take_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }
}
