//! Which message may be called next. Messages whose order matters share a lane: one call at a time, in the order of
//! delivery, and nothing passes a message that waits for its retry.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::time::Instant;

use pulselet_api::SubscriptionKind;

use super::entries::{Entries, Task};

/// A lane's name: the source under Failover, the hash of the key under Key_Shared.
pub(super) type LaneId = u64;

#[derive(Debug, Default)]
struct Lane {
    queue: VecDeque<Task>,
    calling: bool,
    /// Nothing of it is called before.
    held_until: Option<Instant>,
    /// Its name is in `ready`.
    listed: bool,
}

impl Lane {
    fn is_ready(&self) -> bool {
        !self.calling && self.held_until.is_none() && !self.queue.is_empty()
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Lane(LaneId),
    /// With the size of its message.
    Task(Task, u64),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Lanes {
    is_ordered: bool,
    /// Without order: all that is ready.
    free: VecDeque<Task>,
    lanes: HashMap<LaneId, Lane>,
    ready: VecDeque<LaneId>,
    timers: BinaryHeap<Reverse<(Instant, Timer)>>,
    waiting_messages: u64,
    waiting_bytes: u64,
}

impl Lanes {
    pub(super) fn new(order: SubscriptionKind) -> Self {
        Self {
            is_ordered: order != SubscriptionKind::Shared,
            free: VecDeque::new(),
            lanes: HashMap::new(),
            ready: VecDeque::new(),
            timers: BinaryHeap::new(),
            waiting_messages: 0,
            waiting_bytes: 0,
        }
    }

    pub(super) fn push(&mut self, lane: LaneId, task: Task) {
        if !self.is_ordered {
            self.free.push_back(task);
            return;
        }
        let queue = &mut self.lanes.entry(lane).or_default().queue;
        queue.push_back(task);
        if queue.len() == 1 {
            self.refresh(lane);
        }
    }

    pub(super) fn has_ready(&self) -> bool {
        let is_ready = |name| self.lanes.get(name).is_some_and(Lane::is_ready);
        !self.free.is_empty() || self.ready.iter().any(is_ready)
    }

    /// Hands out up to `max` messages; a message that must be called alone travels alone.
    pub(super) fn take(&mut self, max: usize, entries: &Entries, mut give: impl FnMut(Task)) {
        let mut given = 0;
        while given < max {
            self.drop_unready();
            let Some((lane, queue)) = next_queue(self.is_ordered, &mut self.free, &mut self.lanes, &self.ready) else {
                return;
            };
            let mut stop = false;
            let before = given;
            while given < max
                && !stop
                && let Some(&task) = queue.front()
            {
                let alone = entries.is_alone(task);
                if alone && given > 0 {
                    stop = true;
                    break;
                }
                queue.pop_front();
                give(task);
                given += 1;
                stop = alone;
            }
            if let Some(lane) = lane
                && given > before
            {
                self.ready.pop_front();
                if let Some(lane) = self.lanes.get_mut(&lane) {
                    lane.calling = true;
                    lane.listed = false;
                }
            }
            if stop {
                return;
            }
        }
    }

    /// The call that held messages of this lane is over. `again` are put back in front, in order; `until` holds the
    /// lane.
    pub(super) fn call_ended(&mut self, lane: LaneId, again: &[Task], until: Option<Instant>, entries: &Entries) {
        if !self.is_ordered {
            for task in again.iter().rev() {
                self.free.push_front(*task);
            }
            return;
        }
        let Some(state) = self.lanes.get_mut(&lane) else { return };
        state.calling = false;
        for task in again {
            insert_in_order(&mut state.queue, *task, entries);
        }
        if let Some(until) = until {
            self.hold(lane, until);
        }
        self.refresh(lane);
    }

    /// Without order: the message waits by itself while others go on. With order: it goes to the front of its lane, and
    /// the lane waits.
    pub(super) fn wait(&mut self, lane: LaneId, task: Task, until: Instant, entries: &Entries) {
        if self.is_ordered {
            insert_in_order(&mut self.lanes.entry(lane).or_default().queue, task, entries);
            self.hold(lane, until);
            self.refresh(lane);
        } else {
            let bytes = entries.bytes(task);
            self.waiting_messages += 1;
            self.waiting_bytes += bytes;
            self.timers.push(Reverse((until, Timer::Task(task, bytes))));
        }
    }

    fn hold(&mut self, lane: LaneId, until: Instant) {
        let state = self.lanes.entry(lane).or_default();
        state.held_until = state.held_until.max(Some(until));
        self.timers.push(Reverse((until, Timer::Lane(lane))));
    }

    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    /// Lets go what is due; returns the messages that go on (without order).
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Task> {
        let mut expired = Vec::new();
        while self.next_timer().is_some_and(|at| at <= now) {
            let Some(Reverse((_, timer))) = self.timers.pop() else { break };
            match timer {
                Timer::Task(task, bytes) => {
                    self.waiting_messages -= 1;
                    self.waiting_bytes -= bytes;
                    self.free.push_back(task);
                    expired.push(task);
                }
                Timer::Lane(lane) => {
                    // A hold that was made longer has another timer.
                    if let Some(state) = self.lanes.get_mut(&lane)
                        && state.held_until.is_some_and(|until| until <= now)
                    {
                        state.held_until = None;
                    }
                    self.refresh(lane);
                }
            }
        }
        expired
    }

    /// Messages and bytes that wait for a retry, with what queues behind them.
    pub(super) fn held(&self, entries: &Entries) -> (u64, u64) {
        if self.timers.is_empty() {
            return (0, 0);
        }
        if !self.is_ordered {
            return (self.waiting_messages, self.waiting_bytes);
        }
        let held = self.lanes.values().filter(|lane| lane.held_until.is_some());
        held.flat_map(|lane| &lane.queue).fold((0, 0), |(n, bytes), task| (n + 1, bytes + entries.bytes(*task)))
    }

    /// Drops messages from all queues and timers.
    pub(super) fn remove(&mut self, gone: impl Fn(Task) -> bool) {
        self.free.retain(|task| !gone(*task));
        let (mut messages, mut bytes) = (0, 0);
        self.timers.retain(|Reverse((_, timer))| match timer {
            Timer::Task(task, _) if gone(*task) => false,
            Timer::Task(_, size) => {
                messages += 1;
                bytes += size;
                true
            }
            Timer::Lane(_) => true,
        });
        (self.waiting_messages, self.waiting_bytes) = (messages, bytes);
        for lane in self.lanes.values_mut() {
            lane.queue.retain(|task| !gone(*task));
        }
        self.lanes.retain(|_, lane| !lane.queue.is_empty() || lane.calling || lane.held_until.is_some());
        self.ready.clear();
        for (name, lane) in &mut self.lanes {
            lane.listed = lane.is_ready();
            if lane.listed {
                self.ready.push_back(*name);
            }
        }
    }

    /// A lane that was held after it was listed is not ready any more.
    fn drop_unready(&mut self) {
        while let Some(name) = self.ready.front()
            && let Some(lane) = self.lanes.get_mut(name).filter(|lane| !lane.is_ready())
        {
            lane.listed = false;
            self.ready.pop_front();
        }
    }

    /// Keeps `ready` in step with a lane that changed, and forgets lanes that are empty.
    fn refresh(&mut self, lane: LaneId) {
        let Some(state) = self.lanes.get_mut(&lane) else { return };
        if state.is_ready() {
            if !std::mem::replace(&mut state.listed, true) {
                self.ready.push_back(lane);
            }
        } else if state.queue.is_empty() && !state.calling && state.held_until.is_none() {
            self.lanes.remove(&lane);
        }
    }
}

/// Puts a message that comes again where it was in its partition: before what came after it.
fn insert_in_order(queue: &mut VecDeque<Task>, task: Task, entries: &Entries) {
    let order = entries.order(task);
    let at = queue.iter().position(|other| entries.order(*other) > order).unwrap_or(queue.len());
    queue.insert(at, task);
}

type Next<'a> = (Option<LaneId>, &'a mut VecDeque<Task>);

fn next_queue<'a>(
    is_ordered: bool,
    free: &'a mut VecDeque<Task>,
    lanes: &'a mut HashMap<LaneId, Lane>,
    ready: &VecDeque<LaneId>,
) -> Option<Next<'a>> {
    if !is_ordered {
        return (!free.is_empty()).then_some((None, free));
    }
    let lane = *ready.front()?;
    Some((Some(lane), &mut lanes.get_mut(&lane)?.queue))
}
