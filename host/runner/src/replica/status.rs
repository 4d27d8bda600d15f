//! What others may know of a replica.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

/// Where a replica is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Phase {
    /// Its consumers are not all open yet.
    #[default]
    Starting,
    /// Subscribed to everything, component verified.
    Ready,
    /// Finishing what is in its hands.
    Draining,
    /// It does nothing any more; [`ReplicaStatus::reason`] says why.
    Stopped,
}

/// The state of a replica at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReplicaStatus {
    /// Where it is in its life.
    pub phase: Phase,
    /// Why it stopped, or what troubles it; the latest only.
    pub reason: Option<String>,
    /// Messages in memory that are not settled.
    pub unsettled: usize,
    /// Nothing is being called, sent or settled.
    pub is_idle: bool,
    /// Calls that returned a value, by message.
    pub processed: u64,
    /// Calls that did not, by message.
    pub failed: u64,
    /// Messages stored in a dead letter topic.
    pub dead_letters: u64,
    /// Messages acked without having been handled.
    pub dropped: u64,
    /// Instances that live now.
    pub instances: u32,
    /// Times an instance had to be made for a message, unless each call has one of its own.
    pub cold_starts: u64,
    /// How long the latest of them took, up to the answer.
    pub last_cold_start: Option<Duration>,
    /// Too much waits behind messages that are being retried: no more is taken in.
    pub is_held: bool,
}

impl ReplicaStatus {
    pub(crate) fn enter(&mut self, phase: Phase) {
        if self.phase != Phase::Stopped {
            self.phase = phase;
        }
    }

    pub(crate) fn note(&mut self, reason: String) {
        self.reason = Some(reason);
    }
}

/// The status of a replica, as the replica writes it. When it is dropped, the replica is gone and has stopped.
pub(crate) struct StatusWriter(Arc<Published>);

/// The same, as others read it.
#[derive(Clone)]
pub(crate) struct StatusReader(Arc<Published>);

/// A watch channel would do, and take three times the memory, which every idle replica has to pay.
#[derive(Default)]
struct Published {
    status: Mutex<ReplicaStatus>,
    changed: Notify,
}

impl StatusWriter {
    pub(crate) fn new() -> (Self, StatusReader) {
        let published = Arc::<Published>::default();
        (Self(Arc::clone(&published)), StatusReader(published))
    }

    /// Changes it and tells those who wait.
    pub(crate) fn change(&self, change: impl FnOnce(&mut ReplicaStatus)) {
        self.change_if(|status| {
            change(status);
            true
        });
    }

    /// Changes it, and tells those who wait if they should know.
    pub(crate) fn change_if(&self, change: impl FnOnce(&mut ReplicaStatus) -> bool) {
        if change(&mut self.0.held()) {
            self.0.changed.notify_waiters();
        }
    }
}

impl Drop for StatusWriter {
    fn drop(&mut self) {
        self.change(|status| status.phase = Phase::Stopped);
    }
}

impl StatusReader {
    /// What it is now.
    pub(crate) fn now(&self) -> MutexGuard<'_, ReplicaStatus> {
        self.0.held()
    }

    /// Waits until it is like this.
    pub(crate) async fn wait_for(&self, mut is_reached: impl FnMut(&ReplicaStatus) -> bool) -> ReplicaStatus {
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            // From here on no change is missed.
            changed.as_mut().enable();
            let now = self.now().clone();
            if is_reached(&now) {
                return now;
            }
            changed.await;
        }
    }
}

impl Published {
    fn held(&self) -> MutexGuard<'_, ReplicaStatus> {
        // Whole at any moment.
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
