//! The signals that ask a process to end.

use tokio::signal::unix::{SignalKind, signal};

/// Waits for SIGINT or SIGTERM and says which it was. A second SIGINT then ends the process the usual way.
pub(crate) async fn wait() -> &'static str {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        tracing::warn!("signals cannot be heard; the process will end without finishing what it does");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    }
}
