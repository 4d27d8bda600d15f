use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Subscription;
use super::connected::Connected;
use super::queue::{Next, Wanted};
use super::sharing::Sharing;
use super::slots::{ConsumerId, Slots};
use crate::topic::entry::StoredEntry;
use crate::topic::log::Log;

/// Most entries of a Key_Shared subscription that wait for their consumer while others go on.
const LOOK_AHEAD: usize = 2_000;

/// What sending depends on besides the subscription.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) now: Instant,
    /// Milliseconds since the epoch.
    pub(crate) wall_ms: u64,
    pub(crate) max_unacked_per_consumer: u64,
    pub(crate) max_unacked_per_subscription: u64,
}

impl Subscription {
    /// Sends what can be sent; says what must be read from the store before more can.
    pub(crate) fn dispatch(&mut self, log: &Log, moment: &Moment) -> Option<Wanted> {
        if self.consumers.is_empty() {
            return None;
        }
        self.release_due(moment.now);
        let wanted = match self.sharing {
            Sharing::None => None,
            Sharing::Exclusive(id) => self.dispatch_to_one(id, log),
            Sharing::Failover { active } => active.and_then(|id| self.dispatch_to_one(id, log)),
            Sharing::Shared { .. } => self.dispatch_shared(log, moment),
            Sharing::KeyShared(_) => self.dispatch_by_key(log, moment),
        };
        self.consumers.iter_mut().for_each(Connected::wake_if_delivered);
        wanted.filter(|_| self.queue.start_read())
    }

