use std::time::Instant;

use pulselet_broker::MessageId;
use tokio::sync::oneshot;

use super::Subscription;
use super::members::Members;
use super::slots::ConsumerId;
use crate::store::tables::Place;
use crate::topic::progress::Waiter;

/// Where an entry is and how many messages it has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    pub(crate) start: Place,
    pub(crate) count: u32,
    /// Bytes of its messages.
    pub(crate) bytes: u64,
}

impl Extent {
    pub(crate) fn end(&self) -> Place {
        let Place { entry, message, byte } = self.start;
        Place { entry: entry + 1, message: message + u64::from(self.count), byte: byte + self.bytes }
    }
}

/// What an ack has done.
#[derive(Debug, Default)]
pub(crate) struct Acked {
    /// The cursor has changed and is to be saved.
    pub(crate) changed: bool,
    /// Entries that wait for more of their members.
    pub(crate) rest: Vec<oneshot::Receiver<pulselet_broker::Result<()>>>,
    /// Who waited for an entry that is complete now.
    pub(crate) completed: Vec<Waiter>,
}

impl Subscription {
    /// Acknowledges messages of one entry: those of `ids`, which all name it.
    pub(crate) fn ack(&mut self, by: ConsumerId, entry: &Extent, ids: &[MessageId], acked: &mut Acked) {
        let (number, count) = (entry.start.entry, entry.count);
        let Some(consumer) = self.consumer(by).filter(|consumer| consumer.may_settle(number)) else { return };
        let batch_index_ack = consumer.batch_index_ack;
        if self.cursor.is_acked(number) {
            return;
        }
        let whole = ids.iter().any(|id| id.batch_index < 0) || count == 1;
        let indexes = ids.iter().filter_map(|id| u32::try_from(id.batch_index).ok());
        if whole || self.ack_members(by, entry, indexes, batch_index_ack, acked) {
            self.cursor.ack_entry(number, count);
            acked.changed = true;
        }
        if self.cursor.is_acked(number) {
            self.finish_entry(by, number, acked);
        }
    }

    /// Acknowledges members of an entry; true if the entry is complete and the cursor does not know it yet.
    fn ack_members(
        &mut self,
        by: ConsumerId,
        entry: &Extent,
        indexes: impl Iterator<Item = u32> + Clone,
        batch_index_ack: bool,
        acked: &mut Acked,
    ) -> bool {
        let (number, count) = (entry.start.entry, entry.count);
        if batch_index_ack {
            let new = self.cursor.ack_members(number, count, indexes);
            acked.changed |= new > 0;
            if let Some(holder) = self.consumers.iter_mut().find(|consumer| consumer.pending(number).is_some()) {
                holder.acked_members(number, new);
            }
            return false;
        }
        let known = self.cursor.members(number).cloned().unwrap_or_else(|| Members::new(count));
        let Some(consumer) = self.consumer(by) else { return false };
        if consumer.ack_partially(number, known, indexes) {
            return true;
        }
        let (sender, receiver) = oneshot::channel();
        consumer.wait_for_rest(number, sender);
        acked.rest.push(receiver);
        false
    }

    /// An entry is acknowledged whole: nobody holds it any more, and it does not go out again.
    fn finish_entry(&mut self, by: ConsumerId, number: u64, acked: &mut Acked) {
        for consumer in &mut self.consumers {
            acked.completed.append(&mut consumer.completed(number));
            if let Some(pending) = consumer.remove_pending(number)
                && consumer.id != by
            {
                consumer.take_back_one(number, pending.left);
            }
        }
        self.queue.remove(number);
        self.redeliveries.remove(&number);
        self.forget_before_cursor(acked);
    }

    /// Acknowledges an entry up to a member (all of it when `index` is below zero), and everything before it.
    pub(crate) fn ack_cumulative(&mut self, by: ConsumerId, entry: &Extent, index: i32, acked: &mut Acked) {
        let number = entry.start.entry;
        let Some(consumer) = self.consumer(by).filter(|consumer| consumer.may_settle(number)) else { return };
        let batch_index_ack = consumer.batch_index_ack;
        if number < self.cursor.entry() {
            return;
        }
        let members = u32::try_from(index).map_or(entry.count, |index| index.saturating_add(1).min(entry.count));
        let end = if members == entry.count { entry.end() } else { entry.start };
        if end.entry > self.cursor.entry() {
            self.cursor.ack_through(end);
            acked.changed = true;
        }
        if members < entry.count && self.ack_members(by, entry, 0..members, batch_index_ack, acked) {
            self.cursor.ack_entry(number, entry.count);
            acked.changed = true;
        }
        self.forget_before_cursor(acked);
    }

    /// Lets go of all that is about entries before the cursor.
    fn forget_before_cursor(&mut self, acked: &mut Acked) {
        let first = self.cursor.entry();
        for consumer in &mut self.consumers {
            acked.completed.append(&mut consumer.acked_before(first));
        }
        while self.redeliveries.first_key_value().is_some_and(|(number, _)| *number < first) {
            self.redeliveries.pop_first();
        }
    }

    /// Gives entries back: at once, or when it is `due`.
    pub(crate) fn nack(&mut self, by: ConsumerId, numbers: impl Iterator<Item = u64>, due: Option<Instant>) {
        if self.sharing.is_single_active() {
            if self.sharing.active() == Some(by) && numbers.count() > 0 {
                self.start_over();
            }
            return;
        }
        for number in numbers {
            match due {
                None => self.give_back_from(by, number),
                Some(due) => {
                    let pending = self.consumer(by).and_then(|consumer| consumer.pending_mut(number));
                    if let Some(pending) = pending.filter(|pending| pending.due.is_none_or(|earlier| earlier > due)) {
                        pending.due = Some(due);
                        self.nacked.insert((due, number, by));
                    }
                }
            }
        }
    }

    /// Moves the cursor to a point and, if it is inside a batch, over its first `members`. Gives who waited for the
    /// rest of an entry.
    pub(crate) fn seek(&mut self, to: Place, inside: Option<(u32, u32)>) -> Vec<Waiter> {
        self.cursor.jump(to);
        if let Some((members, count)) = inside {
            self.cursor.ack_members(to.entry, count, 0..members);
        }
        let waiters = self.consumers.iter_mut().flat_map(|consumer| consumer.sought()).collect();
        self.start_over();
        waiters
    }
}
