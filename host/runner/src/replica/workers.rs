//! The workers of a replica. They start when there is something to call: one that never was needed costs nothing.

use std::rc::Rc;

use tokio::task::JoinSet;

use super::{Replica, worker};
use crate::fair::Share;
use crate::metrics::ReplicaMetrics;

/// See the module. Dropping it breaks off their calls.
pub(super) struct Workers {
    running: Option<JoinSet<()>>,
    metrics: ReplicaMetrics,
}

impl Workers {
    /// None yet. The processor time that they use is counted.
    pub(super) fn new(metrics: ReplicaMetrics) -> Self {
        Self { running: None, metrics }
    }

    /// Starts them if there is something to call, or instances are to be kept warm.
    pub(super) fn start_if_needed(&mut self, replica: &Rc<Replica>) {
        let is_warm = || replica.running.borrow().revision.function.instances.warm > 0;
        if self.running.is_some() || !(replica.machine.borrow().has_work() || is_warm()) {
            return;
        }
        let metrics = self.metrics.clone();
        let share = Share::new(move |time| metrics.cpu(time));
        let workers = self.running.insert(JoinSet::new());
        for number in 0..replica.shared.facts.function.concurrency.get() {
            workers.spawn_local(share.run(worker::run(Rc::clone(replica), number as usize)));
        }
    }

    /// Ends those that rest, and breaks off calls.
    pub(super) async fn shutdown(self) {
        if let Some(mut workers) = self.running {
            workers.shutdown().await;
        }
    }
}
