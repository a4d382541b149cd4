//! `haggled`, the price daemon.

mod args;
mod bench;
mod config;
mod top;

use anyhow::Context;
use args::{Bench, Cli, Command, Ctl, CtlCanary, CtlMode, Serve};
use clap::Parser;
use haggle_config::ConfigError;
use haggle_serve::{
    AdminRequest, Checked, Client, ClientError, Code, Engine, EngineConfig, Forgotten, Index, Journal, Mode,
    Refusal, ServeError, SettingsFiles, Sockets, StoreError, admin_path, backup, check, export, forget, run,
};
use serde::Serialize;
use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

/// Records are made on one thread and dropped on another: the system's allocator makes the two wait for each other.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: u8 = 2;
const DATA: u8 = 3;
const REFUSED: u8 = 6;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(log_panic));
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|_| "info,sled=off".into()))
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let done = match Cli::parse().command {
        Command::Serve(serve) => start(serve),
        Command::Export { store, out, json } => export_store(&store, &out, json),
        Command::Check { store, repair, json } => check_store(&store, repair, json),
        Command::Backup { store, out, json } => backup_store(&store, &out, json),
        Command::Forget {
            store,
            user,
            segments,
            json,
        } => forget_user(&store, &user, &segments, json),
        Command::Bench {
            what: Some(Bench::Start { records, json }),
            ..
        } => bench::start::bench(records).and_then(|report| print(&report, json, || report.text())),
        Command::Bench {
            what: Some(Bench::Acks { seconds, json }),
            ..
        } => bench::acks::bench(seconds).and_then(|report| print(&report, json, || report.text())),
        Command::Bench {
            what: None,
            seconds,
            json,
        } => bench::bench(seconds).and_then(|report| print(&report, json, || report.text())),
        Command::Trace { store, decision } => trace(&store, &decision),
        Command::Top { socket } => top::top(&socket),
        Command::Config(command) => config::run(command),
        Command::Ctl { socket, command } => ctl(&socket, command),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&error);
            ExitCode::from(exit_code(&error))
        }
    }
}

/// One sentence, with the lines of the config file around the fault on a terminal.
fn tell(error: &anyhow::Error) {
    let config = match error.downcast_ref::<ServeError>() {
        Some(ServeError::Config(config)) => Some(config),
        _ => error.downcast_ref::<ConfigError>(),
    };
    let snippet = match config {
        Some(ConfigError::Fault(fault)) if std::io::stderr().is_terminal() => fault.snippet(),
        _ => None,
    };
    match snippet {
        Some(snippet) => eprintln!("{snippet}"),
        None => eprintln!("haggled: {error:#}"),
    }
}

/// A panic becomes one line of the log. The store's library panics on damage: that is caught and reported where it is
/// called, so its own words are only for those who look for them.
fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    if panic
        .location()
        .is_some_and(|location| location.file().contains("sled"))
    {
        tracing::debug!("{panic}");
    } else {
        tracing::error!("{panic}");
    }
}

fn exit_code(error: &anyhow::Error) -> u8 {
    if let Some(error) = error.downcast_ref::<ServeError>() {
        return error.exit_code();
    }
    match error.downcast_ref::<ClientError>() {
        Some(ClientError::Refused(refusal)) if refusal.code == Code::GateRefused => REFUSED,
        Some(_) => DATA,
        None if error.is::<StoreError>() => DATA,
        None => USAGE,
    }
}

fn start(serve: Serve) -> anyhow::Result<()> {
    let files = SettingsFiles {
        config: serve.config,
        guardrails: serve.guardrails,
    };
    // Before anything is touched.
    files.parse()?;
    let sockets = match (Sockets::activated()?, &serve.socket) {
        (Some(sockets), None) => sockets,
        (None, Some(socket)) => Sockets::open(socket)?,
        (Some(_), Some(_)) => anyhow::bail!("the service manager hands sockets over; leave --socket out"),
        (None, None) => anyhow::bail!("name the socket to serve on with --socket"),
    };
    let engine = Arc::new(Engine::open(&EngineConfig {
        store: serve.store,
        bundle: serve.bundle,
        history: serve.history,
        seed: serve.seed,
        files,
    })?);
    // One thread for all clients, as redis has: whatever a price reads lies behind one lock, and a second thread would only
    // fight for it, and with the clients for the processors.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no threads to serve with")?;
    runtime.block_on(async {
        match &serve.socket {
            Some(socket) => tracing::info!("serving on {}", socket.display()),
            None => tracing::info!("serving on the sockets of the service manager"),
        }
        run(engine, sockets, asked_to_stop(1)?, asked_to_stop(2)?).await?;
        tracing::info!("stopped; everything is on disk");
        Ok(())
    })
}

/// Comes true with the n-th SIGTERM or Ctrl-C.
fn asked_to_stop(times: usize) -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("no signal handler")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("no signal handler")?;
    Ok(async move {
        for _ in 0..times {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
    })
}

fn export_store(store: &Path, out: &Path, json: bool) -> anyhow::Result<()> {
    let exported = export(&Journal::existing(store)?.reader(), out)?;
    print(&exported, json, || {
        let (segments, offers) = (exported.segments.len(), exported.offers);
        format!(
            "{segments} segments with {offers} offers, {} rewards joined",
            exported.rewards
        )
    })
}

fn check_store(store: &Path, repair: bool, json: bool) -> anyhow::Result<()> {
    let found = check(store, repair)?;
    print(&found, json, || describe(&found))?;
    if found.sound() {
        return Ok(());
    }
    let what = if !found.breaks.is_empty() {
        "its chain is broken: somebody has changed it"
    } else if found.damage.is_empty() || found.repaired {
        "a bundle that it needs is damaged or missing; copy the intact folder back"
    } else {
        "it is damaged; `--repair` keeps the rest, or restore a backup"
    };
    Err(StoreError::Unsound {
        store: store.to_owned(),
        what,
    }
    .into())
}

