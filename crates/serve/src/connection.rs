use crate::committer::Ticket;
use crate::engine::Engine;
use crate::envelope::Envelope;
use crate::lines::{Lines, Next};
use crate::protocol::{
    Code, GetRequest, LINE_BYTES_MAX, PriceRequest, Refusal, RequestId, RewardReply, RewardRequest,
    RewardStatus, write_reply,
};
use crate::recovery::now_s;
use std::collections::VecDeque;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::watch;

/// Lines answered before other connections get their turn.
const LINES_PER_TURN: usize = 32;
/// Rewards of one connection that may wait for the disk; then its lines wait.
const WAITING_MAX: usize = 1024;
/// A client that takes no bytes for this long is left.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a client is not read when more is decided than the disk can take; nobody is refused for it.
const BEHIND_PAUSE: Duration = Duration::from_millis(1);

/// One client: its lines in, its replies out. Prices are answered at once; a reward when it is on disk.
pub(crate) struct Connection<'a> {
    engine: &'a Engine,
    lines: Lines,
    out: Vec<u8>,
    waiting: VecDeque<Waiting>,
}

/// A reward that waits for the disk.
struct Waiting {
    id: Option<RequestId>,
    status: RewardStatus,
    ticket: Ticket,
}

impl<'a> Connection<'a> {
    /// A connection that has not said anything.
    pub fn new(engine: &'a Engine) -> Self {
        Self {
            engine,
            lines: Lines::default(),
            out: Vec::new(),
            waiting: VecDeque::new(),
        }
    }

    /// Serves the client until it hangs up or the daemon stops; then what has arrived is still answered.
    ///
    /// # Errors
    /// When the client cannot be read or written.
    pub async fn run(mut self, mut stream: UnixStream, mut stop: watch::Receiver<bool>) -> io::Result<()> {
        let mut open = true;
        loop {
            self.answer_lines();
            self.collect();
            self.send(&mut stream).await?;
            while self.engine.committer.behind() {
                tokio::time::sleep(BEHIND_PAUSE).await;
            }
            if self.lines.ready() && self.waiting.len() < WAITING_MAX {
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
            tokio::select! {
                read = stream.read_buf(self.lines.space()), if may_read => open = read? > 0,
                answer = next_answer(&mut self.waiting), if !self.waiting.is_empty() => {
                    self.reply_to_first(answer);
                }
                _ = stop.changed(), if open => {}
            }
        }
    }

    /// Reads what lies in the socket without waiting for more; answers false.
    fn read_what_has_arrived(&mut self, stream: &UnixStream) -> io::Result<bool> {
        let mut chunk = vec![0; LINE_BYTES_MAX];
        loop {
            match stream.try_read(&mut chunk) {
                Ok(0) => return Ok(false),
                Ok(count) => self.lines.space().extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }

    fn answer_lines(&mut self) {
        for _ in 0..LINES_PER_TURN {
            if self.waiting.len() >= WAITING_MAX {
                return;
            }
            match self.lines.next_line() {
                Next::More => return,
                Next::TooLong => {
                    let message = format!("a line has at most {LINE_BYTES_MAX} bytes");
                    let refusal = Refusal::new(Code::LineTooLong, message);
                    write_reply::<()>(&mut self.out, &None, &Err(refusal));
                }
                Next::Line(line) => {
                    self.waiting.extend(answer(self.engine, line, &mut self.out));
                }
            }
        }
    }

    /// Writes the replies of all rewards that are on disk by now.
    fn collect(&mut self) {
        while let Some(first) = self.waiting.front_mut() {
            match first.ticket.try_recv() {
                Ok(result) => self.reply_to_first(result),
                Err(tokio::sync::oneshot::error::TryRecvError::Empty) => return,
                Err(tokio::sync::oneshot::error::TryRecvError::Closed) => self.reply_to_first(Err(closed())),
            }
        }
    }

    fn reply_to_first(&mut self, result: Result<(), Refusal>) {
        if let Some(Waiting { id, status, .. }) = self.waiting.pop_front() {
            write_reply(&mut self.out, &id, &result.map(|()| RewardReply { status }));
        }
    }

    async fn send(&mut self, stream: &mut UnixStream) -> io::Result<()> {
        if !self.out.is_empty() {
            tokio::time::timeout(WRITE_TIMEOUT, stream.write_all(&self.out)).await??;
            self.out.clear();
        }
        Ok(())
    }
}

async fn next_answer(waiting: &mut VecDeque<Waiting>) -> Result<(), Refusal> {
    match waiting.front_mut() {
        Some(first) => (&mut first.ticket).await.unwrap_or_else(|_| Err(closed())),
        None => Ok(()),
    }
}

fn closed() -> Refusal {
    Refusal::new(Code::StoreFailed, "the store is closed")
}

/// Answers one line into `out`, or says what has to be waited for.
fn answer(engine: &Engine, line: &[u8], out: &mut Vec<u8>) -> Option<Waiting> {
    let envelope = match Envelope::read(line) {
        Ok(envelope) => envelope,
        Err(refusal) => {
            write_reply::<()>(out, &None, &Err(refusal));
            return None;
        }
    };
    let id = &envelope.id;
    match envelope.op.as_str() {
        "price" => {
            let request = envelope.body::<PriceRequest>(line, PriceRequest::KEYS);
            write_reply(
                out,
                id,
                &request.and_then(|request| engine.price(request, now_s())),
            );
        }
        "reward" => {
            let request = envelope.body::<RewardRequest>(line, RewardRequest::KEYS);
            match request.and_then(|request| engine.reward(request, now_s())) {
                Ok((status, ticket)) => {
                    return Some(Waiting {
                        id: envelope.id,
                        status,
                        ticket,
                    });
                }
                Err(refusal) => write_reply::<()>(out, id, &Err(refusal)),
            }
        }
        "get" => {
            let request = envelope.body::<GetRequest>(line, GetRequest::KEYS);
            write_reply(
                out,
                id,
                &request.and_then(|request| engine.get(&request.decision)),
            );
        }
        "status" => write_reply(out, id, &envelope.check_keys(&[]).map(|()| engine.status())),
        _ => write_reply::<()>(out, id, &Err(envelope.unknown_op("price, reward, get, status"))),
    }
    None
}
