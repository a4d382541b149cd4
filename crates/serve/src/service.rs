//! What is said to the service manager, where one started the daemon; else nothing.

use crate::engine::Engine;
use sd_notify::{NotifyState, notify, watchdog_enabled};
use std::sync::Arc;

/// Requests are answered from now on.
pub(crate) fn ready() {
    say(&[NotifyState::Ready]);
}

/// The daemon is stopping.
pub(crate) fn stopping() {
    say(&[NotifyState::Stopping]);
}

/// Reads the configuration again; a bad one changes nothing and is named in the log.
pub(crate) fn reload(engine: &Engine) {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => say(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!("the service manager is not told of the reload: {error}"),
    }
    if let Err(refusal) = engine.reload() {
        tracing::error!("the configuration stays as it was: {refusal}");
    }
    ready();
}

/// Tells the watchdog that the engine still answers, twice as often as it asks for; for ever, if it asks at all.
pub(crate) async fn watch(engine: Arc<Engine>) {
    let Some(period) = watchdog_enabled() else {
        return std::future::pending().await;
    };
    let mut ticks = tokio::time::interval(period / 2);
    loop {
        ticks.tick().await;
        let engine = Arc::clone(&engine);
        // An engine that hangs must not hang this thread, too; it gets no answer.
        if tokio::task::spawn_blocking(move || engine.status()).await.is_ok() {
            say(&[NotifyState::Watchdog]);
        }
    }
}

fn say(state: &[NotifyState<'_>]) {
    if let Err(error) = notify(state) {
        tracing::debug!("the service manager is not there: {error}");
    }
}