fn describe(found: &Checked) -> String {
    let mut text = format!(
        "{} records are sound: {} decisions, {} rewards",
        found.records, found.decisions, found.rewards
    );
    if found.first > 0 {
        text += &format!("\nretention has dropped the {} records before", found.first);
    }
    if found.erased > 0 {
        text += &format!("\n{} records were erased", found.erased);
    }
    for (from, to) in &found.lost {
        text += &format!("\nlost: records {from} to {to}");
    }
    if found.torn_bytes > 0 {
        let what = match found.tail_unknown {
            true => "may be a loss: the file `tail`, which would say so, is missing or damaged",
            false => "were never acknowledged",
        };
        text += &format!("\n{} torn bytes at the end {what}", found.torn_bytes);
    } else if found.tail_unknown {
        text += "\nthe file `tail` is missing or damaged: records may be lost behind the last one";
    }
    if !found.lost.is_empty() {
        text += "\na lost record may have been a swap, a freeze, a mode or a canary: look at `status` when it serves again";
    }
    for what in found.damage.iter().chain(&found.breaks).chain(&found.bundles) {
        text += &format!("\n{what}");
    }
    if found.repaired {
        text += "\nrepaired: what is left can be used";
    }
    text + &format!("\nchain {}", found.chain)
}

fn backup_store(store: &Path, out: &Path, json: bool) -> anyhow::Result<()> {
    let copied = backup(&Journal::existing(store)?.reader(), out)?;
    print(&copied, json, || describe(&copied))
}

fn forget_user(store: &Path, user: &str, segments: &[PathBuf], json: bool) -> anyhow::Result<()> {
    let forgotten = forget(store, user, segments)?;
    print(&forgotten, json, || {
        if forgotten == Forgotten::default() {
            return format!("nothing was found of user `{user}`");
        }
        let Forgotten {
            sessions,
            decisions,
            records,
            offers,
        } = forgotten;
        format!(
            "erased: {sessions} sessions with {decisions} decisions, {records} records of the journal, {offers} offers of segments"
        )
    })
}

fn trace(store: &Path, decision: &str) -> anyhow::Result<()> {
    let journal = Journal::existing(store)?;
    let records = Index::open(store, &journal)?.records(decision)?;
    anyhow::ensure!(
        !records.is_empty(),
        "store {}: no record tells of decision `{decision}`",
        store.display()
    );
    for (number, record) in records {
        say(serde_json::json!({ "number": number, "record": record }))?;
    }
    Ok(())
}

fn ctl(socket: &Path, command: Ctl) -> anyhow::Result<()> {
    // The daemon has another working folder.
    let absolute = |path: PathBuf| std::path::absolute(&path).with_context(|| path.display().to_string());
    let request = match command {
        Ctl::Status => AdminRequest::Status,
        Ctl::Swap { bundle, force } => AdminRequest::Swap {
            bundle: absolute(bundle)?,
            force,
        },
        Ctl::Rollback => AdminRequest::Rollback,
        Ctl::Canary(canary) => match canary {
            CtlCanary::Start { bundle, share, force } => AdminRequest::Canary {
                bundle: absolute(bundle)?,
                share,
                force,
            },
            CtlCanary::Share { share } => AdminRequest::CanaryShare { share },
            CtlCanary::Promote => AdminRequest::CanaryPromote,
            CtlCanary::Stop => AdminRequest::CanaryStop,
        },
        Ctl::Freeze => AdminRequest::Freeze,
        Ctl::Unfreeze => AdminRequest::Unfreeze,
        Ctl::Mode { mode, bundle } => AdminRequest::Mode {
            mode: match mode {
                CtlMode::Live => Mode::Live,
                CtlMode::Apprentice => Mode::Apprentice,
                CtlMode::Shadow => Mode::Shadow,
                CtlMode::Frozen => Mode::Frozen,
            },
            bundle: bundle.map(absolute).transpose()?,
        },
        Ctl::Reload => AdminRequest::Reload,
        Ctl::Export { out } => AdminRequest::Export { out: absolute(out)? },
        Ctl::Backup { out } => AdminRequest::Backup { out: absolute(out)? },
        Ctl::Drain => AdminRequest::Drain,
    };
    let admin = admin_path(socket);
    let mut client = Client::connect(&admin).map_err(|error| nobody(&admin, &error))?;
    let reply: Result<serde_json::Map<String, serde_json::Value>, _> = client.admin(&request);
    if let Err(ClientError::Refused(refusal)) = &reply {
        let Refusal { code, message } = refusal;
        say(serde_json::json!({ "ok": false, "code": code, "message": message }))?;
    }
    print(&reply?, true, String::new)
}

fn nobody(socket: &Path, error: &std::io::Error) -> anyhow::Error {
    let what = match error.kind() {
        ErrorKind::NotFound => "there is no such socket; no daemon is running there".to_owned(),
        ErrorKind::ConnectionRefused => "a daemon was there, but none is running now".to_owned(),
        _ => format!("it cannot be opened: {error}"),
    };
    anyhow::anyhow!("socket {}: {what}", socket.display())
}

fn print<T: Serialize>(value: &T, json: bool, text: impl FnOnce() -> String) -> anyhow::Result<()> {
    say(if json {
        serde_json::to_string(value)?
    } else {
        text()
    })
}

/// One line to standard output. Who stopped reading it (`head`) has what he wanted.
fn say(line: impl Display) -> anyhow::Result<()> {
    match writeln!(std::io::stdout(), "{line}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("standard output"),
    }
}
