//! Manual: the guest settles by hand, in any later call. What it settles during a call takes effect when the outputs of
//! that call are confirmed, so that an ack never runs ahead of the output it stands for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::entries::{State, Task};
use super::{Failure, Settlement};

/// What the guest decided about one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settle {
    Ack(Task),
    Nack(Task, Option<Duration>),
}

/// The handles a guest may settle messages by. Shared with the instances of the replica, since a guest is answered at
/// once whether a handle is good.
#[derive(Clone, Debug, Default)]
pub(crate) struct Handles {
    table: Arc<Mutex<Table>>,
}

#[derive(Debug, Default)]
struct Table {
    last: u64,
    open: HashMap<u64, Task>,
    by_task: HashMap<Task, u64>,
}

impl Handles {
    /// The handle of a message; the same one each time.
    pub(crate) fn of(&self, task: Task) -> u64 {
        let mut table = self.lock();
        if let Some(handle) = table.by_task.get(&task) {
            return *handle;
        }
        table.last += 1;
        let handle = table.last;
        table.open.insert(handle, task);
        table.by_task.insert(task, handle);
        handle
    }

    /// Uses a handle up; `None` if it is unknown or used.
    pub(crate) fn take(&self, handle: u64) -> Option<Task> {
        self.lock().open.remove(&handle)
    }

    /// The call in which these were used has failed: they are good again.
    pub(crate) fn restore(&self, tasks: impl Iterator<Item = Task>) {
        let mut table = self.lock();
        for task in tasks {
            if let Some(&handle) = table.by_task.get(&task) {
                table.open.insert(handle, task);
            }
        }
    }

    fn forget(&self, task: Task) {
        let mut table = self.lock();
        if let Some(handle) = table.by_task.remove(&task) {
            table.open.remove(&handle);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // The table is whole after every statement, so a panic elsewhere does not spoil it.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Settle {
    pub(crate) fn task(&self) -> Task {
        match self {
            Self::Ack(task) | Self::Nack(task, _) => *task,
        }
    }
}

/// What was settled by hand in one call that still has outputs on their way.
#[derive(Debug)]
struct Pending {
    sending: Vec<Task>,
    settle: Vec<Settle>,
}

/// Calls whose settling waits for outputs.
#[derive(Debug, Default)]
pub(super) struct Manual {
    pub(super) handles: Handles,
    pending: Vec<Pending>,
}

impl Settlement {
    /// The handles of this replica, for its instances.
    pub(crate) fn handles(&self) -> Handles {
        self.manual.handles.clone()
    }

    pub(super) fn settle_by_hand(&mut self, settle: Vec<Settle>, sending: Vec<Task>, now: Instant) {
        if settle.is_empty() {
            return;
        }
        if sending.is_empty() {
            self.apply(settle, now);
        } else {
            self.manual.pending.push(Pending { sending, settle });
        }
    }

    pub(super) fn outputs_confirmed_by_hand(&mut self, task: Task, now: Instant) {
        for pending in &mut self.manual.pending {
            pending.sending.retain(|sending| *sending != task);
        }
        let done = self.manual.pending.extract_if(.., |pending| pending.sending.is_empty());
        let settle: Vec<Settle> = done.flat_map(|pending| pending.settle).collect();
        self.apply(settle, now);
    }

    /// Outputs of the call are lost: what was settled in it did not happen.
    pub(super) fn outputs_lost(&mut self, task: Task) {
        let lost = self.manual.pending.extract_if(.., |pending| pending.sending.contains(&task));
        let tasks: Vec<Task> = lost.flat_map(|pending| pending.settle).map(|settle| settle.task()).collect();
        self.manual.handles.restore(tasks.into_iter());
    }

    pub(super) fn forget_handle(&mut self, task: Task) {
        if self.policy.guarantee == pulselet_api::Guarantee::Manual {
            self.manual.handles.forget(task);
        }
    }

    fn apply(&mut self, settle: Vec<Settle>, now: Instant) {
        for settle in settle {
            let task = settle.task();
            if self.entries.state(task) != Some(State::Open) {
                // It comes again, so its handle is good again.
                self.manual.handles.restore(std::iter::once(task));
                continue;
            }
            match settle {
                Settle::Ack(_) => self.settle(task),
                Settle::Nack(_, delay) => {
                    self.manual.handles.forget(task);
                    let failure = Failure::Retry { reason: "given back by the function".to_owned(), delay };
                    if let Some(due) = self.fail(task, failure, now) {
                        self.entries.set_state(task, State::Waiting);
                        self.lanes.wait(self.lane_of(task), task, due, &self.entries);
                    }
                }
            }
        }
    }
}
