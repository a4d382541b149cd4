use crate::admin;
use crate::clock::now_s;
use crate::connection::Connection;
use crate::engine::Engine;
use crate::error::ServeError;
use crate::http;
use crate::refusal::{Code, Refusal};
use crate::service;
use crate::socket::Sockets;
use crate::wire::write_line;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

/// Clients served at a time; one more is told `busy`.
const CONNECTIONS_MAX: usize = 256;
/// How long clients have to take their last replies after a stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(8);
/// Pause after the system gave no connection (too many open files, say).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often windows are looked at that may have closed.
const EXPIRY_PERIOD: Duration = Duration::from_secs(1);

/// Serves an engine on its sockets until `stop` comes true or the operator asks for a drain: then no more connections,
/// what has arrived is answered, what waits is written, and the sockets go away. When `hurry` comes true, too, clients
/// are not waited for any more; what waits is written all the same. SIGHUP reads the configuration again.
///
/// # Errors
/// When the sockets cannot be used, or the last records could not be written.
pub async fn run(
    engine: Arc<Engine>,
    sockets: Sockets,
    stop: impl Future<Output = ()>,
    hurry: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let adopt = |listener: &std::os::unix::net::UnixListener| {
        let adopted = listener.try_clone().and_then(UnixListener::from_std);
        adopted.map_err(ServeError::io("the socket".as_ref()))
    };
    let (shop, operators) = (adopt(&sockets.shop)?, adopt(&sockets.admin)?);
    let watchers = adopt(&sockets.http)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(ServeError::io("the signal handler".as_ref()))?;
    let mut side = JoinSet::new();
    side.spawn(http::serve(Arc::clone(&engine), watchers));
    side.spawn({
        let engine = Arc::clone(&engine);
        async move {
            service::watch(engine).await;
            Ok(())
        }
    });
    let (stopping, mut stopped) = watch::channel(false);
    let stopping = Arc::new(stopping);
    let seats = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut clients = JoinSet::new();
    tokio::pin!(stop);
    let mut expiry = tokio::time::interval(EXPIRY_PERIOD);
    expiry.set_missed_tick_behavior(MissedTickBehavior::Delay);
    service::ready();
    loop {
        tokio::select! {
            _ = hangup.recv() => {
                let engine = Arc::clone(&engine);
                tokio::task::spawn_blocking(move || service::reload(&engine));
            }
            _ = expiry.tick() => engine.expire(now_s()),
            accepted = shop.accept() => match accepted {
                Ok((stream, _)) => greet(&mut clients, &engine, &seats, stream, stopping.subscribe()),
                Err(error) => rest(&error).await,
            },
            accepted = operators.accept() => match accepted {
                Ok((stream, _)) => {
                    let served = admin::serve(Arc::clone(&engine), stream, Arc::clone(&stopping));
                    clients.spawn(async move { tell(served.await) });
                }
                Err(error) => rest(&error).await,
            },
            Some(_) = clients.join_next(), if !clients.is_empty() => {}
            () = &mut stop => break,
            _ = stopped.changed() => break,
        }
    }
    service::stopping();
    tracing::info!("draining: {} connections are open", clients.len());
    drop((shop, operators));
    stopping.send_replace(true);
    let finished = async { while clients.join_next().await.is_some() {} };
    let done = tokio::select! {
        done = tokio::time::timeout(DRAIN_TIMEOUT, finished) => done.is_ok(),
        () = hurry => false,
    };
    if !done {
        tracing::warn!("{} clients did not take their replies in time", clients.len());
        clients.shutdown().await;
    }
    side.shutdown().await;
    let written = tokio::task::spawn_blocking(move || engine.close()).await;
    drop(sockets);
    written.unwrap_or(Ok(()))
}

fn greet(
    clients: &mut JoinSet<()>,
    engine: &Arc<Engine>,
    seats: &Arc<Semaphore>,
    mut stream: UnixStream,
    stop: watch::Receiver<bool>,
) {
    let seat = Arc::clone(seats).try_acquire_owned();
    let engine = Arc::clone(engine);
    clients.spawn(async move {
        let refusal = match (&seat, admit(&engine, &stream)) {
            (Ok(_), Ok(())) => return tell(Connection::new(&engine).run(stream, stop).await),
            (_, Err(refusal)) => refusal,
            (Err(_), Ok(())) => {
                let message = format!("{CONNECTIONS_MAX} connections are open already");
                Refusal::new(Code::Busy, message)
            }
        };
        let mut out = Vec::new();
        write_line(&mut out, &None, false, &refusal);
        tell(stream.write_all(&out).await);
    });
}

/// Whether the kernel's word on who connects (SO_PEERCRED) names somebody who may ask for prices.
fn admit(engine: &Engine, stream: &UnixStream) -> Result<(), Refusal> {
    let users = engine.lock().settings.config.access.user_ids.clone();
    let own = rustix::process::geteuid().as_raw();
    let user = stream.peer_cred().map(|peer| peer.uid());
    match user {
        _ if users.is_empty() => Ok(()),
        Ok(user) if user == own || users.contains(&user) => Ok(()),
        Ok(user) => {
            let message = format!("user {user} is not among `access.user_ids`");
            tracing::warn!("a connection was refused: {message}");
            Err(Refusal::new(Code::Forbidden, message))
        }
        Err(error) => Err(Refusal::new(
            Code::Forbidden,
            format!("who connects cannot be told: {error}"),
        )),
    }
}

fn tell(served: io::Result<()>) {
    if let Err(error) = served {
        tracing::debug!("a connection ended: {error}");
    }
}

async fn rest(error: &io::Error) {
    tracing::warn!("no connection: {error}");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}
