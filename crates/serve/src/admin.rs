use crate::engine::{Engine, Status};
use crate::envelope::Envelope;
use crate::export::{Exported, export};
use crate::journal::{Checked, backup};
use crate::lines::{Lines, Next};
use crate::protocol::{Code, LINE_BYTES_MAX, Refusal, RequestId, write_reply};
use crate::swap::{Swapped, chain};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::watch;

/// What the operator asks on the admin socket, one JSON object a line as on the shop's socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum AdminRequest {
    /// How is the daemon doing?
    Status,
    /// Serve another bundle.
    Swap {
        /// Its folder.
        bundle: PathBuf,
        /// Without a passing verdict of the gate; the journal says so.
        #[serde(default)]
        force: bool,
    },
    /// Serve the bundle before this one.
    Rollback,
    /// Stop exploration: the most probable price, always.
    Freeze,
    /// Explore again.
    Unfreeze,
    /// Join decisions and rewards into segments.
    Export {
        /// The folder that they go to.
        out: PathBuf,
    },
    /// Copy the store as it is now.
    Backup {
        /// The folder that is made for it.
        out: PathBuf,
    },
    /// Answer what is in flight, write what waits, stop.
    Drain,
}

/// The answers on the admin socket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AdminReply {
    /// To `status`, and to what changes it.
    Status(Box<Status>),
    /// To `swap` and `rollback`.
    Swapped(Swapped),
    /// To `export`.
    Exported(Exported),
    /// To `backup`: what the copy holds.
    BackedUp(Box<Checked>),
}

/// Each operation with its keys.
const OPS: [(&str, &[&str]); 8] = [
    ("status", &[]),
    ("swap", &["bundle", "force"]),
    ("rollback", &[]),
    ("freeze", &[]),
    ("unfreeze", &[]),
    ("export", &["out"]),
    ("backup", &["out"]),
    ("drain", &[]),
];

/// Serves one operator until he hangs up or the daemon stops. `drain` sends the stop.
///
/// # Errors
/// When the operator cannot be read or written.
pub(crate) async fn serve(
    engine: Arc<Engine>,
    mut stream: UnixStream,
    stop: Arc<watch::Sender<bool>>,
) -> io::Result<()> {
    let mut lines = Lines::default();
    let mut stopped = stop.subscribe();
    loop {
        let mut out = Vec::new();
        let line = match lines.next_line() {
            Next::Line(line) => line.to_vec(),
            Next::TooLong => {
                let message = format!("a line has at most {LINE_BYTES_MAX} bytes");
                write_reply::<()>(&mut out, &None, &Err(Refusal::new(Code::LineTooLong, message)));
                stream.write_all(&out).await?;
                continue;
            }
            Next::More => {
                if *stopped.borrow() {
                    return Ok(());
                }
                tokio::select! {
                    read = stream.read_buf(lines.space()) => if read? == 0 { return Ok(()); },
                    _ = stopped.changed() => {}
                }
                continue;
            }
        };
        let (id, reply) = answer(&engine, line, &stop).await;
        write_reply(&mut out, &id, &reply);
        stream.write_all(&out).await?;
    }
}

async fn answer(
    engine: &Arc<Engine>,
    line: Vec<u8>,
    stop: &watch::Sender<bool>,
) -> (Option<RequestId>, Result<AdminReply, Refusal>) {
    let envelope = match Envelope::read(&line) {
        Ok(envelope) => envelope,
        Err(refusal) => return (None, Err(refusal)),
    };
    let Some((_, keys)) = OPS.iter().find(|(op, _)| *op == envelope.op) else {
        let refusal = envelope.unknown_op(&OPS.map(|(op, _)| op).join(", "));
        return (envelope.id, Err(refusal));
    };
    let request = match envelope.body::<AdminRequest>(&line, keys) {
        Ok(request) => request,
        Err(refusal) => return (envelope.id, Err(refusal)),
    };
    if request == AdminRequest::Drain {
        stop.send_replace(true);
    }
    let engine = Arc::clone(engine);
    // Loading a bundle and waiting for the disk block: not on the threads that answer prices.
    let done = tokio::task::spawn_blocking(move || carry_out(&engine, request)).await;
    let failed = |_| {
        Err(Refusal::new(
            Code::StoreFailed,
            "the operation broke off; look into the log",
        ))
    };
    (envelope.id, done.unwrap_or_else(failed))
}

fn carry_out(engine: &Engine, request: AdminRequest) -> Result<AdminReply, Refusal> {
    match request {
        AdminRequest::Status | AdminRequest::Drain => {}
        AdminRequest::Swap { bundle, force } => return engine.swap(&bundle, force).map(AdminReply::Swapped),
        AdminRequest::Rollback => return engine.rollback().map(AdminReply::Swapped),
        AdminRequest::Freeze => engine.freeze(true)?,
        AdminRequest::Unfreeze => engine.freeze(false)?,
        AdminRequest::Export { out } => {
            let exported = export(&engine.reader, &out);
            return exported
                .map(AdminReply::Exported)
                .map_err(|error| Refusal::new(Code::ExportFailed, chain(&error)));
        }
        AdminRequest::Backup { out } => {
            let copied = backup(&engine.reader, &out);
            return copied
                .map(|checked| AdminReply::BackedUp(Box::new(checked)))
                .map_err(|error| Refusal::new(Code::ExportFailed, chain(&error)));
        }
    }
    Ok(AdminReply::Status(Box::new(engine.status())))
}
