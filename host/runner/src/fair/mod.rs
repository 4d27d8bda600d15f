//! Who runs next on a guest thread, so that busy replicas share it evenly whatever the length of their calls.
//!
//! - [`shares`]: the decision, as a state machine without tasks or clocks
//! - [`turns`]: what one thread knows: its shares, its workers, and the processor time it has used
//! - [`signal`]: tells a worker that goes on from one that waits
//!
//! A worker runs inside a [`Fair`], which polls it only when its turn has come. One worker at a time is called to its
//! turn; the others that could run sleep until they are the one whose replica has had least. So a turn costs the same
//! with two busy replicas as with a thousand.
//!
//! Between two turns the runtime gets to its timers and to what other threads have woken. A task that wakes itself
//! while it is polled would keep it from that: local tasks go first, and timers wait for dozens of them, each a tick long.

mod shares;
mod signal;
mod turns;

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use shares::{ReplicaId, WorkerId};
use signal::Signal;
use turns::Turns;

thread_local! {
    static TURNS: Rc<RefCell<Turns>> = Rc::default();
}

/// Told of processor time, as it is used.
type Sink = Rc<dyn Fn(Duration)>;

/// A replica's share of the thread that it lives on. All workers of the replica run on this one share: more of them
/// make more calls at once, not more calls.
pub(crate) struct Share {
    turns: Rc<RefCell<Turns>>,
    replica: ReplicaId,
    sink: Sink,
}

impl Share {
    /// Takes part in the present thread. `used` is told how much processor time the replica has used.
    pub(crate) fn new(used: impl Fn(Duration) + 'static) -> Rc<Self> {
        let turns = TURNS.with(Rc::clone);
        let replica = turns.borrow_mut().join();
        Rc::new(Self { turns, replica, sink: Rc::new(used) })
    }

    /// A worker that runs on this share.
    pub(crate) fn run<F: Future>(self: &Rc<Self>, worker: F) -> Fair<F> {
        let signal = Arc::<Signal>::default();
        Fair {
            worker: Box::pin(worker),
            waker: Waker::from(Arc::clone(&signal)),
            signal,
            id: self.turns.borrow_mut().add(self.replica, &self.sink),
            share: Rc::clone(self),
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.turns.borrow_mut().leave(self.replica);
    }
}

/// A worker that runs when its turn has come; see the module.
pub(crate) struct Fair<F> {
    worker: Pin<Box<F>>,
    waker: Waker,
    signal: Arc<Signal>,
    id: WorkerId,
    share: Rc<Share>,
}

impl<F: Future> Future for Fair<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.get_mut();
        this.signal.forwards_to(task.waker());
        if !this.share.turns.borrow_mut().may_start(this.id, task.waker()) {
            return Poll::Pending;
        }
        this.signal.poll_starts();
        let polled = this.worker.as_mut().poll(&mut Context::from_waker(&this.waker));
        let goes_on = this.signal.poll_ended() && polled.is_pending();
        this.share.turns.borrow_mut().ended(this.id, goes_on);
        polled
    }
}

impl<F> Drop for Fair<F> {
    fn drop(&mut self) {
        self.share.turns.borrow_mut().remove(self.id);
    }
}

/// Ends the present turn of a worker that could go on.
pub(crate) async fn end_turn() {
    let mut has_ended = false;
    poll_fn(|worker| {
        if std::mem::replace(&mut has_ended, true) {
            return Poll::Ready(());
        }
        worker.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests;
