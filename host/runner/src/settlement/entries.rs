//! The entries in memory and the state of each of their messages.

use std::collections::HashMap;
use std::sync::Arc;

use pulselet_broker::{Entry, MessageId, Position};
use slab::Slab;

use super::{Owner, Source, Work};

/// Names one message in memory: the key of its entry and its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Task {
    pub(super) entry: usize,
    pub(super) member: u32,
}

/// Where a message stands; see the picture in the parent module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// In a lane, or (at most once) waiting for its ack.
    Queued,
    Calling,
    /// Called; this many outputs are not confirmed.
    Sending(u32),
    /// Called, with Manual: the guest will settle it.
    Open,
    /// To be called again later.
    Waiting,
    /// On its way to the retry topic or the dead letter topic.
    Leaving,
    Settled,
    /// Settled, and the broker was told by member.
    Acked,
    /// Dropped from memory; the broker will deliver it again.
    GivenBack,
}

impl State {
    pub(super) fn is_in_memory(self) -> bool {
        !matches!(self, Self::Settled | Self::Acked | Self::GivenBack)
    }
}

#[derive(Debug)]
struct Member {
    state: State,
    /// Its latest call.
    call: u64,
    /// To be called without others, in a batch world.
    alone: bool,
}

#[derive(Debug)]
struct Held {
    source: Source,
    entry: Arc<Entry>,
    members: Vec<Member>,
    /// Messages that are neither settled nor given back.
    in_memory: u32,
    given_back: u32,
    /// Some members are settled and the broker was not told.
    dirty: bool,
}

/// What settling a message did to its entry.
pub(super) struct Settled {
    pub(super) source: Source,
    pub(super) entry: Arc<Entry>,
    pub(super) at: usize,
    pub(super) bytes: u64,
    /// The id that acks the whole entry, if this was its last message.
    pub(super) complete: Option<MessageId>,
    /// The first member settled since members were last acked.
    pub(super) first_since_ack: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Entries {
    held: Slab<Held>,
    by_position: HashMap<(Source, Position), usize>,
    unsettled: usize,
}

impl Entries {
    /// Takes an entry in. Returns its key, and for each message whether it is new: one that is still in memory, or was
    /// settled before the entry came again, is not.
    pub(super) fn insert(&mut self, source: Source, entry: Entry) -> (usize, Vec<bool>) {
        match self.by_position.get(&(source, entry.position)) {
            Some(&key) => (key, self.merge(key, entry)),
            None => {
                let count = entry.messages.len();
                let position = entry.position;
                let members = (0..count).map(|_| Member { state: State::Queued, call: 0, alone: false }).collect();
                let held = Held {
                    source,
                    entry: Arc::new(entry),
                    members,
                    in_memory: count as u32,
                    given_back: 0,
                    dirty: false,
                };
                let key = self.held.insert(held);
                self.by_position.insert((source, position), key);
                self.unsettled += count;
                (key, vec![true; count])
            }
        }
    }

    /// The entry is delivered again: only members that were given back count; the rest is in our hands.
    fn merge(&mut self, key: usize, again: Entry) -> Vec<bool> {
        let Some(held) = self.held.get_mut(key) else { return Vec::new() };
        let Held { entry, members, in_memory, given_back, .. } = held;
        let fresh = entry
            .messages
            .iter()
            .zip(members.iter_mut())
            .map(|(message, member)| {
                let comes_again = again.messages.binary_search_by_key(&message.index, |m| m.index).is_ok();
                let fresh = comes_again && member.state == State::GivenBack;
                if fresh {
                    member.state = State::Queued;
                    *in_memory += 1;
                    *given_back -= 1;
                    self.unsettled += 1;
                }
                fresh
            })
            .collect();
        Arc::make_mut(entry).redelivery_count = again.redelivery_count;
        fresh
    }

    pub(super) fn unsettled(&self) -> usize {
        self.unsettled
    }

    pub(super) fn entry(&self, key: usize) -> Option<(Source, &Arc<Entry>)> {
        self.held.get(key).map(|held| (held.source, &held.entry))
    }

    /// Where a message stands among those of its topic partition; between partitions no order is promised.
    pub(super) fn order(&self, task: Task) -> Option<(Position, u32)> {
        self.held.get(task.entry).map(|held| (held.entry.position, task.member))
    }

    pub(super) fn work(&self, task: Task) -> Option<Work> {
        let held = self.held.get(task.entry)?;
        Some(Work { task, entry: Arc::clone(&held.entry), at: task.member as usize, attempts: 0, call: 0 })
    }

    pub(super) fn id(&self, task: Task) -> Option<MessageId> {
        let held = self.held.get(task.entry)?;
        Some(held.entry.id(held.entry.messages.get(task.member as usize)?))
    }

