//! Instances of a guest thread that have nothing to do. A worker that rests parks its instance here and takes it back
//! with the next message, if it is still there: it may have left because its time was up, or because somebody else needed
//! its place.
//!
//! Everything happens on one thread, so nothing is locked. One task looks after all that is parked, with one timer for
//! the first that leaves; when nothing is parked there is none.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use pulselet_engine::Instance;
use slab::Slab;
use tokio::sync::{Notify, watch};

use crate::host::GuestHost;

/// Between two instances that make place.
const PAUSE: Duration = Duration::from_millis(1);

thread_local! {
    static PARKING: Rc<Parking> = Rc::default();
}

/// How long an instance may stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stay {
    /// Until it was idle for so long.
    Idle(Duration),
    /// For ever, unless its place is needed and nothing else can go.
    Warm,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Parking {
    spots: RefCell<Spots<Instance<GuestHost>>>,
    /// Something leaves before what the timer is set for, or somebody waits for the place of what was parked.
    sooner: Notify,
    /// How many wait for a place.
    waiting: RefCell<Option<watch::Receiver<u32>>>,
}

/// Where an instance is parked; good for one instance.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    spot: usize,
    number: u64,
}

impl Parking {
    /// That of the present thread.
    pub(crate) fn here() -> Rc<Self> {
        PARKING.with(Rc::clone)
    }

    pub(crate) fn park(&self, instance: Instance<GuestHost>, stay: Stay) -> Ticket {
        let (ticket, is_sooner) = self.spots.borrow_mut().put(instance, stay, Instant::now());
        if is_sooner || self.is_awaited() {
            self.sooner.notify_one();
        }
        ticket
    }

    /// The instance, if it has not left.
    pub(crate) fn take(&self, ticket: &Ticket) -> Option<Instance<GuestHost>> {
        self.spots.borrow_mut().take(ticket)
    }

    /// Lets instances leave whose time is up, and others when somebody waits for a place. Runs as long as its thread.
    pub(crate) async fn look_after(self: Rc<Self>, mut waiting: watch::Receiver<u32>) {
        *self.waiting.borrow_mut() = Some(waiting.clone());
        loop {
            self.make_place().await;
            let next = self.spots.borrow().next_to_leave();
            let time_is_up = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = time_is_up => self.leave(Instant::now()),
                () = self.sooner.notified() => {}
                changed = waiting.changed() => if changed.is_err() {
                    // The engine is gone, and with it everybody who could wait.
                    return;
                },
            }
        }
    }

    fn leave(&self, now: Instant) {
        let left = self.spots.borrow_mut().leave(now);
        // Ended without the borrow: what an instance does when it ends is not ours to know.
        drop(left);
    }

    /// One after the other, as long as somebody waits.
    async fn make_place(&self) {
        while self.is_awaited() {
            let Some(longest_idle) = self.spots.borrow_mut().evict() else { return };
            drop(longest_idle);
            // Whoever waits, here or on another thread, gets to its place before another instance goes.
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn is_awaited(&self) -> bool {
        self.waiting.borrow().as_ref().is_some_and(|waiting| *waiting.borrow() > 0)
    }
}

/// What is parked, whatever it is.
struct Spots<T> {
    parked: Slab<Parked<T>>,
    /// By when they were parked, the longest idle first; warm ones behind all others.
    by_idleness: BTreeMap<(bool, u64), usize>,
    by_leaving: BTreeMap<(Instant, u64), usize>,
    parked_so_far: u64,
}

struct Parked<T> {
    what: T,
    number: u64,
    leaves_at: Option<Instant>,
}

impl<T> Default for Spots<T> {
    fn default() -> Self {
        Self { parked: Slab::new(), by_idleness: BTreeMap::new(), by_leaving: BTreeMap::new(), parked_so_far: 0 }
    }
}

impl<T> Spots<T> {
    /// Also says whether it is the first to leave now.
    fn put(&mut self, what: T, stay: Stay, now: Instant) -> (Ticket, bool) {
        self.parked_so_far += 1;
        let number = self.parked_so_far;
        let leaves_at = match stay {
            Stay::Idle(time) => now.checked_add(time),
            Stay::Warm => None,
        };
        let is_sooner = leaves_at.is_some_and(|at| self.next_to_leave().is_none_or(|next| at < next));
        let spot = self.parked.insert(Parked { what, number, leaves_at });
        self.by_idleness.insert((leaves_at.is_none(), number), spot);
        self.by_leaving.extend(leaves_at.map(|at| ((at, number), spot)));
        (Ticket { spot, number }, is_sooner)
    }

    fn take(&mut self, ticket: &Ticket) -> Option<T> {
        let is_there = self.parked.get(ticket.spot).is_some_and(|parked| parked.number == ticket.number);
        if is_there { self.remove(ticket.spot) } else { None }
    }

    fn remove(&mut self, spot: usize) -> Option<T> {
        let Parked { what, number, leaves_at } = self.parked.try_remove(spot)?;
        self.by_idleness.remove(&(leaves_at.is_none(), number));
        leaves_at.and_then(|at| self.by_leaving.remove(&(at, number)));
        Some(what)
    }

    fn next_to_leave(&self) -> Option<Instant> {
        self.by_leaving.first_key_value().map(|((at, _), _)| *at)
    }

    /// Those whose time is up.
    fn leave(&mut self, now: Instant) -> Vec<T> {
        let due: Vec<usize> = self.by_leaving.range(..=(now, u64::MAX)).map(|(_, spot)| *spot).collect();
        due.into_iter().filter_map(|spot| self.remove(spot)).collect()
    }

    /// The one that is missed least.
    fn evict(&mut self) -> Option<T> {
        let spot = self.by_idleness.first_key_value().map(|(_, spot)| *spot)?;
        self.remove(spot)
    }
}

#[cfg(test)]
mod tests;
