//! One subscription of a topic: who reads it, what they hold, and what is acknowledged.
//!
//! - [`cursor`]: what is acknowledged
//! - [`queue`]: what is still to be sent
//! - [`connected`]: a consumer and what it holds
//! - [`sharing`]: who gets what: the rules of the four subscription types
//! - [`dispatch`]: sends, under those rules
//! - [`settle`]: acks, nacks and seeks
//!
//! Everything here is memory under the lock of its topic. Changes of the cursor take effect at once and are saved by
//! the next commit; whoever must know that they are saved waits for that commit.

pub(crate) mod connected;
pub(crate) mod cursor;
pub(crate) mod dispatch;
pub(crate) mod members;
pub(crate) mod queue;
pub(crate) mod settle;
pub(crate) mod sharing;
pub(crate) mod slots;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use pulselet_broker::{Error, SubscriptionStats};

use self::connected::Connected;
use self::cursor::Cursor;
use self::queue::Queue;
use self::sharing::Sharing;
use self::slots::ConsumerId;
use crate::store::tables::Place;
use crate::topic::progress::Waiter;

/// A subscription.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) id: u64,
    pub(crate) name: Arc<str>,
    /// Of the topic; 0 without partitions.
    partition: u32,
    pub(crate) cursor: Cursor,
    /// The cursor, or the subscription itself, is not saved.
    pub(crate) unsaved: bool,
    queue: Queue,
    consumers: Vec<Connected>,
    sharing: Sharing,
    /// How often entries were given back, where that was asked for.
    redeliveries: BTreeMap<u64, u32>,
    /// Entries given back with a delay: when, which, by whom.
    nacked: BTreeSet<(Instant, u64, ConsumerId)>,
    /// The consumers together are over the limit of unacknowledged messages.
    blocked: bool,
}

impl Subscription {
    pub(crate) fn new(id: u64, name: Arc<str>, partition: u32, at: Place) -> Self {
        Self::load(id, name, partition, Cursor::new(at), true)
    }

    pub(crate) fn load(id: u64, name: Arc<str>, partition: u32, cursor: Cursor, unsaved: bool) -> Self {
        let queue = Queue::new(cursor.entry());
        Self {
            id,
            name,
            partition,
            cursor,
            unsaved,
            queue,
            consumers: Vec::new(),
            sharing: Sharing::None,
            redeliveries: BTreeMap::new(),
            nacked: BTreeSet::new(),
            blocked: false,
        }
    }

    pub(crate) fn has_consumers(&self) -> bool {
        !self.consumers.is_empty()
    }

    /// First entry that will be read for the first time.
    pub(crate) fn read(&self) -> u64 {
        self.queue.read()
    }

    pub(crate) fn grant(&mut self, id: ConsumerId, messages: u32) {
        if let Some(consumer) = self.consumers.iter_mut().find(|consumer| consumer.id == id) {
            consumer.grant(messages);
        }
    }

    pub(crate) fn stats(&self, messages: u64) -> SubscriptionStats {
        SubscriptionStats {
            name: self.name.to_string(),
            backlog: self.cursor.backlog(messages),
            unacked: self.consumers.iter().map(Connected::unacked).sum(),
            consumers: self.consumers.len() as u32,
        }
    }

    /// Removes a consumer and gives back what it holds; gives who waited for the rest of an entry.
    pub(crate) fn leave(&mut self, id: ConsumerId) -> Vec<Waiter> {
        let Some(at) = self.consumers.iter().position(|consumer| consumer.id == id) else { return Vec::new() };
        let mut gone = self.consumers.remove(at);
        // It may still ask for what it has not seen; somebody else gets that.
        gone.inbox.take_back();
        let was_active = self.sharing.leave(id);
        if self.consumers.is_empty() {
            self.start_over();
            self.sharing = Sharing::None;
        } else if was_active {
            self.choose_active();
        } else if !self.sharing.is_single_active() {
            for (number, pending) in gone.take_pending() {
                self.queue.give_back(number, pending.slot);
            }
        }
        gone.take_partial_waiters()
    }

    /// Ends all consumers.
    pub(crate) fn end(&mut self, error: &Error) {
        for mut consumer in self.consumers.drain(..) {
            for waiter in consumer.take_partial_waiters() {
                waiter.send(Err(error.clone())).ok();
            }
            consumer.inbox.end(error.clone());
        }
        self.sharing = Sharing::None;
    }

    /// Everything that is not acknowledged is to be sent as if it never was.
    fn start_over(&mut self) {
        self.queue.rewind(self.cursor.entry());
        self.redeliveries.clear();
        self.nacked.clear();
        for consumer in &mut self.consumers {
            consumer.take_back_unseen();
            consumer.take_pending();
        }
    }

    /// The extent of an entry, if a consumer holds it.
    pub(crate) fn held_extent(&self, number: u64) -> Option<settle::Extent> {
        self.consumers.iter().find_map(|consumer| consumer.pending(number)).map(|pending| pending.extent)
    }

    fn consumer(&mut self, id: ConsumerId) -> Option<&mut Connected> {
        self.consumers.iter_mut().find(|consumer| consumer.id == id)
    }
}
