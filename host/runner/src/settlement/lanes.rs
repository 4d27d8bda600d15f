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
    held: bool,
    /// Its name is in `ready`.
    listed: bool,
}

impl Lane {
    fn is_ready(&self) -> bool {
        !self.calling && !self.held && !self.queue.is_empty()
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Lane(LaneId),
    Task(Task),
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
        !self.free.is_empty() || !self.ready.is_empty()
    }

    /// Hands out up to `max` messages; a message that must be called alone travels alone.
    pub(super) fn take(&mut self, max: usize, entries: &Entries, mut give: impl FnMut(Task)) {
        let mut given = 0;
        while given < max {
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
        for task in again.iter().rev() {
            state.queue.push_front(*task);
        }
        if let Some(until) = until {
            self.hold(lane, until, entries);
        }
        self.refresh(lane);
    }

    /// Without order: the message waits by itself while others go on. With order: it goes to the front of its lane, and
    /// the lane waits.
    pub(super) fn wait(&mut self, lane: LaneId, task: Task, until: Instant, entries: &Entries) {
        if self.is_ordered {
            self.lanes.entry(lane).or_default().queue.push_front(task);
            self.hold(lane, until, entries);
            self.refresh(lane);
        } else {
            self.waiting_messages += 1;
            self.waiting_bytes += entries.bytes(task);
            self.timers.push(Reverse((until, Timer::Task(task))));
        }
    }

    fn hold(&mut self, lane: LaneId, until: Instant, entries: &Entries) {
        let state = self.lanes.entry(lane).or_default();
        if !std::mem::replace(&mut state.held, true) {
            self.waiting_messages += 1;
            self.waiting_bytes += state.queue.front().map_or(0, |task| entries.bytes(*task));
        }
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
                Timer::Task(task) => {
                    self.free.push_back(task);
                    expired.push(task);
                }
                Timer::Lane(lane) => {
                    if let Some(state) = self.lanes.get_mut(&lane) {
                        state.held = false;
                    }
                    self.refresh(lane);
                }
            }
        }
        if self.timers.is_empty() {
            self.waiting_messages = 0;
            self.waiting_bytes = 0;
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
        let held = self.lanes.values().filter(|lane| lane.held);
        held.flat_map(|lane| &lane.queue).fold((0, 0), |(n, bytes), task| (n + 1, bytes + entries.bytes(*task)))
    }

    /// Drops messages from all queues and timers.
    pub(super) fn remove(&mut self, gone: impl Fn(Task) -> bool) {
        self.free.retain(|task| !gone(*task));
        self.timers.retain(|Reverse((_, timer))| !matches!(timer, Timer::Task(task) if gone(*task)));
        for lane in self.lanes.values_mut() {
            lane.queue.retain(|task| !gone(*task));
        }
        self.ready.clear();
        for (name, lane) in &mut self.lanes {
            lane.listed = lane.is_ready();
            if lane.listed {
                self.ready.push_back(*name);
            }
        }
    }

    /// Keeps `ready` in step with a lane that changed, and forgets lanes that are empty.
    fn refresh(&mut self, lane: LaneId) {
        let Some(state) = self.lanes.get_mut(&lane) else { return };
        if state.is_ready() {
            if !std::mem::replace(&mut state.listed, true) {
                self.ready.push_back(lane);
            }
        } else if state.queue.is_empty() && !state.calling && !state.held {
            self.lanes.remove(&lane);
        }
    }
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
