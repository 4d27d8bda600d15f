//! The suite that every broker runs through, on a folder and in memory.

use std::sync::Arc;

use pulselet_broker::Broker;
use pulselet_broker::conformance::{Features, Fixture};
use pulselet_broker_embedded::{EmbeddedBroker, Options, Storage};

/// Unacknowledged messages that a consumer may hold; small enough for the suite to test.
const MAX_UNACKED: u32 = 1_200;

/// A broker, and the folder it is in unless it is in memory.
struct Embedded {
    broker: EmbeddedBroker,
    folder: Option<tempfile::TempDir>,
}

impl Embedded {
    async fn in_folder() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { broker: open(Storage::Folder(folder.path().to_owned())), folder: Some(folder) }
    }

    async fn in_memory() -> Self {
        Self { broker: open(Storage::Ephemeral), folder: None }
    }

    fn reopen(&mut self) {
        if let Some(folder) = &self.folder {
            self.broker = open(Storage::Folder(folder.path().to_owned()));
        }
    }
}

fn open(storage: Storage) -> EmbeddedBroker {
    let mut options = Options::new(storage);
    options.max_unacked_per_consumer = MAX_UNACKED;
    // Most of a backlog has to be read from the store.
    options.cache_bytes = 100_000;
    EmbeddedBroker::open(options).unwrap()
}

impl Fixture for Embedded {
    fn broker(&self) -> Arc<dyn Broker> {
        Arc::new(self.broker.clone())
    }

    fn features(&self) -> Features {
        Features {
            durable: self.folder.is_some(),
            batch_index_ack: true,
            deduplication: true,
            max_unacked: Some(MAX_UNACKED),
        }
    }

    async fn restart(&mut self) {
        self.broker.close().await;
        self.reopen();
    }

    async fn kill(&mut self) {
        self.broker.abort();
        self.reopen();
    }
}

mod in_a_folder {
    use super::Embedded;
    pulselet_broker::conformance_suite!(Embedded::in_folder);
}

mod in_memory {
    use super::Embedded;
    pulselet_broker::conformance_suite!(Embedded::in_memory);
}
