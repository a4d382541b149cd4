//! `haggled serve`.

use crate::args::Serve;
use anyhow::Context;
use haggle_serve::{Engine, EngineConfig, SettingsFiles, Sockets, run};
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

/// Serves prices until SIGTERM.
pub fn start(serve: Serve) -> anyhow::Result<()> {
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
