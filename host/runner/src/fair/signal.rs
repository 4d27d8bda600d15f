use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::AcqRel};
use std::task::{Wake, Waker};

use futures::task::AtomicWaker;

const WOKEN: u8 = 1;
const POLLED: u8 = 2;

/// The waker that a worker is polled with, made once. A wake-up during the poll means that the worker could go on; it is
/// kept here, for the worker's place in the order to decide when. One at another time ends a wait, so it goes on to the
/// task, once.
#[derive(Default)]
pub(super) struct Signal {
    task: AtomicWaker,
    state: AtomicU8,
}

impl Signal {
    pub(super) fn forwards_to(&self, task: &Waker) {
        self.task.register(task);
    }

    /// Whatever has woken it so far is seen by this poll.
    pub(super) fn poll_starts(&self) {
        self.state.swap(POLLED, AcqRel);
    }

    /// True if it was woken since the poll started. Then wake-ups go nowhere until the next poll, which is certain.
    pub(super) fn poll_ended(&self) -> bool {
        self.state.fetch_and(!POLLED, AcqRel) & WOKEN != 0
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.fetch_or(WOKEN, AcqRel) == 0 {
            self.task.wake();
        }
    }
}
