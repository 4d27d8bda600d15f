//! What happens to each message between delivery and acknowledgement: a state machine without I/O, clock or chance.
//!
//! The replica feeds it (deliveries, verdicts of calls, confirmations, time) and carries out what it asks for (calls,
//! acks, nacks, dead letters, permits). One message goes through these states:
//!
//! ```text
//!  deliver ──► Queued ──► Calling ──► Sending ──► Settled ──► ack
//!                ▲           │           │ (Manual: Open until the guest settles it)
//!                │           ▼           ▼
//!                └──────── Waiting ◄─ output refused
//!                            │
//!                            ├──► given back (nack), only the id is remembered
//!                            └──► Leaving (retry topic, dead letter topic) ──► Settled ──► ack
//! ```
//!
//! - [`lanes`]: which message may be called next, by the order that was asked for
//! - [`entries`]: the entries in memory and the state of their messages
//! - [`attempts`]: how often each failing message was tried
//! - [`permits`]: how much the broker may send

pub(crate) mod attempts;
mod deliver;
mod entries;
mod fail;
mod lanes;
mod manual;
mod permits;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
mod verdict;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pulselet_api::{Guarantee, RetryPolicy, SubscriptionKind};
use pulselet_broker::{Entry, MessageId};

use attempts::Attempts;
pub(crate) use entries::Task;
use entries::{Entries, State};
use lanes::Lanes;
use manual::Manual;
pub(crate) use manual::{Handles, Settle};
use permits::Permits;
pub(crate) use verdict::{Failure, Verdict};

/// Which consumer of the replica a message came from.
pub(crate) type Source = u32;

/// The rules of one replica; they do not change while it lives.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) order: SubscriptionKind,
    pub(crate) guarantee: Guarantee,
    pub(crate) retry: RetryPolicy,
    /// Unsettled messages of one consumer in memory.
    pub(crate) window_messages: u32,
    /// Bytes of them, over all consumers.
    pub(crate) window_bytes: u64,
    /// Whether messages that fail for good go to a dead letter topic; if not, they are acked and counted.
    pub(crate) dead_letters: bool,
}

/// A message to be called.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub(crate) task: Task,
    pub(crate) entry: Arc<Entry>,
    /// Place of the message in `entry.messages`.
    pub(crate) at: usize,
    /// Attempts before this one.
    pub(crate) attempts: u32,
    call: u64,
}

/// Who waits for the confirmation of an output: a message in one of its calls. A place in memory is used again, and a
/// message may be called again; what comes late for an earlier call must not count for a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) task: Task,
    call: u64,
}

impl Work {
    pub(crate) fn owner(&self) -> Owner {
        Owner { task: self.task, call: self.call }
    }
}

/// A message that leaves its topic: for the dead letter topic, or for the retry topic.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) task: Task,
    pub(crate) entry: Arc<Entry>,
    pub(crate) at: usize,
    pub(crate) attempts: u32,
    pub(crate) reason: String,
    /// To the retry topic, to be delivered again after this long; otherwise it failed for good.
    pub(crate) again_after: Option<Duration>,
}

/// A message that was acked without being handled, because there is no dead letter topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dropped {
    pub(crate) id: MessageId,
    pub(crate) reason: String,
}

/// What the replica has to carry out. Each list is drained by it.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    pub(crate) acks: Vec<(Source, MessageId)>,
    /// At-most-once: entries to be acked, with receipt, before their messages are called.
    pub(crate) acks_first: Vec<(Source, MessageId, usize)>,
    pub(crate) nacks: Vec<(Source, MessageId, Duration)>,
    pub(crate) letters: Vec<Letter>,
    pub(crate) dropped: Vec<Dropped>,
    /// The guest asked for the replica to stop.
    pub(crate) fatal: Option<String>,
}

/// See the module.
pub(crate) struct Settlement {
    policy: Policy,
    entries: Entries,
    lanes: Lanes,
    attempts: Attempts,
    permits: Permits,
    manual: Manual,
    /// Letters that were refused, and when to try them again.
    postponed: Vec<(Instant, Letter)>,
    /// Entries some of whose members were settled since the last [`Settlement::ack_members`].
    partly_acked: VecDeque<usize>,
    orders: Orders,
    /// The guest asked to stop: nothing more is called.
    is_stopped: bool,
    /// Calls given out so far, counted by message.
    calls: u64,
}