    /// When something that waits for its time can be sent.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let nacked = self.nacked.first().map(|(due, ..)| *due);
        [nacked, self.queue.next_due()].into_iter().flatten().min().filter(|_| self.has_consumers())
    }

    /// What was read from the store is there. Gives an entry that was wanted, and still is, but was not found.
    pub(crate) fn finish_read(&mut self, wanted: &Wanted, entries: Vec<Arc<StoredEntry>>) -> Option<u64> {
        let first = match wanted {
            Wanted::From(number) => Some(*number),
            Wanted::Each(numbers) => numbers.first().copied(),
        };
        let found = entries.first().map(|entry| entry.number);
        self.queue.finish_read(entries);
        // Whoever acknowledges an entry in the meantime may have it removed.
        first.filter(|first| Some(*first) != found && !self.cursor.is_acked(*first))
    }

    fn release_due(&mut self, now: Instant) {
        self.queue.release_due(now);
        while let Some((due, number, id)) = self.nacked.first().copied().filter(|(due, ..)| *due <= now) {
            self.nacked.pop_first();
            let holds = self.consumer(id).and_then(|consumer| consumer.pending(number)).and_then(|pending| pending.due);
            if holds == Some(due) {
                self.give_back_from(id, number);
            }
        }
    }

    /// An entry goes from a consumer's hands back into the queue, and that counts.
    pub(super) fn give_back_from(&mut self, id: ConsumerId, number: u64) {
        let Some(pending) = self.consumer(id).and_then(|consumer| consumer.remove_pending(number)) else { return };
        *self.redeliveries.entry(number).or_insert(0) += 1;
        self.queue.give_back(number, pending.slot);
    }

    fn dispatch_to_one(&mut self, id: ConsumerId, log: &Log) -> Option<Wanted> {
        let at = self.consumers.iter().position(|consumer| consumer.id == id)?;
        while self.consumers.get(at)?.has_permits() {
            match self.queue.next_unread(&self.cursor, log) {
                Next::Entry(entry) => {
                    self.queue.pass();
                    self.deliver(at, entry);
                }
                Next::Read(wanted) => return Some(wanted),
                Next::Nothing => break,
            }
        }
        None
    }

    fn dispatch_shared(&mut self, log: &Log, moment: &Moment) -> Option<Wanted> {
        while !self.is_blocked(moment) {
            let at = self.whose_turn(moment)?;
            let entry = match self.queue.next_replay(None, &self.cursor, log) {
                Next::Entry(entry) => {
                    self.queue.remove(entry.number);
                    entry
                }
                Next::Read(wanted) => return Some(wanted),
                Next::Nothing => match self.queue.next_unread(&self.cursor, log) {
                    Next::Entry(entry) => match wait_until(&entry, moment) {
                        Some(until) => {
                            self.queue.hold_back(until, entry.slot);
                            continue;
                        }
                        None => {
                            self.queue.pass();
                            entry
                        }
                    },
                    Next::Read(wanted) => return Some(wanted),
                    Next::Nothing => return None,
                },
            };
            self.deliver(at, entry);
            if let Sharing::Shared { turn } = &mut self.sharing {
                *turn = at + 1;
            }
        }
        None
    }

    /// The next consumer in turn that takes something.
    fn whose_turn(&mut self, moment: &Moment) -> Option<usize> {
        let Sharing::Shared { turn } = self.sharing else { return None };
        let count = self.consumers.len();
        (0..count).map(|step| (turn + step) % count).find(|at| self.is_ready(*at, moment))
    }

    fn is_ready(&mut self, at: usize, moment: &Moment) -> bool {
        self.consumers.get_mut(at).is_some_and(|consumer| consumer.is_ready(moment.max_unacked_per_consumer))
    }

    /// Whether the consumers together hold too many messages, and have not yet come down to half of that.
    fn is_blocked(&mut self, moment: &Moment) -> bool {
        let limit = moment.max_unacked_per_subscription;
        let unacked: u64 = self.consumers.iter().map(Connected::unacked).sum();
        self.blocked = if self.blocked { unacked > limit / 2 } else { unacked >= limit };
        self.blocked
    }

    /// Key_Shared: an entry goes to the consumer that serves its slot, but not while an earlier entry of the slot waits,
    /// nor while another consumer, which served the slot before, still holds one. So the order of each key is kept when
    /// consumers come and go.
    fn dispatch_by_key(&mut self, log: &Log, moment: &Moment) -> Option<Wanted> {
        let mut wanted = None;
        for slot in self.queue.slots() {
            while let Some(at) = self.taker(slot, moment) {
                match self.queue.next_replay(Some(slot), &self.cursor, log) {
                    Next::Entry(entry) => {
                        self.queue.remove(entry.number);
                        self.deliver(at, entry);
                    }
                    Next::Read(read) => {
                        wanted.get_or_insert(read);
                        break;
                    }
                    Next::Nothing => break,
                }
            }
        }
        while wanted.is_none() && self.queue.replay_len() < LOOK_AHEAD && self.anybody_ready(moment) {
            match self.queue.next_unread(&self.cursor, log) {
                Next::Entry(entry) => {
                    if let Some(until) = wait_until(&entry, moment) {
                        self.queue.hold_back(until, entry.slot);
                        continue;
                    }
                    self.queue.pass();
                    let taker = if self.queue.has_slot(entry.slot) { None } else { self.taker(entry.slot, moment) };
                    match taker {
                        Some(at) => self.deliver(at, entry),
                        None => self.queue.give_back(entry.number, entry.slot),
                    }
                }
                Next::Read(read) => wanted = Some(read),
                Next::Nothing => break,
            }
        }
        wanted
    }

    fn anybody_ready(&mut self, moment: &Moment) -> bool {
        !self.is_blocked(moment) && (0..self.consumers.len()).any(|at| self.is_ready(at, moment))
    }

    /// The consumer that may get an entry of the slot now.
    fn taker(&mut self, slot: u16, moment: &Moment) -> Option<usize> {
        if self.is_blocked(moment) {
            return None;
        }
        let owner = self.slots().and_then(|slots| slots.owner(slot))?;
        if self.consumers.iter().any(|consumer| consumer.id != owner && consumer.holds(slot)) {
            return None;
        }
        let at = self.consumers.iter().position(|consumer| consumer.id == owner)?;
        self.is_ready(at, moment).then_some(at)
    }

    fn slots(&self) -> Option<&Slots> {
        match &self.sharing {
            Sharing::KeyShared(slots) => Some(slots),
            _ => None,
        }
    }

    fn deliver(&mut self, at: usize, entry: Arc<StoredEntry>) {
        let acked = self.cursor.members(entry.number).cloned();
        let redeliveries = self.redeliveries.get(&entry.number).copied().unwrap_or(0);
        if let Some(consumer) = self.consumers.get_mut(at) {
            consumer.deliver(entry, acked, redeliveries);
        }
    }
}

/// When the entry may be sent, if that is later.
fn wait_until(entry: &StoredEntry, moment: &Moment) -> Option<Instant> {
    let wait = entry.deliver_at?.checked_sub(moment.wall_ms).filter(|wait| *wait > 0)?;
    moment.now.checked_add(Duration::from_millis(wait))
}
