//! What others may know of a replica.

use std::time::Duration;

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
    /// Times an instance had to be made for a message.
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
