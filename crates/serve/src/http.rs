use crate::engine::Engine;
use crate::health::Health;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use std::io;
use std::sync::Arc;
use tokio::net::UnixListener;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves `/metrics`, `/healthz` and `/readyz` on a socket of their own, until it is dropped.
///
/// # Errors
/// When the socket cannot be listened to.
pub(crate) async fn serve(engine: Arc<Engine>, listener: UnixListener) -> io::Result<()> {
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(engine);
    axum::serve(listener, router).await
}

async fn metrics(State(engine): State<Arc<Engine>>) -> impl IntoResponse {
    let served_since = engine.lock().served.clone();
    let text = engine.metrics.render(&engine.status(), &served_since);
    ([(CONTENT_TYPE, OPEN_METRICS)], text)
}

/// Ready is who can take rewards in. Prices are answered all the same.
async fn ready(State(engine): State<Arc<Engine>>) -> impl IntoResponse {
    match engine.status().store {
        Health::Ok => (StatusCode::OK, "ready\n"),
        Health::Full => (StatusCode::SERVICE_UNAVAILABLE, "the store is full\n"),
        Health::Failed => (StatusCode::SERVICE_UNAVAILABLE, "the store is failed\n"),
    }
}
