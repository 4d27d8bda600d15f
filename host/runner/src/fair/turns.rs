use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use slab::Slab;

use super::Sink;
use super::shares::{ReplicaId, Shares, WorkerId};

/// A replica that has the thread to itself has its processor time read no more often than this: reading it takes a
/// system call, many times what the time of day takes.
const LONGEST_UNREAD: Duration = Duration::from_millis(1);

/// See [`super`].
#[derive(Default)]
pub(super) struct Turns {
    shares: Shares,
    workers: Slab<Worker>,
    /// How many workers are called. While any is, nobody else starts: what other threads have woken comes first.
    called: usize,
    meter: Meter,
}

struct Worker {
    replica: ReplicaId,
    sink: Sink,
    /// The task that the worker runs in, once it has been polled.
    task: Option<Waker>,
    is_runnable: bool,
    /// It has been woken for its turn and has not been polled since.
    is_called: bool,
}

impl Turns {
    pub(super) fn join(&mut self) -> ReplicaId {
        self.shares.join()
    }

    pub(super) fn leave(&mut self, replica: ReplicaId) {
        if self.meter.runs.as_ref().is_some_and(|(running, _)| *running == replica) {
            self.settle();
        }
        self.shares.leave(replica);
        self.call_next();
    }

    pub(super) fn add(&mut self, replica: ReplicaId, sink: &Sink) -> WorkerId {
        let sink = Rc::clone(sink);
        self.workers.insert(Worker { replica, sink, task: None, is_runnable: false, is_called: false })
    }

    pub(super) fn remove(&mut self, id: WorkerId) {
        if let Some(worker) = self.workers.try_remove(id) {
            self.called -= usize::from(worker.is_called);
            self.shares.ran(worker.replica, id, false);
        }
        self.call_next();
    }

    /// A task was polled: its worker could run. False if it is not its turn; then it is woken when it is.
    pub(super) fn may_start(&mut self, id: WorkerId, task: &Waker) -> bool {
        let Some(worker) = self.workers.get_mut(id) else { return false };
        let was_called = std::mem::take(&mut worker.is_called);
        self.called -= usize::from(was_called);
        if !worker.task.as_ref().is_some_and(|known| known.will_wake(task)) {
            worker.task = Some(task.clone());
        }
        let (replica, sink) = (worker.replica, Rc::clone(&worker.sink));
        let was_runnable = std::mem::replace(&mut worker.is_runnable, true);
        if self.meter.runs.as_ref().is_some_and(|(running, _)| *running != replica) {
            self.settle();
        }
        if !was_runnable {
            self.shares.woke(replica, id);
        }
        let may_start = self.shares.next() == Some(id) && (was_called || self.called == 0);
        if may_start {
            self.meter.runs = Some((replica, sink));
        } else {
            self.call_next();
        }
        may_start
    }

    /// A worker's turn is over.
    pub(super) fn ended(&mut self, id: WorkerId, goes_on: bool) {
        let Some(worker) = self.workers.get_mut(id) else { return };
        worker.is_runnable = goes_on;
        let replica = worker.replica;
        if self.shares.has_rival(replica) || self.meter.is_due() {
            self.settle();
        }
        self.shares.ran(replica, id, goes_on);
        self.call_next();
    }

    fn call_next(&mut self) {
        if let Some(next) = self.shares.next().and_then(|next| self.workers.get_mut(next))
            && let Some(task) = &next.task
            && !next.is_called
        {
            next.is_called = true;
            self.called += 1;
            wake_after_the_driver(task);
        }
    }

    /// Charges the replica that has run for the time since the clock was read last. What the thread did between turns is
    /// in it: settling, most of it for those that had them.
    fn settle(&mut self) {
        let time = self.meter.read();
        if let Some((replica, sink)) = self.meter.runs.take() {
            self.shares.used(replica, time);
            sink(time);
        }
    }
}

/// Wakes a task when the runtime has run what is ready, polled its timers and taken in what other threads have woken.
fn wake_after_the_driver(task: &Waker) {
    // The first poll of this future does just that with the waker it is given.
    let yielding = pin!(tokio::task::yield_now());
    let _ = yielding.poll(&mut Context::from_waker(task));
}

/// Processor time of the present thread, and who uses it.
struct Meter {
    read: Duration,
    read_at: Instant,
    runs: Option<(ReplicaId, Sink)>,
}

impl Default for Meter {
    fn default() -> Self {
        Self { read: thread_time(), read_at: Instant::now(), runs: None }
    }
}

impl Meter {
    fn is_due(&self) -> bool {
        self.read_at.elapsed() >= LONGEST_UNREAD
    }

    /// The time used since the last reading.
    fn read(&mut self) -> Duration {
        let now = thread_time();
        let used = now.saturating_sub(self.read);
        (self.read, self.read_at) = (now, Instant::now());
        used
    }
}

fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // Neither part is ever negative or out of range.
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
