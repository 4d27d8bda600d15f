//! The runner: a process-wide home for replicas.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use futures::channel::mpsc;
use prometheus::Registry;
use pulselet_api::{FunctionName, Guarantee, Resolved};
use pulselet_broker::Broker;
use pulselet_engine::{AssignError, Assigned, Engine, Grants};
use tokio_util::sync::CancellationToken;

use crate::deployment::{Deployment, ReplicaHandle};
use crate::flight::Flight;
use crate::function::{Facts, Secrets};
use crate::host::{GuestHost, Shared};
use crate::journal::Journal;
use crate::log::{self, FunctionLog};
use crate::metrics::Families;
use crate::metrics::engine::EngineCollector;
use crate::outputs::Outputs;
use crate::replica::revision::Revision;
use crate::replica::status::StatusWriter;
use crate::replica::{Inbox, Replica};
use crate::settlement::attempts::Attempts;
use crate::settlement::{Policy, Settlement};
use crate::threads::GuestThreads;
use crate::{inputs, topics};

/// Messages of one consumer that may be unsettled at a time, unless declared otherwise.
const WINDOW_MESSAGES: u32 = 2_000;
/// With Manual: acks may come many calls later, so more is open; below the broker's own limit of 50,000.
const WINDOW_MESSAGES_MANUAL: u32 = 20_000;
/// Payload bytes of a replica that may be unsettled at a time.
const WINDOW_BYTES: u64 = 64 << 20;
/// Queues between a replica and those that feed it; each that feeds has room for one more. A queue that allots its room
/// beforehand would cost an idle replica more than everything else.
const QUEUE: usize = 16;

/// How a runner is set up.
pub struct Options {
    /// Where messages come from and go to.
    pub broker: Arc<dyn Broker>,
    /// What runs components.
    pub engine: Engine<GuestHost>,
    /// Where secrets come from.
    pub secrets: Arc<dyn Secrets>,
    /// Where metrics are registered.
    pub registry: Registry,
    /// Value of the `cluster` label of metrics.
    pub cluster: String,
    /// Folder for what must outlive the process (attempts); without one they are counted in memory.
    pub state_dir: Option<PathBuf>,
    /// Threads that guests run on.
    pub guest_threads: NonZeroUsize,
}

/// Why a function could not be deployed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeployError {
    /// Its component is not usable.
    #[error(transparent)]
    Assign(#[from] AssignError),
    /// The folder for its state is not usable.
    #[error("state of replica {replica} in {}: {source}; check the folder's owner, mode and free space", .path.display())]
    State {
        /// Which replica.
        replica: u32,
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// An update is of another function.
    #[error("this is the declaration of {found}, and {running} is running; deploy it as a function of its own")]
    OtherFunction {
        /// Which one was to be updated.
        running: Box<FunctionName>,
        /// Which one was declared.
        found: Box<FunctionName>,
    },
    /// There is nothing to go back to.
    #[error(
        "function {0} was not updated since it was deployed, or was taken back already: there is no component before"
    )]
    NothingBefore(Box<FunctionName>),
    /// The runner is ending.
    #[error("the runner is stopping")]
    Stopping,
}

