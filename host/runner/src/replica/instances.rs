//! Instances of a replica: in a worker's hand while messages keep coming, parked while there are none, made when they are
//! missing.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pulselet_api::Reuse;
use pulselet_engine::{Fault, Instance};

use super::revision::Running;
use crate::host::GuestHost;
use crate::parking::{Parking, Stay, Ticket};

/// Waits between attempts at making an instance in advance.
const WARM_BACKOFF: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60);

/// Those that no worker of the replica has in its hand. The one used last is used first, so that the others can leave.
#[derive(Default)]
pub(super) struct Idle(RefCell<Vec<Parked>>);

struct Parked {
    ticket: Ticket,
    revision: u32,
    stay: Stay,
}

impl Idle {
    /// One that runs the present code; those that do not end here.
    fn take(&self, running: &Running) -> Option<Instance<GuestHost>> {
        let parking = Parking::here();
        loop {
            let Parked { ticket, revision, .. } = self.0.borrow_mut().pop()?;
            let taken = parking.take(&ticket);
            let is_current = |instance: &Instance<GuestHost>| is_current(instance, revision, running);
            if let Some(instance) = taken.filter(is_current) {
                return Some(instance);
            }
        }
    }

    fn park(&self, instance: Instance<GuestHost>, running: &Running) {
        let instances = running.revision.function.instances;
        let mut parked = self.0.borrow_mut();
        let warm = parked.iter().filter(|parked| parked.stay == Stay::Warm).count();
        let stay = if warm < instances.warm as usize { Stay::Warm } else { Stay::Idle(instances.idle_timeout) };
        let ticket = Parking::here().park(instance, stay);
        parked.push(Parked { ticket, revision: running.revision.number, stay });
    }

    /// All that is parked ends: the replica does, or runs other code.
    pub(super) fn clear(&self) {
        let parked = self.0.take();
        drop(parked.iter().filter_map(|parked| Parking::here().take(&parked.ticket)).collect::<Vec<_>>());
    }
}

fn is_current(instance: &Instance<GuestHost>, revision: u32, running: &Running) -> bool {
    revision == running.revision.number && !instance.is_outdated()
}

/// Whether a replica has as many instances as are to be kept warm.
pub(super) enum Warmth {
    Missing,
    /// Or it is not the time to make one.
    Enough {
        until: Option<Instant>,
    },
}

/// What one worker does with instances.
pub(super) struct Instances {
    in_hand: Option<Instance<GuestHost>>,
    /// What that one was made of.
    revision: u32,
    backoff: Duration,
    /// When making one in advance is tried again, after it failed.
    warm_at: Option<Instant>,
}

impl Instances {
    pub(super) fn new() -> Self {
        Self { in_hand: None, revision: 0, backoff: *WARM_BACKOFF.start(), warm_at: None }
    }

    /// One there is, if it runs the present code.
    pub(super) fn take(&mut self, idle: &Idle, running: &Running) -> Option<Instance<GuestHost>> {
        let in_hand = self.in_hand.take().filter(|instance| is_current(instance, self.revision, running));
        let instance = in_hand.or_else(|| idle.take(running))?;
        self.revision = running.revision.number;
        Some(instance)
    }

    /// A new one; the component is loaded if it is not.
    pub(super) async fn make(&mut self, running: &Running) -> Result<Instance<GuestHost>, Fault> {
        self.revision = running.revision.number;
        let host = GuestHost::new(Rc::unwrap_or_clone(Rc::clone(&running.shared)));
        let assigned = &running.revision.assigned;
        // Making code anew is seldom needed, and its future large.
        let loaded = match assigned.load() {
            Ok(loaded) => loaded,
            Err(_) => {
                let restored = Box::pin(assigned.load_or_restore()).await;
                restored.map_err(|error| Fault::Host(error.to_string()))?
            }
        };
        loaded.instantiate(host).await
    }

    /// A call is over. What may not be used again ends here.
    pub(super) fn keep(&mut self, instance: Instance<GuestHost>, running: &Running) {
        let is_kept = running.revision.function.component.reuse == Reuse::Instance && !instance.is_poisoned();
        self.in_hand = is_kept.then_some(instance);
    }

    /// There is nothing to do.
    pub(super) fn park(&mut self, idle: &Idle, running: &Running) {
        let Some(instance) = self.in_hand.take() else { return };
        if is_current(&instance, self.revision, running) {
            idle.park(instance, running);
        }
    }

    /// Whether one is to be made though there is nothing to do.
    pub(super) fn warmth(&mut self, running: &Running, now: Instant) -> Warmth {
        if running.shared.live.load(Ordering::Relaxed) >= running.revision.function.instances.warm {
            self.warm_at = None;
        } else if self.warm_at.is_none_or(|at| at <= now) {
            return Warmth::Missing;
        }
        Warmth::Enough { until: self.warm_at }
    }

    /// Makes one in advance; after a failure not again before some time has passed.
    pub(super) async fn warm(&mut self, running: &Running) {
        match self.make(running).await {
            Ok(instance) => {
                self.in_hand = Some(instance);
                (self.warm_at, self.backoff) = (None, *WARM_BACKOFF.start());
            }
            Err(fault) => {
                let (function, pause) = (&running.revision.function.name, self.backoff);
                tracing::warn!(%function, %fault, ?pause, "no warm instance; trying again");
                self.warm_at = Some(Instant::now() + self.backoff);
                self.backoff = (self.backoff * 2).min(*WARM_BACKOFF.end());
            }
        }
    }
}
