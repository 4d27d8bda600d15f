//! `--metrics-addr`: `/metrics`, `/health` and `/ready` for whoever watches over the process.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus::{Registry, TextEncoder};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[derive(Clone)]
struct Watched {
    registry: Registry,
    is_ready: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// Serves until `shutdown`; returns the address, whose port the system chose if 0 was asked for.
///
/// # Errors
/// When the address cannot be bound; nothing is served then.
pub(crate) async fn start(
    address: SocketAddr,
    registry: Registry,
    is_ready: impl Fn() -> bool + Send + Sync + 'static,
    shutdown: CancellationToken,
) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("serve metrics at {address}; choose another address with --metrics-addr, or port 0 for a free one")
    })?;
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "metrics can be read by everybody who reaches this address");
    }
    let router = router(Watched { registry, is_ready: Arc::new(is_ready) });
    tokio::spawn(async move {
        let serving = axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned());
        if let Err(error) = serving.await {
            tracing::error!(%error, "metrics are no longer served");
        }
    });
    Ok(address)
}

fn router(watched: Watched) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        // The process answers, so it is alive; whether it does its work is the other question.
        .route("/health", get(|| async { "ok\n" }))
        .route("/ready", get(ready))
        .with_state(watched)
}

async fn metrics(State(watched): State<Watched>) -> impl IntoResponse {
    match TextEncoder::new().encode_to_string(&watched.registry.gather()) {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

async fn ready(State(watched): State<Watched>) -> impl IntoResponse {
    if (watched.is_ready)() { (StatusCode::OK, "ready\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready\n") }
}
