//! A function that was deployed: its replicas as others see them.

mod condition;
mod update;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures::SinkExt;
use futures::channel::mpsc;
use pulselet_api::Resolved;
use pulselet_engine::Assigned;
use tokio::sync::{Mutex, Notify, oneshot};

use crate::host::GuestHost;
use crate::replica::Command;
use crate::replica::revision::Revision;
use crate::replica::status::{Phase, ReplicaStatus, StatusReader};
use crate::runner::{DeployError, Inner};
use condition::Conditions;
pub use condition::{Condition, ConditionKind};
pub use update::Updated;

/// A function and its replicas. Dropping it ends them at once: calls under way are broken off, and their messages come
/// again.
pub struct Deployment {
    deployed: Arc<Deployed>,
}

/// What a deployment is, also to those who watch over it.
struct Deployed {
    runner: Arc<Inner>,
    /// What runs, and what ran before the last update.
    revisions: std::sync::Mutex<Revisions>,
    /// Locked for as long as replicas are started, swapped or drained.
    changing: Mutex<()>,
    /// Empty while paused.
    replicas: std::sync::Mutex<Vec<ReplicaHandle>>,
    conditions: std::sync::Mutex<Conditions>,
    /// Replicas were started.
    started: Notify,
}

struct Revisions {
    current: Revision,
    before: Option<Revision>,
}

/// A replica on its thread.
#[derive(Clone)]
pub(crate) struct ReplicaHandle {
    commands: mpsc::Sender<Command>,
    status: StatusReader,
    live: Arc<AtomicU32>,
}

impl ReplicaHandle {
    pub(crate) fn new(commands: mpsc::Sender<Command>, status: StatusReader, live: Arc<AtomicU32>) -> Self {
        Self { commands, status, live }
    }

    /// False if it has stopped.
    async fn swap(&self, revision: &Revision) -> bool {
        let (done, is_done) = oneshot::channel();
        let swap = Command::Swap { revision: revision.clone(), done };
        self.commands.clone().send(swap).await.is_ok() && is_done.await.is_ok()
    }
}

impl Deployment {
    pub(crate) fn new(runner: Arc<Inner>, function: Resolved, assigned: Arc<Assigned<GuestHost>>) -> Self {
        let current = Revision { number: 1, function: Arc::new(function), assigned, trial: None };
        let deployed = Deployed {
            runner,
            revisions: std::sync::Mutex::new(Revisions { current, before: None }),
            changing: Mutex::default(),
            replicas: std::sync::Mutex::default(),
            conditions: std::sync::Mutex::default(),
            started: Notify::new(),
        };
        Self { deployed: Arc::new(deployed) }
    }

    /// What is declared now.
    pub fn function(&self) -> Arc<Resolved> {
        self.deployed.current().function
    }

    /// What runs now.
    pub fn component(&self) -> Arc<Assigned<GuestHost>> {
        self.deployed.current().assigned
    }

    /// Whether it is declared not to run.
    pub fn is_paused(&self) -> bool {
        self.function().paused
    }

    /// Starts the replicas if they are paused; nothing happens otherwise.
    ///
    /// # Errors
    /// When a replica's state on disk cannot be used, or the runner is ending.
    pub async fn resume(&self) -> Result<(), DeployError> {
        let _one_at_a_time = self.deployed.changing.lock().await;
        self.deployed.start().await
    }

    /// Finishes and settles what is being called, then closes everything; the rest goes back to the broker, and so does
    /// what is not finished within `grace`. The subscription stays, so that nothing is missed until
    /// [`Deployment::resume`].
    ///
    /// # Cancel safety
    /// Replicas that were told to drain do so if this is dropped.
    pub async fn pause(&self, grace: Duration) {
        let _one_at_a_time = self.deployed.changing.lock().await;
        self.deployed.drain(grace).await;
    }

    /// The state of each replica, by ordinal; empty while paused.
    pub fn status(&self) -> Vec<ReplicaStatus> {
        let status = |replica: &ReplicaHandle| {
            let instances = replica.live.load(Ordering::Relaxed);
            ReplicaStatus { instances, ..replica.status.now().clone() }
        };
        self.deployed.handles().iter().map(status).collect()
    }

    /// Waits until every replica is subscribed; false if one stopped before, or the function is paused.
    pub async fn ready(&self) -> bool {
        let replicas = self.deployed.handles();
        for replica in &replicas {
            let reached = replica.status.wait_for(|status| status.phase != Phase::Starting).await;
            if reached.phase != Phase::Ready {
                return false;
            }
        }
        !replicas.is_empty()
    }

    /// True when every replica is subscribed now.
    pub fn is_ready(&self) -> bool {
        let replicas = self.deployed.handles();
        !replicas.is_empty() && replicas.iter().all(|replica| replica.status.now().phase == Phase::Ready)
    }

    /// Waits until a replica stops by itself (the function returned `fatal`), and says why. Never while paused.
    pub async fn stopped(&self) -> String {
        loop {
            let started = self.deployed.started.notified();
            let waits: Vec<_> = self.deployed.handles().into_iter().map(|r| Box::pin(reason_of_stop(r))).collect();
            if waits.is_empty() {
                started.await;
                continue;
            }
            let (replica, reason) = futures::future::select_all(waits).await.0;
            // If it was told to, it is gone when that is done.
            let _one_at_a_time = self.deployed.changing.lock().await;
            if self.deployed.handles().iter().any(|running| running.commands.same_receiver(&replica.commands)) {
                return reason;
            }
        }
    }

    /// True when no replica has anything in hand.
    pub fn is_idle(&self) -> bool {
        self.deployed.handles().iter().all(|replica| {
            let status = replica.status.now();
            status.phase == Phase::Stopped || (status.is_idle && status.unsettled == 0)
        })
    }
}

impl Deployed {
    fn current(&self) -> Revision {
        held(&self.revisions).current.clone()
    }

    fn handles(&self) -> Vec<ReplicaHandle> {
        held(&self.replicas).clone()
    }

    /// With [`Deployed::changing`] held.
    async fn start(&self) -> Result<(), DeployError> {
        if self.handles().is_empty() {
            let replicas = self.runner.start_replicas(&self.current()).await?;
            *held(&self.replicas) = replicas;
            self.started.notify_waiters();
        }
        Ok(())
    }

    /// With [`Deployed::changing`] held.
    async fn drain(&self, grace: Duration) {
        let replicas = self.handles();
        for replica in &replicas {
            replica.commands.clone().send(Command::Drain { grace }).await.ok();
        }
        for replica in replicas {
            replica.status.wait_for(|status| status.phase == Phase::Stopped).await;
        }
        held(&self.replicas).clear();
    }
}

/// What these locks guard is whole at any moment, also after a panic.
fn held<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn reason_of_stop(replica: ReplicaHandle) -> (ReplicaHandle, String) {
    let stopped = replica.status.wait_for(|status| status.phase == Phase::Stopped).await;
    let reason = stopped.reason.unwrap_or_else(|| "stopped".to_owned());
    (replica, reason)
}
