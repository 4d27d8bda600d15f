use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::members::Members;
use super::settle::Extent;
use super::slots::ConsumerId;
use crate::inbox::{Delivery, Inbox};
use crate::topic::entry::StoredEntry;
use crate::topic::progress::Waiter;

/// A consumer as its subscription sees it.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) id: ConsumerId,
    pub(crate) name: String,
    /// Lower is served first, on Failover.
    pub(crate) priority: i32,
    pub(crate) batch_index_ack: bool,
    pub(crate) inbox: Arc<Inbox>,
    /// Messages it will still take; below zero when a batch went over.
    permits: i64,
    /// Messages sent and not acknowledged.
    unacked: u64,
    /// Over the limit of unacknowledged messages, and not yet down to half of it.
    blocked: bool,
    /// Got something since it was woken.
    delivered: bool,
    /// Entries sent and not acknowledged whole.
    pending: BTreeMap<u64, Pending>,
    /// How many of them there are of each Key_Shared slot.
    slots: HashMap<u16, u32>,
    /// Acknowledged members that only this consumer knows of.
    partials: BTreeMap<u64, Partial>,
    /// Since a seek: the entries sent after it. What it settles besides was sent before, and does not count.
    since_seek: Option<BTreeSet<u64>>,
}

/// An entry in a consumer's hands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    /// Messages of it that are not acknowledged.
    pub(crate) left: u32,
    pub(crate) extent: Extent,
    pub(crate) slot: u16,
    /// It was given back, and goes out again then.
    pub(crate) due: Option<std::time::Instant>,
}

/// Acknowledged members of an entry, of which the broker hears when it is complete.
#[derive(Debug)]
struct Partial {
    members: Members,
    waiters: Vec<Waiter>,
}

impl Connected {
    pub(crate) fn new(id: ConsumerId, name: String, priority: i32, batch_index_ack: bool, inbox: Arc<Inbox>) -> Self {
        Self {
            id,
            name,
            priority,
            batch_index_ack,
            inbox,
            permits: 0,
            unacked: 0,
            blocked: false,
            delivered: false,
            pending: BTreeMap::new(),
            slots: HashMap::new(),
            partials: BTreeMap::new(),
            since_seek: None,
        }
    }

    pub(crate) fn grant(&mut self, messages: u32) {
        self.permits = self.permits.saturating_add(i64::from(messages));
    }

    /// Whether it takes an entry now, where unacknowledged messages are limited.
    pub(crate) fn is_ready(&mut self, max_unacked: u64) -> bool {
        self.blocked = if self.blocked { self.unacked > max_unacked / 2 } else { self.unacked >= max_unacked };
        self.permits > 0 && !self.blocked
    }

    /// Whether it takes an entry now.
    pub(crate) fn has_permits(&self) -> bool {
        self.permits > 0
    }

    pub(crate) fn unacked(&self) -> u64 {
        self.unacked
    }

    /// Sends an entry of which the members in `acked` are acknowledged.
    pub(crate) fn deliver(&mut self, entry: Arc<StoredEntry>, acked: Option<Members>, redelivery_count: u32) {
        let left = acked.as_ref().map_or(entry.count, Members::left);
        self.permits -= i64::from(left);
        self.unacked += u64::from(left);
        if let Some(sent) = &mut self.since_seek {
            sent.insert(entry.number);
        }
        let pending = Pending { left, extent: Extent::from(entry.as_ref()), slot: entry.slot, due: None };
        self.pending.insert(entry.number, pending);
        *self.slots.entry(entry.slot).or_insert(0) += 1;
        self.inbox.deliver(Delivery { entry, acked, redelivery_count });
        self.delivered = true;
    }

    /// One wake-up for all that a round has brought.
    pub(crate) fn wake_if_delivered(&mut self) {
        if std::mem::take(&mut self.delivered) {
            self.inbox.wake();
        }
    }

    /// Whether an entry of a Key_Shared slot is in its hands.
    pub(crate) fn holds(&self, slot: u16) -> bool {
        self.slots.contains_key(&slot)
    }

    pub(crate) fn pending(&self, entry: u64) -> Option<&Pending> {
        self.pending.get(&entry)
    }

