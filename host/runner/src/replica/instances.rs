//! A worker's instance: in its hand while messages keep coming, parked while it rests, made when there is none.

use std::rc::Rc;
use std::time::{Duration, Instant};

use pulselet_api::Reuse;
use pulselet_engine::{Fault, Instance};

use super::revision::Running;
use crate::host::GuestHost;
use crate::parking::{Parking, Stay, Ticket};

/// Waits between attempts at making an instance in advance.
const WARM_BACKOFF: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60);

/// See the module.
pub(super) struct Instances {
    parking: Rc<Parking>,
    /// Which worker of its replica; the first ones keep theirs warm.
    worker: u32,
    in_hand: Option<Instance<GuestHost>>,
    parked: Option<Ticket>,
    /// What the instance was made of.
    revision: u32,
    backoff: Duration,
    /// When making one in advance is tried again, after it failed.
    pub(super) warm_at: Option<Instant>,
}

impl Instances {
    pub(super) fn new(worker: usize) -> Self {
        Self {
            parking: Parking::here(),
            worker: u32::try_from(worker).unwrap_or(u32::MAX),
            in_hand: None,
            parked: None,
            revision: 0,
            backoff: *WARM_BACKOFF.start(),
            warm_at: None,
        }
    }

    /// The one there is, if it runs the present code.
    pub(super) fn take(&mut self, running: &Running) -> Option<Instance<GuestHost>> {
        let parked = self.parked.take();
        let instance = self.in_hand.take().or_else(|| self.parking.take(&parked?))?;
        (self.revision == running.revision.number && !instance.is_outdated()).then_some(instance)
    }

    /// A new one; the component is loaded if it is not.
    pub(super) async fn make(&mut self, running: &Running) -> Result<Instance<GuestHost>, Fault> {
        self.revision = running.revision.number;
        let host = GuestHost::new(running.shared.clone());
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
    pub(super) fn park(&mut self, running: &Running) {
        let Some(instance) = self.take(running) else { return };
        let instances = running.revision.function.instances;
        let stay = if self.worker < instances.warm { Stay::Warm } else { Stay::Idle(instances.idle_timeout) };
        self.parked = Some(self.parking.park(instance, stay));
    }

    /// True if one is to be made though there is nothing to do.
    pub(super) fn wants_warmth(&self, running: &Running, now: Instant) -> bool {
        let is_current = self.revision == running.revision.number;
        let has_one = is_current && (self.in_hand.is_some() || self.parked.is_some());
        self.worker < running.revision.function.instances.warm && !has_one && self.warm_at.is_none_or(|at| at <= now)
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

impl Drop for Instances {
    fn drop(&mut self) {
        drop(self.parked.take().and_then(|ticket| self.parking.take(&ticket)));
    }
}
