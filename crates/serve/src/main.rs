//! `haggled`, the price daemon.

mod args;
mod bench;
mod config;
mod ctl;
mod start;
mod stores;
mod top;

use anyhow::Context;
use args::{Bench, Cli, Command};
use clap::Parser;
use haggle_config::ConfigError;
use haggle_serve::{ClientError, Code, ServeError, StoreError, usual_socket};
use serde::Serialize;
use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal, Write};
use std::process::ExitCode;

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
        Command::Serve(serve) => start::start(serve),
        Command::Export { store, out, json } => stores::export_store(&store, &out, json),
        Command::Check { store, repair, json } => stores::check_store(&store, repair, json),
        Command::Backup { store, out, json } => stores::backup_store(&store, &out, json),
        Command::Forget {
            store,
            user,
            segments,
            json,
        } => stores::forget_user(&store, &user, &segments, json),
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
        Command::Trace { store, decision } => stores::trace(&store, &decision),
        Command::Top { socket } => top::top(&socket.unwrap_or_else(usual_socket)),
        Command::Config(command) => config::run(command),
        Command::Ctl { socket, command } => ctl::ctl(&socket.unwrap_or_else(usual_socket), command),
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
