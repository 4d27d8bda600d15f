//! Messages arrive, and consumers come and go.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use pulselet_api::{Guarantee, SubscriptionKind};
use pulselet_broker::{Entry, Message, MessageId};

use super::entries::{State, Task};
use super::lanes::LaneId;
use super::{Settlement, Source};

impl Settlement {
    /// A consumer is open, for the first time or again: nothing is granted on it, and what is in hand counts.
    pub(crate) fn opened(&mut self, source: Source) {
        self.permits.opened(source);
        let in_hand = self.entries.tasks(source, State::is_in_memory).len();
        self.permits.counted(source, in_hand);
    }

    /// A consumer is gone for good: what is not settled will be delivered to somebody else.
    pub(crate) fn closed(&mut self, source: Source) {
        self.forget_uncalled(source);
        self.permits.closed(source);
    }

    /// Takes a delivered entry. With at-most-once its messages are called only after
    /// [`Settlement::acked_first`].
    pub(crate) fn deliver(&mut self, source: Source, entry: Entry) {
        let bytes = entry.messages.iter().map(|m| m.payload.len() as u64).sum();
        self.permits.delivered(source, entry.messages.len(), bytes);
        if entry.messages.is_empty() {
            return;
        }
        let (key, fresh) = self.entries.insert(source, entry);
        let (count, bytes) = self.fresh_size(key, &fresh);
        if count == 0 {
            return;
        }
        self.permits.taken(source, count, bytes);
        if self.policy.guarantee == Guarantee::AtMostOnce {
            self.ask_for_first_ack(key);
            return;
        }
        for member in (0u32..).zip(fresh).filter_map(|(member, fresh)| fresh.then_some(member)) {
            self.enqueue(Task { entry: key, member });
        }
    }

    /// At-most-once: the ack of an entry is confirmed, or failed; then it will come again and is forgotten.
    pub(crate) fn acked_first(&mut self, key: usize, is_acked: bool) {
        let Some((source, entry)) = self.entries.entry(key) else { return };
        let messages = entry.messages.clone();
        for (member, message) in (0u32..).zip(&messages) {
            if is_acked {
                self.enqueue(Task { entry: key, member });
            } else {
                self.permits.settled(source, message.payload.len() as u64);
            }
        }
        if !is_acked {
            self.entries.remove(key);
        }
    }

    /// The connection is new, or the cursor was moved: what was not called yet is dropped, since it comes again if it
    /// is still due. What is being called or sent goes on; if it comes again meanwhile, it is recognised.
    pub(crate) fn reset(&mut self, source: Source) {
        self.forget_uncalled(source);
        self.opened(source);
    }

    /// Drops what this consumer delivered and nobody has called yet.
    ///
    /// At most once nothing is dropped: it is acked, or its ack is under way, so it would not come again.
    pub(crate) fn forget_uncalled(&mut self, source: Source) {
        if self.policy.guarantee == Guarantee::AtMostOnce {
            return;
        }
        let uncalled = self.entries.tasks(source, |state| matches!(state, State::Queued | State::Waiting));
        let gone: std::collections::HashSet<Task> = uncalled.iter().copied().collect();
        self.lanes.remove(|task| gone.contains(&task));
        for task in uncalled {
            if let Some((source, _, bytes)) = self.entries.give_back(task) {
                self.permits.settled(source, bytes);
            }
        }
    }

    pub(super) fn lane_of(&self, task: Task) -> LaneId {
        let Some((source, entry)) = self.entries.entry(task.entry) else { return 0 };
        match self.policy.order {
            SubscriptionKind::Shared => 0,
            SubscriptionKind::Failover => LaneId::from(source),
            SubscriptionKind::KeyShared => entry.messages.get(task.member as usize).map_or(0, key_lane),
        }
    }

    fn enqueue(&mut self, task: Task) {
        if let Some((_, entry)) = self.entries.entry(task.entry)
            && self.attempts.was_suspect(entry, task.member as usize)
        {
            self.entries.set_alone(task);
        }
        if self.has_used_up_attempts(task) {
            // Its last attempt did not come back to say so. It must not get another one.
            self.finish_unhandled(task, "the process died while the message was being called".to_owned());
            return;
        }
        self.lanes.push(self.lane_of(task), task);
    }

    fn has_used_up_attempts(&self, task: Task) -> bool {
        let Some((_, entry)) = self.entries.entry(task.entry) else { return false };
        let made = self.attempts.of(entry, task.member as usize);
        self.policy.guarantee != Guarantee::AtMostOnce && self.policy.retry.max_retries.is_some_and(|max| made > max)
    }

    fn fresh_size(&self, key: usize, fresh: &[bool]) -> (usize, u64) {
        let Some((_, entry)) = self.entries.entry(key) else { return (0, 0) };
        let sizes = entry.messages.iter().zip(fresh).filter(|(_, fresh)| **fresh).map(|(m, _)| m.payload.len() as u64);
        sizes.fold((0, 0), |(count, bytes), size| (count + 1, bytes + size))
    }

    fn ask_for_first_ack(&mut self, key: usize) {
        if let Some((source, entry)) = self.entries.entry(key) {
            let partition = entry.topic.partition().map_or(-1, |p| p as i32);
            let id = MessageId { position: entry.position, partition, batch_index: -1 };
            self.orders.acks_first.push((source, id, key));
        }
    }
}

/// Messages of one key share a lane. Two keys may share one by chance: that costs parallelism, never order.
fn key_lane(message: &Message) -> LaneId {
    let key = message.metadata.ordering_key().or_else(|| message.metadata.key());
    BuildHasherDefault::<DefaultHasher>::default().hash_one(key.unwrap_or_default())
}