    pub(crate) fn pending_mut(&mut self, entry: u64) -> Option<&mut Pending> {
        self.pending.get_mut(&entry)
    }

    /// The entry is no longer in its hands.
    pub(crate) fn remove_pending(&mut self, entry: u64) -> Option<Pending> {
        let pending = self.pending.remove(&entry)?;
        self.unacked -= u64::from(pending.left);
        if let Entry::Occupied(mut held) = self.slots.entry(pending.slot) {
            *held.get_mut() -= 1;
            if *held.get() == 0 {
                held.remove();
            }
        }
        Some(pending)
    }

    /// Some members of an entry in its hands are acknowledged.
    pub(crate) fn acked_members(&mut self, entry: u64, members: u32) {
        if let Some(pending) = self.pending.get_mut(&entry) {
            let members = members.min(pending.left);
            pending.left -= members;
            self.unacked -= u64::from(members);
        }
    }

    /// All entries before `entry` are acknowledged; gives who waited for one of them.
    pub(crate) fn acked_before(&mut self, entry: u64) -> Vec<Waiter> {
        while let Some(first) = self.pending.first_key_value().map(|(number, _)| *number).filter(|n| *n < entry) {
            self.remove_pending(first);
        }
        if let Some(sent) = &mut self.since_seek {
            while sent.first().is_some_and(|first| *first < entry) {
                sent.pop_first();
            }
        }
        let mut waiters = Vec::new();
        while let Some(first) = self.partials.first_entry().filter(|first| *first.key() < entry) {
            waiters.append(&mut first.remove().waiters);
        }
        waiters
    }

    /// Everything in its hands, which it no longer holds.
    pub(crate) fn take_pending(&mut self) -> BTreeMap<u64, Pending> {
        self.unacked = 0;
        self.slots.clear();
        std::mem::take(&mut self.pending)
    }

    /// Takes back what it has not seen, and gives it the permits for that again.
    pub(crate) fn take_back_unseen(&mut self) {
        for number in self.inbox.take_back() {
            if let Some(pending) = self.pending.get(&number) {
                self.permits += i64::from(pending.left);
            }
        }
    }

    /// Takes back one entry that somebody else acknowledged, if it has not seen it.
    pub(crate) fn take_back_one(&mut self, number: u64, left: u32) {
        if self.inbox.take_back_one(number) {
            self.permits += i64::from(left);
        }
    }

    /// Whether what it says of an entry counts.
    pub(crate) fn may_settle(&self, entry: u64) -> bool {
        self.since_seek.as_ref().is_none_or(|sent| sent.contains(&entry))
    }

    /// The cursor has been moved: what it holds does not count any more.
    pub(crate) fn sought(&mut self) -> Vec<Waiter> {
        self.take_back_unseen();
        self.take_pending();
        self.since_seek = Some(BTreeSet::new());
        self.inbox.reset();
        self.take_partial_waiters()
    }

    /// Remembers acknowledged members of an entry besides those that are `known` to be. True when all of them are.
    pub(crate) fn ack_partially(&mut self, entry: u64, known: Members, indexes: impl Iterator<Item = u32>) -> bool {
        let members = known;
        let partial = self.partials.entry(entry).or_insert_with(|| Partial { members, waiters: Vec::new() });
        indexes.for_each(|index| {
            partial.members.insert(index);
        });
        partial.members.left() == 0
    }

    /// Somebody waits for the entry to be complete.
    pub(crate) fn wait_for_rest(&mut self, entry: u64, waiter: Waiter) {
        if let Some(partial) = self.partials.get_mut(&entry) {
            partial.waiters.push(waiter);
        }
    }

    /// The entry is acknowledged whole; gives who waited for that.
    pub(crate) fn completed(&mut self, entry: u64) -> Vec<Waiter> {
        self.partials.remove(&entry).map(|partial| partial.waiters).unwrap_or_default()
    }

    /// Forgets what only this consumer knew; gives who waited for the rest of it.
    pub(crate) fn take_partial_waiters(&mut self) -> Vec<Waiter> {
        std::mem::take(&mut self.partials).into_values().flat_map(|partial| partial.waiters).collect()
    }
}