/// Why a runner could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A thread could not be started.
    #[error("start guest threads: {0}")]
    Threads(#[from] std::io::Error),
    /// A metric of the same name is registered already.
    #[error("register metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// Hosts replicas. Lives on the runtime it was made on, which does the input and output; guests run on threads of
/// their own.
pub struct Runner {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    options: Options,
    families: Families,
    threads: GuestThreads,
}

impl Runner {
    /// Starts the guest threads.
    ///
    /// # Errors
    /// When a thread cannot be started or the metrics are registered already.
    pub fn new(options: Options) -> Result<Self, StartError> {
        let families = Families::register(&options.registry, &options.cluster)?;
        options.registry.register(Box::new(EngineCollector::new(options.engine.clone())?))?;
        let threads = GuestThreads::start(options.guest_threads, &options.engine.waiting())?;
        Ok(Self { inner: Arc::new(Inner { options, families, threads }) })
    }

    /// Verifies the component of a function and starts its replicas. Relative locations start at `base_dir`. Returns
    /// when the replicas are on their way (none, if it is declared paused); [`Deployment::ready`] waits until they are subscribed.
    ///
    /// # Errors
    /// When the component is missing, is not what was declared or needs what was not granted.
    pub async fn deploy(&self, function: Resolved, base_dir: &Path) -> Result<Deployment, DeployError> {
        let deployment = self.prepare(function, base_dir).await?;
        if !deployment.is_paused() {
            deployment.resume().await?;
        }
        Ok(deployment)
    }

    /// As [`Runner::deploy`], without starting it: nothing is subscribed or called before [`Deployment::resume`].
    ///
    /// # Errors
    /// When its component cannot be had, or is not one that can run as declared.
    pub async fn prepare(&self, function: Resolved, base_dir: &Path) -> Result<Deployment, DeployError> {
        let assigned = self.inner.assign(&function, base_dir).await?;
        Ok(Deployment::new(Arc::clone(&self.inner), function, assigned))
    }
}

impl Inner {
    /// Starts all replicas of a function.
    pub(crate) async fn start_replicas(&self, revision: &Revision) -> Result<Vec<ReplicaHandle>, DeployError> {
        let function = &revision.function;
        let mut replicas = Vec::with_capacity(function.replicas.get() as usize);
        for replica in 0..function.replicas.get() {
            let state_dir = self.options.state_dir.as_ref().map(|dir| state_dir(dir, function, replica));
            let secrets = Arc::clone(&self.options.secrets);
            let facts = Arc::new(Facts { function: Arc::clone(function), replica, secrets, state_dir });
            replicas.push(self.start(facts, revision.clone()).await?);
        }
        Ok(replicas)
    }

    /// Verifies the component of a function.
    pub(crate) async fn assign(
        &self,
        function: &Resolved,
        base_dir: &Path,
    ) -> Result<Arc<Assigned<GuestHost>>, DeployError> {
        let grants = Grants {
            publish: !function.publish.is_empty(),
            settle: function.guarantee == Guarantee::Manual,
            secrets: !function.secrets.is_empty(),
        };
        let (engine, component) = (self.options.engine.clone(), function.component.clone());
        let (limits, base_dir) = (function.limits.clone(), base_dir.to_owned());
        // Reading, hashing and compiling take long and must not hold up sockets.
        let work = move || engine.assign(&component, &base_dir, grants, &limits);
        let assigned = tokio::task::spawn_blocking(work).await.map_err(|_| DeployError::Stopping)?;
        Ok(Arc::new(assigned?))
    }

    async fn start(&self, facts: Arc<Facts>, revision: Revision) -> Result<ReplicaHandle, DeployError> {
        let (attempts, flight) = open_attempts(&facts)?;
        let (log, lines) = FunctionLog::new(Arc::clone(&facts));
        if let (Some(lines), Some(topic)) = (lines, facts.function.log_topic.clone()) {
            tokio::spawn(log::carry(Arc::clone(&self.options.broker), topic, Arc::clone(&facts), lines));
        }
        let attempts = attempts.with_retry_topic(facts.function.retry.retry_topic.clone());
        let machine = Settlement::new(policy(&facts.function), attempts);
        let (publish_now, publish_now_requests) = mpsc::channel(QUEUE);
        let (metrics, user_metrics) = self.families.add(&facts);
        let shared = Shared {
            facts: Arc::clone(&facts),
            topics: Arc::<topics::Topics>::default(),
            log,
            user_metrics: Arc::clone(&user_metrics),
            handles: machine.handles(),
            publish_now,
            live: Arc::default(),
        };
        let live = Arc::clone(&shared.live);
        let (arrivals_in, arrivals) = mpsc::channel(QUEUE);
        let (commands_in, commands) = mpsc::channel(QUEUE);
        let (status, status_out) = StatusWriter::new();
        let inputs = CancellationToken::new();
        let inbox = Inbox { arrivals, publish_now: publish_now_requests, commands };
        let (broker, families) = (Arc::clone(&self.options.broker), self.families.clone());
        tokio::spawn(inputs::keep_open(Arc::clone(&broker), Arc::clone(&facts), arrivals_in, inputs.clone()));
        let job = move || {
            let outputs = Outputs::new(broker);
            let exported = Arc::clone(&metrics);
            // Put together before the task begins, which would keep room for all the parts.
            let replica = Rc::new(Replica::new(shared, revision, machine, outputs, flight, metrics, status, inputs));
            async move {
                replica.run(inbox).await;
                families.remove(&exported, &user_metrics);
            }
        };
        if !self.threads.spawn(job).await {
            return Err(DeployError::Stopping);
        }
        Ok(ReplicaHandle::new(commands_in, status_out, live))
    }
}

fn policy(function: &Resolved) -> Policy {
    let manual = function.guarantee == Guarantee::Manual;
    Policy {
        order: function.subscription.kind,
        guarantee: function.guarantee,
        retry: function.retry.clone(),
        window_messages: if manual { WINDOW_MESSAGES_MANUAL } else { WINDOW_MESSAGES },
        window_bytes: WINDOW_BYTES,
        dead_letters: function.retry.dead_letter_topic.is_some() || function.retry.max_retries.is_some(),
    }
}

fn state_dir(dir: &Path, function: &Resolved, replica: u32) -> PathBuf {
    let name = &function.name;
    dir.join(&name.tenant).join(&name.namespace).join(&name.name).join(replica.to_string())
}

/// Takes up what an earlier process left of this replica.
fn open_attempts(facts: &Facts) -> Result<(Attempts, Flight), DeployError> {
    let Some(dir) = &facts.state_dir else { return Ok(Default::default()) };
    let failed = |source| DeployError::State { replica: facts.replica, path: dir.clone(), source };
    std::fs::create_dir_all(dir).map_err(failed)?;
    let slots = facts.function.concurrency.get() as usize;
    let (flight, suspects) = Flight::open(&dir.join("flight"), slots).map_err(failed)?;
    let (journal, counts) = Journal::open(&dir.join("attempts")).map_err(failed)?;
    Ok((Attempts::resume(counts, suspects, journal), flight))
}
