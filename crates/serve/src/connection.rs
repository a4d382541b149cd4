use crate::dispatch::{Outcome, dispatch};
use crate::engine::Engine;
use crate::inbox::{Inbox, Message};
use crate::protocol::MESSAGE_BYTES_MAX;
use crate::refusal::{Code, Refusal};
use crate::reply::Reply;
use crate::waiting::Waiting;
use crate::wire::{Caller, Encoding};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::watch;

/// Messages answered before other connections get their turn.
const MESSAGES_PER_TURN: usize = 32;
/// Replies of one connection that may wait; then its messages wait.
const WAITING_MAX: usize = 1024;
/// A message that is begun has to be whole after this long.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(5);
/// A client that takes no bytes for this long is left.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a client is not read when more is decided than the disk can take; nobody is refused for it.
const BEHIND_PAUSE: Duration = Duration::from_millis(1);

/// One client: its messages in, its replies out. Prices are answered at once; a reward when it is on disk.
pub(crate) struct Connection<'a> {
    engine: &'a Arc<Engine>,
    inbox: Inbox,
    out: Vec<u8>,
    waiting: VecDeque<Waiting>,
    /// When the last bytes came.
    since: Instant,
    /// When the message that is begun was begun.
    begun: Option<Instant>,
    broken: bool,
}

impl<'a> Connection<'a> {
    /// A connection that has not said anything.
    pub fn new(engine: &'a Arc<Engine>) -> Self {
        Self {
            engine,
            inbox: Inbox::default(),
            out: Vec::new(),
            waiting: VecDeque::new(),
            since: Instant::now(),
            begun: None,
            broken: false,
        }
    }

    /// Serves the client until it hangs up or the daemon stops; then what has arrived is still answered.
    ///
    /// # Errors
    /// When the client cannot be read or written.
    pub async fn run(mut self, mut stream: UnixStream, mut stop: watch::Receiver<bool>) -> io::Result<()> {
        let mut open = true;
        loop {
            self.answer_messages();
            self.collect();
            self.send(&mut stream).await?;
            open &= !self.broken;
            while self.engine.committer.behind() {
                tokio::time::sleep(BEHIND_PAUSE).await;
            }
            if !self.broken && self.inbox.ready() && self.waiting.len() < WAITING_MAX {
                tokio::task::yield_now().await;
                continue;
            }
            if open && *stop.borrow() {
                open = self.read_what_has_arrived(&stream)?;
                continue;
            }
            if !open && self.waiting.is_empty() {
                return Ok(());
            }
            let may_read = open && self.waiting.len() < WAITING_MAX;
            let begun = self.begun;
            tokio::select! {
                read = stream.read_buf(self.inbox.space()), if may_read => {
                    open = read? > 0;
                    if !open {
                        self.inbox.end();
                    }
                    self.since = Instant::now();
                }
                () = first(&mut self.waiting), if !self.waiting.is_empty() => {}
                () = too_slow(begun), if begun.is_some() => self.give_up(),
                _ = stop.changed(), if open => {}
            }
        }
    }

    /// Reads what lies in the socket without waiting for more; answers false.
    fn read_what_has_arrived(&mut self, stream: &UnixStream) -> io::Result<bool> {
        let mut chunk = vec![0; MESSAGE_BYTES_MAX];
        loop {
            match stream.try_read(&mut chunk) {
                Ok(0) => {
                    self.inbox.end();
                    return Ok(false);
                }
                Ok(count) => self.inbox.space().extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    /// Answers whole messages: a turn ends after so many of them, or so many bytes.
    fn answer_messages(&mut self) {
        let (mut turn, mut bytes) = (Vec::new(), 0);
        while turn.len() < MESSAGES_PER_TURN && bytes < MESSAGE_BYTES_MAX {
            if self.broken || self.waiting.len() + turn.len() >= WAITING_MAX {
                break;
            }
            turn.push(match self.inbox.next() {
                Message::More => break,
                Message::TooLong(length, encoding) => {
                    self.broken = encoding == Encoding::MessagePack;
                    (Caller::NOBODY, Err(encoding.too_long(length)))
                }
                Message::Whole(message, encoding) => {
                    bytes += message.len();
                    match encoding.read(message) {
                        Ok((caller, request)) => (caller, Ok(request)),
                        Err((caller, refusal)) => (caller, Err(refusal)),
                    }
                }
            });
        }
        for outcome in dispatch(self.engine, turn, self.since) {
            match outcome {
                Outcome::Now(caller, reply) => self.reply(&caller, &reply),
                Outcome::Later(waiting) => self.waiting.push_back(waiting),
            }
        }
        self.begun = match (self.inbox.begun(), self.begun) {
            (false, _) => None,
            (true, begun) => begun.or(Some(self.since)),
        };
    }

    /// A message was begun and not finished.
    fn give_up(&mut self) {
        let message = format!(
            "a message has to be whole {} s after it began",
            MESSAGE_TIMEOUT.as_secs()
        );
        self.reply(&Caller::NOBODY, &Err(Refusal::new(Code::TooSlow, message)));
        self.broken = true;
    }

    /// Writes the replies of all that is on disk by now.
    fn collect(&mut self) {
        while let Some(reply) = self.waiting.front_mut().and_then(Waiting::poll) {
            if let Some(Waiting { caller, .. }) = self.waiting.pop_front() {
                self.reply(&caller, &reply);
            }
        }
    }

    fn reply(&mut self, caller: &Caller, reply: &Result<Reply, Refusal>) {
        self.inbox.encoding().write(&mut self.out, caller, reply);
    }

    async fn send(&mut self, stream: &mut UnixStream) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        // Nearly always there is room: a timer for nothing would cost more than the write.
        let written = match stream.try_write(&self.out) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        if written < self.out.len() {
            tokio::time::timeout(WRITE_TIMEOUT, stream.write_all(&self.out[written..])).await??;
        }
        self.out.clear();
        Ok(())
    }
}

async fn first(waiting: &mut VecDeque<Waiting>) {
    if let Some(first) = waiting.front_mut() {
        first.wait().await;
    }
}

async fn too_slow(begun: Option<Instant>) {
    if let Some(begun) = begun {
        tokio::time::sleep_until((begun + MESSAGE_TIMEOUT).into()).await;
    }
}
