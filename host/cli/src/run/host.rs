//! Broker, engine and runner of one process, put together.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use prometheus::Registry;
use pulselet_api::SecretRef;
use pulselet_broker::Broker;
use pulselet_broker_embedded::{EmbeddedBroker, Storage};
use pulselet_engine::Engine;
use pulselet_runner::{NoSecrets, Runner, Secrets};

use super::RunArgs;
use crate::admin::Served;
use crate::functions::Functions;

/// Largest secret that is read, in bytes; Kubernetes has the same limit.
const MAX_SECRET_BYTES: u64 = 1 << 20;

/// See the module.
pub(super) struct Host {
    pub(super) broker: Arc<dyn Broker>,
    pub(super) runner: Runner,
    pub(super) registry: Registry,
    pub(super) embedded: EmbeddedBroker,
    pub(super) functions: Functions,
    /// The folder, for other processes; not in memory only.
    served: Option<Served>,
}

impl Host {
    pub(super) fn start(args: &RunArgs) -> anyhow::Result<Self> {
        let secrets: Arc<dyn Secrets> = match &args.secrets {
            Some(dir) if !dir.is_dir() => bail!("--secrets: there is no folder {}", dir.display()),
            Some(dir) => Arc::new(SecretFolder(dir.clone())),
            None => Arc::new(NoSecrets),
        };
        let options = args.engine.options()?;
        let engine_dir = options.store_dir.clone();
        let engine = Engine::new(options).with_context(|| format!("engine in {}", engine_dir.display()))?;
        tracing::debug!("{}", engine.budgets());
        // Last of what may be refused, so that no folder is made for a run that does not begin.
        let storage = if args.ephemeral { Storage::Ephemeral } else { Storage::Folder(args.data.clone()) };
        let embedded = EmbeddedBroker::open(pulselet_broker_embedded::Options::new(storage))?;
        let broker: Arc<dyn Broker> = Arc::new(embedded.clone());
        let registry = Registry::new();
        let runner = Runner::new(pulselet_runner::Options {
            broker: Arc::clone(&broker),
            engine,
            secrets,
            registry: registry.clone(),
            cluster: "standalone".to_owned(),
            state_dir: (!args.ephemeral).then(|| args.data.join("runner")),
            guest_threads: args.guest_threads.unwrap_or_else(guest_threads),
        })?;
        let functions = Functions::default();
        let served = match args.ephemeral {
            true => None,
            false => Some(Served::start(&args.data, Arc::clone(&broker), functions.clone())?),
        };
        Ok(Self { broker, runner, registry, embedded, functions, served })
    }

    /// Writes what is to be written and lets the folder go.
    pub(super) async fn stop(self) {
        let Self { runner, broker, embedded, served, .. } = self;
        if let Some(served) = served {
            served.close().await;
        }
        // Joins the guest threads, whose replicas have ended.
        tokio::task::spawn_blocking(move || drop(runner)).await.ok();
        drop(broker);
        embedded.close().await;
    }
}

/// One thread does the input and output; guests get the rest.
fn guest_threads() -> NonZeroUsize {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    NonZeroUsize::new(cores.saturating_sub(1)).unwrap_or(NonZeroUsize::MIN)
}

/// Secrets as files, the way Kubernetes mounts them: `<folder>/<path>/<key>`. Read on every use, so that a value may be
/// replaced while functions run.
struct SecretFolder(PathBuf);

impl Secrets for SecretFolder {
    fn get(&self, reference: &SecretRef) -> Option<Vec<u8>> {
        let is_plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('/');
        if !is_plain(&reference.path) || !is_plain(&reference.key) {
            return None;
        }
        let path = self.0.join(&reference.path).join(&reference.key);
        let size = std::fs::metadata(&path).ok()?.len();
        if size > MAX_SECRET_BYTES {
            tracing::warn!(path = %path.display(), size, "secret is larger than {MAX_SECRET_BYTES} bytes; not read");
            return None;
        }
        std::fs::read(path).ok()
    }
}
