use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use pulselet_broker::Broker;
use pulselet_broker_embedded::{EmbeddedBroker, OpenError, Options, Storage};

use super::{Client, Served, socket};
use crate::functions::Functions;

/// How long a process that has the folder locked may take to serve it. After a crash the database is checked first.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// A data folder that may be worked with.
pub(crate) struct Access {
    pub(crate) client: Client,
    /// If nobody else had it open.
    own: Option<(EmbeddedBroker, Served)>,
}

impl Access {
    /// Connects to the process that has the folder open, or opens it and serves it, so that further commands work
    /// meanwhile.
    ///
    /// # Errors
    /// When the folder cannot be opened; when it does not exist, unless `create`.
    pub(crate) async fn open(folder: &Path, create: bool) -> anyhow::Result<Self> {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let connected = socket::connect(folder).await;
            if let Some(stream) = connected.with_context(|| format!("connect to the socket in {}", folder.display()))? {
                return Ok(Self { client: Client::new(stream).await?, own: None });
            }
            if !create && !folder.exists() {
                bail!(
                    "there is no data folder {}: `pulselet run` and `pulselet produce` make it, --data names another one",
                    folder.display()
                );
            }
            match EmbeddedBroker::open(Options::new(Storage::Folder(folder.to_owned()))) {
                Ok(broker) => return Self::serve(folder, broker).await,
                // Locked and not served: it has just begun, or is about to end.
                Err(OpenError::InUse { .. }) if Instant::now() < give_up => tokio::time::sleep(POLL).await,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Connects to the process that runs functions on the folder.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) async fn running(folder: &Path) -> anyhow::Result<Client> {
        let connected = socket::connect(folder).await;
        match connected.with_context(|| format!("connect to the socket in {}", folder.display()))? {
            Some(stream) => Client::new(stream).await,
            None => bail!(
                "nothing runs on the data folder {}: start it with `pulselet run`, or name its folder with --data",
                folder.display()
            ),
        }
    }

    async fn serve(folder: &Path, broker: EmbeddedBroker) -> anyhow::Result<Self> {
        let served = Served::start(folder, Arc::new(broker.clone()) as Arc<dyn Broker>, Functions::default())?;
        let stream = socket::connect(folder).await?.context("the socket has gone")?;
        Ok(Self { client: Client::new(stream).await?, own: Some((broker, served)) })
    }

    /// Lets the folder go, if it was opened.
    pub(crate) async fn close(self) {
        drop(self.client);
        if let Some((broker, served)) = self.own {
            served.close().await;
            broker.close().await;
        }
    }
}
