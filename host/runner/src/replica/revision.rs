//! What a replica runs at present. An update replaces it as a whole, between two calls.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use pulselet_api::Resolved;
use pulselet_engine::Assigned;
use tokio::sync::watch;

use crate::function::Facts;
use crate::host::{GuestHost, Shared};

/// Messages after which new code is no longer on trial.
pub(crate) const TRIAL_MESSAGES: u32 = 1_000;

/// Code and what is declared about it, for all replicas.
#[derive(Clone)]
pub(crate) struct Revision {
    /// Later ones have higher numbers.
    pub(crate) number: u32,
    pub(crate) function: Arc<Resolved>,
    pub(crate) assigned: Arc<Assigned<GuestHost>>,
    /// While it may be taken back.
    pub(crate) trial: Option<Arc<Trial>>,
}

/// The same for one replica: what its instances are made with.
pub(super) struct Running {
    pub(super) revision: Revision,
    pub(super) shared: Rc<Shared>,
}

impl Running {
    pub(super) fn new(revision: Revision, shared: &Rc<Shared>) -> Self {
        if Arc::ptr_eq(&revision.function, &shared.facts.function) {
            return Self { shared: Rc::clone(shared), revision };
        }
        let Facts { replica, secrets, state_dir, .. } = &*shared.facts;
        let facts = Facts {
            function: Arc::clone(&revision.function),
            replica: *replica,
            secrets: Arc::clone(secrets),
            state_dir: state_dir.clone(),
        };
        let shared = Shared { facts: Arc::new(facts), ..Shared::clone(shared) };
        Self { shared: Rc::new(shared), revision }
    }
}

/// How a trial stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It goes on.
    Open,
    /// It has handled its messages.
    Passed,
    /// So many calls have failed, which are too many.
    Failed(u32),
}

/// Counts what new code does with its first messages, over all replicas.
pub(crate) struct Trial {
    on_errors: u32,
    messages: AtomicU32,
    errors: AtomicU32,
    verdict: watch::Sender<Verdict>,
}

impl Trial {
    pub(crate) fn new(on_errors: u32) -> Self {
        let verdict = watch::Sender::new(Verdict::Open);
        Self { on_errors, messages: AtomicU32::new(0), errors: AtomicU32::new(0), verdict }
    }

    /// So many messages were handled, of which so many failed.
    pub(crate) fn record(&self, messages: usize, errors: usize) {
        if *self.verdict.borrow() != Verdict::Open {
            return;
        }
        let added = |counter: &AtomicU32, more: usize| {
            let more = u32::try_from(more).unwrap_or(u32::MAX);
            counter.fetch_add(more, Ordering::Relaxed).saturating_add(more)
        };
        let (messages, errors) = (added(&self.messages, messages), added(&self.errors, errors));
        let verdict = match (errors >= self.on_errors, messages >= TRIAL_MESSAGES) {
            (true, _) => Verdict::Failed(errors),
            (false, true) => Verdict::Passed,
            (false, false) => return,
        };
        // The first verdict counts.
        self.verdict.send_if_modified(|now| *now == Verdict::Open && std::mem::replace(now, verdict) != verdict);
    }

    /// Told of the verdict. Ends without one when nobody runs the code any more.
    pub(crate) fn watch(&self) -> watch::Receiver<Verdict> {
        self.verdict.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_ends_with_its_errors_or_with_its_messages_and_only_once() {
        let verdict = |trial: &Trial| *trial.verdict.borrow();
        let trial = Trial::new(3);
        trial.record(500, 2);
        assert_eq!(verdict(&trial), Verdict::Open);
        trial.record(1, 1);
        assert_eq!(verdict(&trial), Verdict::Failed(3));
        trial.record(5_000, 0);
        assert_eq!(verdict(&trial), Verdict::Failed(3));
        let trial = Trial::new(3);
        trial.record(1_000, 2);
        trial.record(10, 10);
        assert_eq!(verdict(&trial), Verdict::Passed);
    }
}
