//! The one thread that reads the store for consumers that have fallen behind, and that keeps time for messages that
//! wait. It sleeps while there is nothing of either.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use pulselet_broker::Error;

use crate::core::Core;
use crate::lock;
use crate::subscription::queue::Wanted;
use crate::topic::Topic;

/// What is to be read. There is at most one of each subscription.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) topic: Arc<Topic>,
    pub(crate) subscription: Arc<str>,
    pub(crate) wanted: Wanted,
}

#[derive(Debug, Default)]
pub(crate) struct ReaderQueue {
    tasks: Mutex<Tasks>,
    filled: Condvar,
}

#[derive(Debug, Default)]
struct Tasks {
    reads: VecDeque<Read>,
    timers: BinaryHeap<Reverse<Timer>>,
    stopped: bool,
}

/// A topic to look at, and when.
#[derive(Debug)]
struct Timer {
    at: Instant,
    topic: Arc<Topic>,
}

enum Task {
    Read(Read),
    Time(Arc<Topic>),
}

impl ReaderQueue {
    pub(crate) fn read(&self, read: Read) {
        let mut tasks = lock(&self.tasks);
        if !tasks.stopped {
            tasks.reads.push_back(read);
            self.filled.notify_one();
        }
    }

    pub(crate) fn wake_at(&self, at: Instant, topic: Arc<Topic>) {
        let mut tasks = lock(&self.tasks);
        if !tasks.stopped {
            tasks.timers.push(Reverse(Timer { at, topic }));
            self.filled.notify_one();
        }
    }

    pub(crate) fn stop(&self) {
        *lock(&self.tasks) = Tasks { stopped: true, ..Tasks::default() };
        self.filled.notify_one();
    }

    fn next(&self) -> Option<Task> {
        let mut tasks = lock(&self.tasks);
        loop {
            if tasks.stopped {
                return None;
            }
            let due = tasks.timers.peek().map(|timer| timer.0.at);
            let now = Instant::now();
            if due.is_some_and(|due| due <= now)
                && let Some(Reverse(timer)) = tasks.timers.pop()
            {
                return Some(Task::Time(timer.topic));
            }
            if let Some(read) = tasks.reads.pop_front() {
                return Some(Task::Read(read));
            }
            tasks = match due {
                None => self.filled.wait(tasks).unwrap_or_else(PoisonError::into_inner),
                Some(due) => self.filled.wait_timeout(tasks, due - now).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }
}

/// Reads and keeps time until it is told to stop.
pub(crate) fn run(core: &Core) {
    while let Some(task) = core.reader.next() {
        match task {
            Task::Time(topic) => topic.time_has_come(core),
            Task::Read(read) => {
                let found = catch_unwind(AssertUnwindSafe(|| core.store.read(&read.topic, &read.wanted)));
                let found = found.unwrap_or_else(|_| {
                    Err(Error::Corrupt { what: read.topic.name.to_string(), detail: "the store panicked".to_owned() })
                });
                read.topic.finish_read(core, &read, found);
            }
        }
    }
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Timer {}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timer {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}
