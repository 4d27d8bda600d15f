use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use pulselet_broker::Broker;
use tokio::net::UnixListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{routes, socket};
use crate::functions::Functions;

/// How long clients may take to finish.
const GRACE: Duration = Duration::from_secs(5);

/// A data folder that is served to other processes of this user.
pub(crate) struct Served {
    folder: PathBuf,
    ending: CancellationToken,
    serving: JoinHandle<()>,
}

impl Served {
    /// Begins to serve. The process must have the folder locked, which opening the broker does.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub(crate) fn start(folder: &Path, broker: Arc<dyn Broker>, functions: Functions) -> anyhow::Result<Self> {
        let listener = socket::listen(folder).with_context(|| format!("make a socket in {}", folder.display()))?;
        let ending = CancellationToken::new();
        let router = routes::router(broker, functions, ending.clone());
        let serving = tokio::spawn(serve(listener, router, ending.clone()));
        Ok(Self { folder: folder.to_owned(), ending, serving })
    }

    /// Takes no more requests, tells readers that it ends, and waits for what is under way. To be called before the
    /// broker is closed: while the folder is locked nobody else can have made the socket.
    pub(crate) async fn close(self) {
        socket::unlisten(&self.folder);
        self.ending.cancel();
        // A client that does not read must not keep the process alive.
        if tokio::time::timeout(GRACE, self.serving).await.is_err() {
            tracing::warn!("a client of the data folder did not finish within {GRACE:?}");
        }
    }
}

async fn serve(listener: UnixListener, router: Router, ending: CancellationToken) {
    let serving = axum::serve(listener, router).with_graceful_shutdown(ending.cancelled_owned());
    if let Err(error) = serving.await {
        tracing::error!(%error, "the data folder is no longer served");
    }
}
