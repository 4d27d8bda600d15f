//! A function that was deployed: its replicas as others see them.

use std::sync::Arc;
use std::time::Duration;

use pulselet_api::Resolved;
use pulselet_engine::Assigned;
use tokio::sync::{Mutex, mpsc, watch};

use crate::host::GuestHost;
use crate::replica::Command;
use crate::replica::status::{Phase, ReplicaStatus};
use crate::runner::{DeployError, Inner};

/// A function and its replicas. Dropping it ends them at once: calls under way are broken off, and their messages come
/// again.
pub struct Deployment {
    runner: Arc<Inner>,
    function: Resolved,
    assigned: Arc<Assigned<GuestHost>>,
    /// Empty while paused. Locked for as long as replicas are started or drained.
    replicas: Mutex<()>,
    running: std::sync::Mutex<Vec<ReplicaHandle>>,
}

/// A replica on its thread.
#[derive(Clone)]
pub(crate) struct ReplicaHandle {
    commands: mpsc::Sender<Command>,
    status: watch::Receiver<ReplicaStatus>,
}

impl ReplicaHandle {
    pub(crate) fn new(commands: mpsc::Sender<Command>, status: watch::Receiver<ReplicaStatus>) -> Self {
        Self { commands, status }
    }
}

impl Deployment {
    pub(crate) fn new(runner: Arc<Inner>, function: Resolved, assigned: Arc<Assigned<GuestHost>>) -> Self {
        Self { runner, function, assigned, replicas: Mutex::default(), running: std::sync::Mutex::default() }
    }

    /// What was declared.
    pub fn function(&self) -> &Resolved {
        &self.function
    }

    /// What runs.
    pub fn component(&self) -> &Assigned<GuestHost> {
        &self.assigned
    }

    /// Starts the replicas if they are paused; nothing happens otherwise.
    ///
    /// # Errors
    /// When a replica's state on disk cannot be used, or the runner is ending.
    pub async fn resume(&self) -> Result<(), DeployError> {
        let _one_at_a_time = self.replicas.lock().await;
        if self.handles().is_empty() {
            let replicas = self.runner.start_replicas(&self.function, &self.assigned).await?;
            *self.running() = replicas;
        }
        Ok(())
    }

    /// Finishes and settles what is being called, then closes everything; the rest goes back to the broker, and so does
    /// what is not finished within `grace`. The subscription stays, so that nothing is missed until
    /// [`Deployment::resume`].
    ///
    /// # Cancel safety
    /// Replicas that were told to drain do so if this is dropped.
    pub async fn pause(&self, grace: Duration) {
        let _one_at_a_time = self.replicas.lock().await;
        let replicas = self.handles();
        for replica in &replicas {
            replica.commands.send(Command::Drain { grace }).await.ok();
        }
        for replica in replicas {
            let mut status = replica.status;
            status.wait_for(|status| status.phase == Phase::Stopped).await.ok();
        }
        self.running().clear();
    }

    /// The state of each replica, by ordinal; empty while paused.
    pub fn status(&self) -> Vec<ReplicaStatus> {
        self.handles().iter().map(|replica| replica.status.borrow().clone()).collect()
    }

    /// Waits until every replica is subscribed; false if one stopped before, or the function is paused.
    pub async fn ready(&self) -> bool {
        let replicas = self.handles();
        for replica in &replicas {
            let mut status = replica.status.clone();
            let reached = status.wait_for(|status| status.phase != Phase::Starting).await;
            if !matches!(reached.map(|status| status.phase), Ok(Phase::Ready)) {
                return false;
            }
        }
        !replicas.is_empty()
    }

    /// True when every replica is subscribed now.
    pub fn is_ready(&self) -> bool {
        let replicas = self.handles();
        !replicas.is_empty() && replicas.iter().all(|replica| replica.status.borrow().phase == Phase::Ready)
    }

    /// Waits until a replica stops by itself (the function returned `fatal`), and says why. Never while paused.
    pub async fn stopped(&self) -> String {
        let waits: Vec<_> = self.handles().into_iter().map(|replica| Box::pin(reason_of_stop(replica))).collect();
        if waits.is_empty() {
            return std::future::pending().await;
        }
        futures::future::select_all(waits).await.0
    }

    /// True when no replica has anything in hand.
    pub fn is_idle(&self) -> bool {
        self.handles().iter().all(|replica| {
            let status = replica.status.borrow();
            status.phase == Phase::Stopped || (status.is_idle && status.unsettled == 0)
        })
    }

    fn handles(&self) -> Vec<ReplicaHandle> {
        self.running().clone()
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Vec<ReplicaHandle>> {
        self.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

async fn reason_of_stop(replica: ReplicaHandle) -> String {
    let mut status = replica.status;
    let stopped = status.wait_for(|status| status.phase == Phase::Stopped).await;
    stopped.ok().and_then(|status| status.reason.clone()).unwrap_or_else(|| "stopped".to_owned())
}
