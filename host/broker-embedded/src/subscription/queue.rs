use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use super::cursor::Cursor;
use crate::topic::entry::StoredEntry;
use crate::topic::log::Log;

/// What a subscription still has to send: entries that go out again, and everything from a point on.
#[derive(Debug)]
pub(crate) struct Queue {
    /// First entry that was never sent, or is to be sent as if it never was.
    read: u64,
    /// Entries before `read` that are to be sent, with their slots.
    replay: BTreeMap<u64, u16>,
    /// The same by slot.
    by_slot: BTreeMap<u16, BTreeSet<u64>>,
    /// Entries before `read` whose time has not come.
    held_back: BTreeSet<(Instant, u64, u16)>,
    /// Entries read from the store.
    ahead: BTreeMap<u64, Arc<StoredEntry>>,
    /// A read of the store is under way.
    reading: bool,
}

/// Entries to be read from the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// This one and those after it, as far as the reader likes.
    From(u64),
    /// These.
    Each(Vec<u64>),
}

/// What comes next.
#[derive(Debug)]
pub(crate) enum Next {
    Entry(Arc<StoredEntry>),
    /// It is not in memory.
    Read(Wanted),
    Nothing,
}

/// Most entries that go out again which one read asks for.
const REPLAY_READ: usize = 64;

impl Queue {
    pub(crate) fn new(read: u64) -> Self {
        Self {
            read,
            replay: BTreeMap::new(),
            by_slot: BTreeMap::new(),
            held_back: BTreeSet::new(),
            ahead: BTreeMap::new(),
            reading: false,
        }
    }

    /// Starts again: everything from `read` on is to be sent.
    pub(crate) fn rewind(&mut self, read: u64) {
        // What the store is being asked for may still be of use.
        let reading = self.reading;
        *self = Self { reading, ..Self::new(read) };
    }

    /// First entry never sent.
    pub(crate) fn read(&self) -> u64 {
        self.read
    }

    /// Entries that wait to go out again.
    pub(crate) fn replay_len(&self) -> usize {
        self.replay.len()
    }

    /// An entry is to go out again.
    pub(crate) fn give_back(&mut self, number: u64, slot: u16) {
        self.replay.insert(number, slot);
        self.by_slot.entry(slot).or_default().insert(number);
    }

    /// An entry is not to go out again.
    pub(crate) fn remove(&mut self, number: u64) {
        let Some(slot) = self.replay.remove(&number) else { return };
        if let Some(numbers) = self.by_slot.get_mut(&slot) {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.by_slot.remove(&slot);
            }
        }
    }

    /// Whether an earlier entry of the slot waits.
    pub(crate) fn has_slot(&self, slot: u16) -> bool {
        self.by_slot.contains_key(&slot)
    }

    /// Slots of which entries wait, the one that waits longest first.
    pub(crate) fn slots(&self) -> Vec<u16> {
        let mut slots: Vec<_> = self.by_slot.iter().map(|(slot, numbers)| (numbers.first().copied(), *slot)).collect();
        slots.sort_unstable();
        slots.into_iter().map(|(_, slot)| slot).collect()
    }

    /// The first entry that waits to go out again, of all or of one slot. It stays until it is removed.
    pub(crate) fn next_replay(&mut self, slot: Option<u16>, cursor: &Cursor, log: &Log) -> Next {
        loop {
            let first = match slot {
                None => self.replay.keys().next(),
                Some(slot) => self.by_slot.get(&slot).and_then(|numbers| numbers.first()),
            };
            let Some(first) = first.copied() else { return Next::Nothing };
            if cursor.is_acked(first) {
                self.remove(first);
                continue;
            }
            return self.find(first, log).map_or_else(|| Next::Read(self.wanted_replays(first)), Next::Entry);
        }
    }

    /// The first entry never sent. It stays until [`Queue::pass`].
    pub(crate) fn next_unread(&mut self, cursor: &Cursor, log: &Log) -> Next {
        self.read = self.read.max(cursor.entry());
        while self.read < log.durable().entry && cursor.is_acked(self.read) {
            self.read += 1;
        }
        if self.read >= log.durable().entry {
            return Next::Nothing;
        }
        self.find(self.read, log).map_or(Next::Read(Wanted::From(self.read)), Next::Entry)
    }

    /// The first entry never sent is dealt with.
    pub(crate) fn pass(&mut self) {
        self.ahead.remove(&self.read);
        self.read += 1;
    }

    /// Passes an entry whose time has not come.
    pub(crate) fn hold_back(&mut self, until: Instant, slot: u16) {
        self.held_back.insert((until, self.read, slot));
        self.pass();
    }

    /// Lets those go whose time has come.
    pub(crate) fn release_due(&mut self, now: Instant) {
        while let Some((_, number, slot)) = self.held_back.first().copied().filter(|(until, ..)| *until <= now) {
            self.held_back.pop_first();
            self.give_back(number, slot);
        }
    }

    /// When the next one's time comes.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.held_back.first().map(|(until, ..)| *until)
    }

    /// Notes that a read is under way; false if there is one already.
    pub(crate) fn start_read(&mut self) -> bool {
        !std::mem::replace(&mut self.reading, true)
    }

    /// What was read.
    pub(crate) fn finish_read(&mut self, entries: Vec<Arc<StoredEntry>>) {
        self.reading = false;
        // What is left of the read before was passed over.
        let (read, replay) = (self.read, &self.replay);
        self.ahead.retain(|number, _| *number >= read || replay.contains_key(number));
        self.ahead.extend(entries.into_iter().map(|entry| (entry.number, entry)));
    }

    fn find(&self, number: u64, log: &Log) -> Option<Arc<StoredEntry>> {
        log.cached(number).or_else(|| self.ahead.get(&number)).cloned()
    }

    fn wanted_replays(&self, first: u64) -> Wanted {
        let numbers = std::iter::once(first).chain(self.replay.keys().copied().filter(|number| *number != first));
        Wanted::Each(numbers.take(REPLAY_READ).collect())
    }
}
