//! `haggled ctl`: what an operator asks of a running daemon.

use crate::args::{Ctl, CtlAdmin, CtlCanary, CtlMode};
use crate::{print, say};
use anyhow::Context;
use haggle_serve::{AdminRequest, Client, ClientError, Mode, Op, Refusal, admin_path};
use serde_json::{Map, Value};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// `haggled ctl`.
pub fn ctl(socket: &Path, command: Ctl) -> anyhow::Result<()> {
    let reply: Result<Map<String, Value>, _> = match command {
        Ctl::Get { decision } => connect(socket)?.about(Op::Get, &decision),
        Ctl::Explain { decision } => connect(socket)?.about(Op::Explain, &decision),
        Ctl::Admin(command) => connect(&admin_path(socket))?.admin(&request(command)?),
    };
    if let Err(ClientError::Refused(refusal)) = &reply {
        let Refusal { code, message } = refusal;
        say(serde_json::json!({ "ok": false, "code": code, "message": message }))?;
    }
    print(&reply?, true, String::new)
}

fn request(command: CtlAdmin) -> anyhow::Result<AdminRequest> {
    // The daemon has another working folder.
    let absolute = |path: PathBuf| std::path::absolute(&path).with_context(|| path.display().to_string());
    Ok(match command {
        CtlAdmin::Status => AdminRequest::Status,
        CtlAdmin::Swap { bundle, force } => AdminRequest::Swap {
            bundle: absolute(bundle)?,
            force,
        },
        CtlAdmin::Rollback => AdminRequest::Rollback,
        CtlAdmin::Canary(canary) => match canary {
            CtlCanary::Start { bundle, share, force } => AdminRequest::Canary {
                bundle: absolute(bundle)?,
                share,
                force,
            },
            CtlCanary::Share { share } => AdminRequest::CanaryShare { share },
            CtlCanary::Promote => AdminRequest::CanaryPromote,
            CtlCanary::Stop => AdminRequest::CanaryStop,
        },
        CtlAdmin::Freeze => AdminRequest::Freeze,
        CtlAdmin::Unfreeze => AdminRequest::Unfreeze,
        CtlAdmin::Mode { mode, bundle } => AdminRequest::Mode {
            mode: match mode {
                CtlMode::Live => Mode::Live,
                CtlMode::Apprentice => Mode::Apprentice,
                CtlMode::Shadow => Mode::Shadow,
                CtlMode::Frozen => Mode::Frozen,
            },
            bundle: bundle.map(absolute).transpose()?,
        },
        CtlAdmin::Reload => AdminRequest::Reload,
        CtlAdmin::Export { out } => AdminRequest::Export { out: absolute(out)? },
        CtlAdmin::Backup { out } => AdminRequest::Backup { out: absolute(out)? },
        CtlAdmin::Drain => AdminRequest::Drain,
    })
}

fn connect(socket: &Path) -> anyhow::Result<Client> {
    Client::connect(socket).map_err(|error| nobody(socket, &error))
}

fn nobody(socket: &Path, error: &std::io::Error) -> anyhow::Error {
    let what = match error.kind() {
        ErrorKind::NotFound => "there is no such socket; no daemon is running there".to_owned(),
        ErrorKind::ConnectionRefused => "a daemon was there, but none is running now".to_owned(),
        _ => format!("it cannot be opened: {error}"),
    };
    anyhow::anyhow!("socket {}: {what}", socket.display())
}
