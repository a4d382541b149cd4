use crate::answer::{ANSWER_BYTES_MAX, Answer, ClientError, read_frame};
use crate::price_request::PriceRequest;
use crate::reply::{GetReply, PriceReply, RewardReply, RewardStatus, Status};
use crate::request::{DecisionName, Nothing, Op, RewardRequest};
use crate::wire::{FRAME_HEADER_BYTES, frame};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A client for asynchronous programs: many requests at a time over one connection, in MessagePack frames.
#[derive(Debug)]
pub struct AsyncClient {
    writer: tokio::sync::Mutex<OwnedWriteHalf>,
    open: Arc<Mutex<Open>>,
    reader: JoinHandle<()>,
}

/// The requests without an answer, by id.
#[derive(Debug, Default)]
struct Open {
    next_id: u64,
    callers: HashMap<u64, oneshot::Sender<Vec<u8>>>,
    broken: bool,
}

impl AsyncClient {
    /// Connects to the shop's socket. Has to be called inside a tokio runtime.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn connect(socket: &Path) -> io::Result<Self> {
        let (reader, writer) = UnixStream::connect(socket).await?.into_split();
        let open = Arc::new(Mutex::new(Open::default()));
        Ok(Self {
            writer: tokio::sync::Mutex::new(writer),
            reader: tokio::spawn(hand_out(reader, Arc::clone(&open))),
            open,
        })
    }

    /// Asks for one price.
    ///
    /// # Errors
    /// When the daemon refuses or the connection breaks.
    pub async fn price(&self, request: &PriceRequest) -> Result<PriceReply, ClientError> {
        self.ask(Op::Price, request).await
    }

    /// Sends one reward; it is on disk when this returns.
    ///
    /// # Errors
    /// When the daemon refuses or the connection breaks.
    pub async fn reward(&self, request: &RewardRequest) -> Result<RewardStatus, ClientError> {
        Ok(self.ask::<_, RewardReply>(Op::Reward, request).await?.status)
    }

    /// Reads a decision back.
    ///
    /// # Errors
    /// When the daemon refuses or the connection breaks.
    pub async fn get(&self, decision: &str) -> Result<GetReply, ClientError> {
        let decision = decision.to_owned();
        self.ask(Op::Get, &DecisionName { decision }).await
    }

    /// How the daemon is doing.
    ///
    /// # Errors
    /// When the daemon refuses or the connection breaks.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.ask(Op::Status, &Nothing {}).await
    }

    /// Sends a request of any kind; several may be on the way.
    ///
    /// # Errors
    /// When the daemon refuses or the connection breaks.
    pub async fn ask<B: Serialize, T: DeserializeOwned>(&self, op: Op, body: &B) -> Result<T, ClientError> {
        let (id, answer) = {
            let mut open = lock(&self.open);
            if open.broken {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            open.next_id += 1;
            let (id, (sender, answer)) = (open.next_id, oneshot::channel());
            open.callers.insert(id, sender);
            (id, answer)
        };
        let mut out = Vec::with_capacity(256);
        frame(&mut out, op as u8, id, body);
        self.writer.lock().await.write_all(&out).await?;
        let broken = |_| ClientError::Io(io::ErrorKind::UnexpectedEof.into());
        let (_, answer): (_, Answer<T>) = read_frame(&answer.await.map_err(broken)?)?;
        answer.map_err(ClientError::Refused)
    }
}

impl Drop for AsyncClient {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Reads answers and hands each to whoever waits for it, until the connection ends.
async fn hand_out(reader: OwnedReadHalf, open: Arc<Mutex<Open>>) {
    let mut reader = BufReader::with_capacity(1 << 16, reader);
    while let Ok(frame) = next_frame(&mut reader).await {
        let id = frame[2..FRAME_HEADER_BYTES]
            .first_chunk()
            .map_or(0, |id| u64::from_be_bytes(*id));
        if let Some(caller) = lock(&open).callers.remove(&id) {
            // Whoever asked may have gone.
            let _ = caller.send(frame);
        }
    }
    let mut open = lock(&open);
    open.broken = true;
    open.callers.clear();
}

async fn next_frame(reader: &mut BufReader<OwnedReadHalf>) -> io::Result<Vec<u8>> {
    let length = reader.read_u32().await? as usize;
    if !(FRAME_HEADER_BYTES..=ANSWER_BYTES_MAX).contains(&length) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut frame = vec![0; length];
    reader.read_exact(&mut frame).await?;
    Ok(frame)
}

fn lock(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}
