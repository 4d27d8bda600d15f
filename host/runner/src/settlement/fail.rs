//! What becomes of a message that failed, by subscription:
//!
//! - Failover: tried again in place, the partition waits (a nack there would bring back everything unacknowledged);
//! - Key_Shared: tried again in place, its key waits, other keys go on;
//! - Shared, a single message: given back with a delay, only its id is kept;
//! - Shared, a member of a batch: tried again in place from the entry in memory, others go on;
//! - Shared, with a retry topic: stored there with a delay, then acked.
//!
//! Where the host is to blame, the message is tried again in place on every subscription, and no attempt is counted.

use std::time::{Duration, Instant};

use pulselet_api::{Guarantee, SubscriptionKind};

use super::entries::{State, Task};
use super::{Dropped, Failure, Letter, Settlement, Verdict};

impl Settlement {
    /// Settles the fate of a failed message; `Some(when)` if it is to be called again in place.
    pub(super) fn fail(&mut self, task: Task, failure: Failure, now: Instant) -> Option<Instant> {
        let (_, entry) = self.entries.entry(task.entry)?;
        let entry = std::sync::Arc::clone(entry);
        let at = task.member as usize;
        match failure {
            Failure::Fatal(reason) => {
                self.orders.fatal.get_or_insert(reason);
                self.is_stopped = true;
                // Not counted: the message is not to blame. It stays unacked and comes again after a restart.
                self.give_back(task);
                None
            }
            _ if self.policy.guarantee == Guarantee::AtMostOnce => {
                self.drop_message(task, reason_of(failure));
                None
            }
            // Waits in place on every subscription: giving it back would raise the broker's count.
            Failure::Host(_) => Some(now + self.policy.retry.backoff_initial),
            Failure::Reject(reason) => {
                self.finish_unhandled(task, reason);
                None
            }
            Failure::Retry { reason, delay } => {
                let made = self.attempts.failed(&entry, at);
                if self.policy.retry.max_retries.is_some_and(|max| made > max) {
                    self.finish_unhandled(task, reason);
                    return None;
                }
                let delay = delay.unwrap_or_else(|| self.backoff(made));
                if self.policy.retry.retry_topic.is_some() {
                    self.entries.set_state(task, State::Leaving);
                    let again_after = Some(delay);
                    self.orders.letters.push(Letter { task, entry, at, attempts: made, reason, again_after });
                    return None;
                }
                if self.is_given_back(&entry) {
                    self.nack(task, delay);
                    return None;
                }
                Some(now + delay)
            }
        }
    }

    /// Whether [`Settlement::fail`] would have the message called again in place.
    pub(super) fn comes_again(&self, verdict: &Verdict, task: Task) -> bool {
        match verdict {
            Verdict::Done { .. } | Verdict::Failed(Failure::Reject(_)) => false,
            // After a fatal error its message comes again, to whoever runs next.
            Verdict::Replay | Verdict::Failed(Failure::Fatal(_)) => true,
            Verdict::Failed(Failure::Host(_)) => self.policy.guarantee != Guarantee::AtMostOnce,
            Verdict::Failed(Failure::Retry { .. }) => {
                let Some((_, entry)) = self.entries.entry(task.entry) else { return false };
                let made = self.attempts.of(entry, task.member as usize).saturating_add(1);
                self.policy.guarantee != Guarantee::AtMostOnce
                    && self.policy.retry.max_retries.is_none_or(|max| made <= max)
            }
        }
    }

    /// A letter is stored, or was refused; then it is tried again later.
    pub(crate) fn letter_answered(&mut self, letter: Letter, is_stored: bool, now: Instant) {
        if self.entries.state(letter.task) != Some(State::Leaving) {
            return;
        }
        if is_stored {
            self.settle(letter.task);
        } else {
            self.postponed.push((now + self.policy.retry.backoff_max, letter));
        }
    }

    /// Tells the broker to deliver a message again, and forgets its content.
    pub(super) fn nack(&mut self, task: Task, delay: Duration) {
        if let Some((source, id)) = self.give_back(task) {
            self.orders.nacks.push((source, id, delay));
        }
    }

    fn give_back(&mut self, task: Task) -> Option<(super::Source, pulselet_broker::MessageId)> {
        let (source, id, bytes) = self.entries.give_back(task)?;
        self.forget_handle(task);
        self.permits.settled(source, bytes);
        Some((source, id))
    }

    fn is_given_back(&self, entry: &pulselet_broker::Entry) -> bool {
        let single = !entry.is_batch || entry.messages.len() == 1;
        self.policy.order == SubscriptionKind::Shared && (single || self.is_over_held_budget())
    }

    /// The message will not be tried again: to the dead letter topic, or acked and counted where there is none.
    pub(super) fn finish_unhandled(&mut self, task: Task, reason: String) {
        if !self.policy.dead_letters {
            self.drop_message(task, reason);
            return;
        }
        let Some(work) = self.entries.work(task) else { return };
        self.entries.set_state(task, State::Leaving);
        let attempts = self.attempts.of(&work.entry, work.at);
        let letter = Letter { task, entry: work.entry, at: work.at, attempts, reason, again_after: None };
        self.orders.letters.push(letter);
    }

    fn drop_message(&mut self, task: Task, reason: String) {
        if let Some(id) = self.entries.id(task) {
            self.orders.dropped.push(Dropped { id, reason });
        }
        self.settle(task);
    }

    fn backoff(&self, attempts_made: u32) -> Duration {
        let retry = &self.policy.retry;
        let doublings = attempts_made.saturating_sub(1).min(20);
        retry.backoff_initial.saturating_mul(1 << doublings).min(retry.backoff_max)
    }
}

fn reason_of(failure: Failure) -> String {
    match failure {
        Failure::Retry { reason, .. } | Failure::Host(reason) | Failure::Reject(reason) | Failure::Fatal(reason) => {
            reason
        }
    }
}
