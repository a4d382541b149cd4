use crate::decide::Mode;
use crate::engine::Engine;
use crate::envelope::Envelope;
use crate::export::{Exported, export};
use crate::journal::{Checked, backup};
use crate::lines::{Lines, Next};
use crate::protocol::RequestId;
use crate::refusal::{Code, Refusal};
use crate::reply::Status;
use crate::request::Nothing;
use crate::swap::Swapped;
use crate::wire::{Encoding, write_line};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::watch;

/// What the operator asks on the admin socket, one JSON object a line as on the shop's socket.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum AdminRequest {
    /// How is the daemon doing?
    Status,
    /// Serve another bundle.
    Swap {
        /// Its folder.
        bundle: PathBuf,
        /// Without a passing verdict of the gate; the journal says so.
        force: bool,
    },
    /// Serve the bundle before this one.
    Rollback,
    /// Serve a bundle to a share of the users.
    Canary {
        /// Its folder.
        bundle: PathBuf,
        /// The share, above 0 and up to 1.
        share: f64,
        /// Without a passing verdict of the gate; the journal says so.
        force: bool,
    },
    /// Another share of the users.
    CanaryShare {
        /// The share, above 0 and up to 1.
        share: f64,
    },
    /// Serve the canary to everybody.
    CanaryPromote,
    /// Serve the canary to nobody any more.
    CanaryStop,
    /// The kill switch: every price is the static one.
    Freeze,
    /// Back to the mode before.
    Unfreeze,
    /// Change how prices come about.
    Mode {
        /// The mode from now on.
        mode: Mode,
        /// Folder of the bundle that is scored beside the served one, in the mode `shadow`.
        #[serde(skip_serializing_if = "Option::is_none")]
        bundle: Option<PathBuf>,
    },
    /// Read configuration and rulebook again.
    Reload,
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

const OPS: &str = "status, swap, rollback, canary, canary_share, canary_promote, canary_stop, freeze, unfreeze, mode, reload, export, backup, drain";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SwapBody {
    bundle: PathBuf,
    #[serde(default)]
    force: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CanaryBody {
    bundle: PathBuf,
    share: f64,
    #[serde(default)]
    force: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShareBody {
    share: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModeBody {
    mode: Mode,
    #[serde(default)]
    bundle: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OutBody {
    out: PathBuf,
}

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
                write_line(&mut out, &None, false, &Encoding::Json.too_long(0));
                stream.write_all(&out).await?;
                continue;
            }
            Next::More => {
                if *stopped.borrow() {
                    return Ok(());
                }
                tokio::select! {
                    read = stream.read_buf(lines.space()) => if read? == 0 {
                        if !lines.begun() {
                            return Ok(());
                        }
                        lines.end();
                    },
                    _ = stopped.changed() => {}
                }
                continue;
            }
        };
        let (id, reply) = answer(&engine, line, &stop).await;
        match &reply {
            Ok(reply) => write_line(&mut out, &id, true, reply),
            Err(refusal) => write_line(&mut out, &id, false, refusal),
        }
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
    let id = envelope.id.clone();
    let request = match request(&envelope, &line) {
        Ok(request) => request,
        Err(refusal) => return (id, Err(refusal)),
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
    (id, done.unwrap_or_else(failed))
}

fn request(envelope: &Envelope<'_>, line: &[u8]) -> Result<AdminRequest, Refusal> {
    let plain = |request| envelope.body(line).map(|Nothing {}| request);
    match &*envelope.op {
        "status" => plain(AdminRequest::Status),
        "swap" => {
            let SwapBody { bundle, force } = envelope.body(line)?;
            Ok(AdminRequest::Swap { bundle, force })
        }
        "rollback" => plain(AdminRequest::Rollback),
        "canary" => {
            let CanaryBody { bundle, share, force } = envelope.body(line)?;
            Ok(AdminRequest::Canary { bundle, share, force })
        }
        "canary_share" => envelope
            .body(line)
            .map(|ShareBody { share }| AdminRequest::CanaryShare { share }),
        "canary_promote" => plain(AdminRequest::CanaryPromote),
        "canary_stop" => plain(AdminRequest::CanaryStop),
        "freeze" => plain(AdminRequest::Freeze),
        "unfreeze" => plain(AdminRequest::Unfreeze),
        "mode" => {
            let ModeBody { mode, bundle } = envelope.body(line)?;
            Ok(AdminRequest::Mode { mode, bundle })
        }
        "reload" => plain(AdminRequest::Reload),
        "export" => envelope
            .body(line)
            .map(|OutBody { out }| AdminRequest::Export { out }),
        "backup" => envelope
            .body(line)
            .map(|OutBody { out }| AdminRequest::Backup { out }),
        "drain" => plain(AdminRequest::Drain),
        _ => Err(envelope.unknown_op(OPS)),
    }
}

fn carry_out(engine: &Engine, request: AdminRequest) -> Result<AdminReply, Refusal> {
    match request {
        AdminRequest::Status | AdminRequest::Drain => {}
        AdminRequest::Swap { bundle, force } => return engine.swap(&bundle, force).map(AdminReply::Swapped),
        AdminRequest::Rollback => return engine.rollback().map(AdminReply::Swapped),
        AdminRequest::Canary { bundle, share, force } => engine.begin_canary(&bundle, share, force)?,
        AdminRequest::CanaryShare { share } => engine.share_canary(share)?,
        AdminRequest::CanaryPromote => return engine.promote_canary().map(AdminReply::Swapped),
        AdminRequest::CanaryStop => engine.stop_canary()?,
        AdminRequest::Freeze => engine.freeze(true)?,
        AdminRequest::Unfreeze => engine.freeze(false)?,
        AdminRequest::Mode { mode, bundle } => engine.set_mode(mode, bundle.as_deref())?,
        AdminRequest::Reload => engine.reload()?,
        AdminRequest::Export { out } => {
            let exported = export(&engine.reader, &out);
            return exported
                .map(AdminReply::Exported)
                .map_err(|error| Refusal::of(Code::ExportFailed, &error));
        }
        AdminRequest::Backup { out } => {
            let copied = backup(&engine.reader, &out);
            return copied
                .map(|checked| AdminReply::BackedUp(Box::new(checked)))
                .map_err(|error| Refusal::of(Code::ExportFailed, &error));
        }
    }
    Ok(AdminReply::Status(Box::new(engine.status())))
}
