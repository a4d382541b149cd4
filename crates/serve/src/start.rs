//! `haggled serve`.

use crate::args::Serve;
use anyhow::Context;
use haggle_serve::{Engine, EngineConfig, SettingsFiles, Sockets, run, usual_socket};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

/// Serves prices until SIGTERM.
pub fn start(serve: Serve) -> anyhow::Result<()> {
    let files = SettingsFiles {
        config: serve.config,
        guardrails: serve.guardrails,
    };
    // Before anything is touched.
    let (config, _) = files.parse()?;
    let (sockets, place) = match (Sockets::activated()?, serve.socket) {
        (Some(sockets), None) => (sockets, "the sockets of the service manager".to_owned()),
        (Some(_), Some(_)) => anyhow::bail!("the service manager hands sockets over; leave --socket out"),
        (None, socket) => {
            let socket = socket.map_or_else(in_usual_folder, Ok)?;
            (
                Sockets::open(&socket, config.access.group_id)?,
                socket.display().to_string(),
            )
        }
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
        tracing::info!("serving on {place}");
        run(engine, sockets, asked_to_stop(1)?, asked_to_stop(2)?).await?;
        tracing::info!("stopped; everything is on disk");
        Ok(())
    })
}

/// The usual socket, in a folder of the daemon's own.
fn in_usual_folder() -> anyhow::Result<PathBuf> {
    let socket = usual_socket();
    let folder = socket.parent().unwrap_or(&socket);
    let made = DirBuilder::new().mode(0o700).recursive(true).create(folder);
    made.with_context(|| {
        format!(
            "no --socket is given, and the folder {} cannot be made",
            folder.display()
        )
    })?;
    Ok(socket)
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