    pub(super) fn bytes(&self, task: Task) -> u64 {
        let message = self.held.get(task.entry).and_then(|held| held.entry.messages.get(task.member as usize));
        message.map_or(0, |m| m.payload.len() as u64)
    }

    pub(super) fn state(&self, task: Task) -> Option<State> {
        Some(self.held.get(task.entry)?.members.get(task.member as usize)?.state)
    }

    pub(super) fn set_state(&mut self, task: Task, state: State) {
        if let Some(member) = self.member(task) {
            member.state = state;
        }
    }

    pub(super) fn start_call(&mut self, task: Task, call: u64) {
        if let Some(member) = self.member(task) {
            member.state = State::Calling;
            member.call = call;
        }
    }

    /// Outputs that the owner still waits for; `None` if that call is over.
    pub(super) fn sending(&self, owner: Owner) -> Option<u32> {
        let member = self.held.get(owner.task.entry)?.members.get(owner.task.member as usize)?;
        match member.state {
            State::Sending(left) if member.call == owner.call => Some(left),
            _ => None,
        }
    }

    pub(super) fn is_alone(&self, task: Task) -> bool {
        self.held.get(task.entry).and_then(|h| h.members.get(task.member as usize)).is_some_and(|m| m.alone)
    }

    pub(super) fn set_alone(&mut self, task: Task) {
        if let Some(member) = self.member(task) {
            member.alone = true;
        }
    }

    /// Marks a message settled; `None` if it is not in memory any more.
    pub(super) fn settle(&mut self, task: Task) -> Option<Settled> {
        let held = self.held.get_mut(task.entry)?;
        let member = held.members.get_mut(task.member as usize)?;
        if !member.state.is_in_memory() {
            return None;
        }
        member.state = State::Settled;
        held.in_memory -= 1;
        self.unsettled -= 1;
        let first_since_ack = !std::mem::replace(&mut held.dirty, true);
        let mut settled = Settled {
            source: held.source,
            entry: Arc::clone(&held.entry),
            at: task.member as usize,
            bytes: held.entry.messages.get(task.member as usize).map_or(0, |m| m.payload.len() as u64),
            complete: None,
            first_since_ack,
        };
        if held.in_memory == 0 && held.given_back == 0 {
            settled.complete = Some(MessageId {
                position: held.entry.position,
                partition: held.entry.topic.partition().map_or(-1, |p| p as i32),
                batch_index: -1,
            });
            self.remove(task.entry);
        }
        Some(settled)
    }

    /// Forgets the content of a message that the broker will deliver again; returns where it came from.
    pub(super) fn give_back(&mut self, task: Task) -> Option<(Source, MessageId, u64)> {
        let id = self.id(task)?;
        let bytes = self.bytes(task);
        let held = self.held.get_mut(task.entry)?;
        let member = held.members.get_mut(task.member as usize)?;
        if !member.state.is_in_memory() {
            return None;
        }
        member.state = State::GivenBack;
        held.in_memory -= 1;
        held.given_back += 1;
        self.unsettled -= 1;
        let source = held.source;
        // Entries with settled members stay: a broker without batch-index acks delivers those members again too, and
        // they must not be called again.
        if held.members.iter().all(|m| m.state == State::GivenBack) {
            self.remove(task.entry);
        }
        Some((source, id, bytes))
    }

    /// Every message of a source that is in one of the states `which` accepts.
    pub(super) fn tasks(&self, source: Source, which: impl Fn(State) -> bool) -> Vec<Task> {
        let of_source = self.held.iter().filter(|(_, held)| held.source == source);
        of_source
            .flat_map(|(entry, held)| {
                let members = held.members.iter().enumerate();
                members.filter(|(_, m)| which(m.state)).map(move |(at, _)| Task { entry, member: at as u32 })
            })
            .collect()
    }

    /// Reports the members settled since the last time, if the entry is not complete.
    pub(super) fn take_member_acks(&mut self, key: usize, mut ack: impl FnMut(Source, MessageId)) {
        let Some(held) = self.held.get_mut(key) else { return };
        held.dirty = false;
        for (member, message) in held.members.iter_mut().zip(&held.entry.messages) {
            if member.state == State::Settled {
                member.state = State::Acked;
                ack(held.source, held.entry.id(message));
            }
        }
    }

    /// Forgets an entry as a whole.
    pub(super) fn remove(&mut self, key: usize) {
        if let Some(held) = self.held.try_remove(key) {
            self.unsettled -= held.in_memory as usize;
            self.by_position.remove(&(held.source, held.entry.position));
        }
    }

    fn member(&mut self, task: Task) -> Option<&mut Member> {
        self.held.get_mut(task.entry)?.members.get_mut(task.member as usize)
    }
}
