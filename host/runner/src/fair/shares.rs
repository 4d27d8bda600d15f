use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use slab::Slab;

pub(super) type ReplicaId = usize;
pub(super) type WorkerId = usize;

/// Orders replicas by the processor time they have used: the one with least is next. Between replicas that stay runnable
/// the difference never exceeds the longest turn, and a replica that has waited starts level with the one that has had
/// least: it neither saves up time nor loses what it is owed by those ahead of it.
#[derive(Default)]
pub(super) struct Shares {
    replicas: Slab<Replica>,
    order: BTreeSet<Place>,
    /// What the runnable replica with least has used; never falls. Where none is runnable, what the last one had used.
    floor: u64,
    places_given: u64,
}

#[derive(Default)]
struct Replica {
    /// In nanoseconds; lifted to the floor when it becomes runnable.
    used: u64,
    place: Option<Place>,
    runnable: VecDeque<WorkerId>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    used: u64,
    /// Level with others, one that has waited goes before one that has just run.
    has_run: bool,
    number: u64,
    replica: ReplicaId,
}

impl Shares {
    pub(super) fn join(&mut self) -> ReplicaId {
        self.replicas.insert(Replica::default())
    }

    pub(super) fn leave(&mut self, replica: ReplicaId) {
        if let Some(gone) = self.replicas.try_remove(replica)
            && let Some(place) = gone.place
        {
            self.order.remove(&place);
        }
    }

    /// A worker that waited could go on.
    pub(super) fn woke(&mut self, replica: ReplicaId, worker: WorkerId) {
        let floor = self.floor;
        let Some(known) = self.replicas.get_mut(replica) else { return };
        known.runnable.push_back(worker);
        if known.place.is_none() {
            known.used = known.used.max(floor);
            self.put(replica, false);
        }
    }

    /// The worker whose turn it is.
    pub(super) fn next(&self) -> Option<WorkerId> {
        let first = self.order.first()?;
        self.replicas.get(first.replica)?.runnable.front().copied()
    }

    /// True if a replica other than this one could run.
    pub(super) fn has_rival(&self, replica: ReplicaId) -> bool {
        let itself = self.replicas.get(replica).is_some_and(|known| known.place.is_some());
        self.order.len() > usize::from(itself)
    }

    /// A replica has used processor time.
    pub(super) fn used(&mut self, replica: ReplicaId, time: Duration) {
        let Some(known) = self.replicas.get_mut(replica) else { return };
        // Even a turn too short for the clock moves a replica behind those it was level with.
        let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(1);
        known.used = known.used.saturating_add(time);
        if known.place.is_some() {
            self.put(replica, true);
        } else if self.order.is_empty() {
            self.floor = self.floor.max(known.used);
        }
        self.lift_floor();
    }

    /// A worker's turn is over: it goes behind the others of its replica, or it waits or is gone.
    pub(super) fn ran(&mut self, replica: ReplicaId, worker: WorkerId, goes_on: bool) {
        let Some(known) = self.replicas.get_mut(replica) else { return };
        known.runnable.retain(|other| *other != worker);
        if goes_on {
            known.runnable.push_back(worker);
        } else if known.runnable.is_empty()
            && let Some(place) = known.place.take()
        {
            self.order.remove(&place);
            if self.order.is_empty() {
                self.floor = self.floor.max(place.used);
            }
        }
        self.lift_floor();
    }

    fn put(&mut self, replica: ReplicaId, has_run: bool) {
        let Some(known) = self.replicas.get_mut(replica) else { return };
        self.places_given += 1;
        let place = Place { used: known.used, has_run, number: self.places_given, replica };
        if let Some(old) = known.place.replace(place) {
            self.order.remove(&old);
        }
        self.order.insert(place);
    }

    fn lift_floor(&mut self) {
        if let Some(first) = self.order.first() {
            self.floor = self.floor.max(first.used);
        }
    }
}