impl Settlement {
    pub(crate) fn new(policy: Policy, attempts: Attempts) -> Self {
        Self {
            lanes: Lanes::new(policy.order),
            permits: Permits::new(policy.window_messages, policy.window_bytes),
            policy,
            entries: Entries::default(),
            attempts,
            manual: Manual::default(),
            postponed: Vec::new(),
            partly_acked: VecDeque::new(),
            orders: Orders::default(),
            is_stopped: false,
            calls: 0,
        }
    }

    /// What is to be done now; empties the lists.
    pub(crate) fn take_orders(&mut self) -> Orders {
        std::mem::take(&mut self.orders)
    }

    /// How many messages to grant to a consumer now; counts them as granted.
    pub(crate) fn take_grant(&mut self, source: Source) -> u32 {
        let missing = self.permits.missing(source);
        // Asked last: it looks at everything that waits, and a grant is seldom due.
        if missing == 0 || self.is_over_held_budget() {
            return 0;
        }
        self.permits.granted(source, missing);
        missing
    }

    /// Up to `max` messages that may be called together now, in order.
    pub(crate) fn next_call(&mut self, max: usize, into: &mut Vec<Work>) {
        if self.is_stopped {
            return;
        }
        self.lanes.take(max, &self.entries, |task| {
            if let Some(work) = self.entries.work(task) {
                into.push(work);
            }
        });
        for work in into.iter_mut() {
            work.attempts = self.attempts.of(&work.entry, work.at);
            self.calls += 1;
            work.call = self.calls;
            self.entries.start_call(work.task, work.call);
        }
    }

    /// True when [`Settlement::next_call`] has something to give.
    pub(crate) fn has_work(&self) -> bool {
        !self.is_stopped && self.lanes.has_ready()
    }

    /// Messages in memory that are not settled.
    pub(crate) fn unsettled(&self) -> usize {
        self.entries.unsettled()
    }

    /// When [`Settlement::tick`] is due.
    pub(crate) fn next_timer(&self) -> Option<Instant> {
        let letters = self.postponed.iter().map(|(at, _)| *at).min();
        [self.lanes.next_timer(), letters].into_iter().flatten().min()
    }

    /// Lets waiting messages go on whose time has come.
    pub(crate) fn tick(&mut self, now: Instant) {
        for task in self.lanes.expire(now) {
            self.entries.set_state(task, State::Queued);
        }
        let due = self.postponed.extract_if(.., |(at, _)| *at <= now);
        self.orders.letters.extend(due.map(|(_, letter)| letter));
    }

    /// True while more messages wait behind retries than the policy allows; no permits are given out then.
    pub(crate) fn is_over_held_budget(&self) -> bool {
        let (messages, bytes) = self.lanes.held(&self.entries);
        messages >= u64::from(self.policy.retry.held_messages) || bytes >= self.policy.retry.held_bytes
    }

    /// Acks the settled members of entries that are not complete. Called when there is nothing better to do, since one
    /// ack of a complete entry is cheaper than one of each member.
    pub(crate) fn ack_members(&mut self) {
        while let Some(key) = self.partly_acked.pop_front() {
            self.entries.take_member_acks(key, |source, id| self.orders.acks.push((source, id)));
        }
    }

    /// Settles a message: it will be acked, and is forgotten once its entry is complete.
    fn settle(&mut self, task: Task) {
        let Some(settled) = self.entries.settle(task) else { return };
        self.forget_handle(task);
        self.attempts.forget(&settled.entry, settled.at);
        self.permits.settled(settled.source, settled.bytes);
        if self.policy.guarantee == Guarantee::AtMostOnce {
            return;
        }
        match settled.complete {
            Some(id) => self.orders.acks.push((settled.source, id)),
            None if settled.first_since_ack => self.partly_acked.push_back(task.entry),
            None => {}
        }
    }
}
