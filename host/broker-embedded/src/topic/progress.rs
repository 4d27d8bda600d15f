use std::collections::VecDeque;

use pulselet_broker::{Error, Result};
use tokio::sync::oneshot;

/// Counts what changes and what of it is durable, and wakes who waits for that.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    changed: u64,
    saved: u64,
    /// By rising version.
    waiting: VecDeque<(u64, Waiter)>,
    failed: Option<Box<Error>>,
}

/// Where the outcome goes.
pub(crate) type Waiter = oneshot::Sender<Result<()>>;

/// An outcome that may still be under way.
#[derive(Debug)]
pub(crate) enum Wait {
    Done(Result<()>),
    For(oneshot::Receiver<Result<()>>),
}

impl Wait {
    pub(crate) async fn done(self) -> Result<()> {
        match self {
            Self::Done(result) => result,
            Self::For(receiver) => receiver.await.unwrap_or(Err(Error::Closed)),
        }
    }
}

impl Progress {
    /// Something changed. True if there was nothing to save before.
    pub(crate) fn change(&mut self) {
        self.changed += 1;
    }

    /// The present version: all changes up to now.
    pub(crate) fn version(&self) -> u64 {
        self.changed
    }

    /// Resolves when everything up to now is durable.
    pub(crate) fn wait(&mut self) -> Wait {
        if let Some(error) = &self.failed {
            return Wait::Done(Err(Error::clone(error)));
        }
        if self.saved == self.changed {
            return Wait::Done(Ok(()));
        }
        let (sender, receiver) = oneshot::channel();
        self.waiting.push_back((self.changed, sender));
        Wait::For(receiver)
    }

    /// Like [`Progress::wait`], for somebody who waits already.
    pub(crate) fn resolve_when_saved(&mut self, waiter: Waiter) {
        if let Some(error) = &self.failed {
            waiter.send(Err(Error::clone(error))).ok();
        } else if self.saved == self.changed {
            waiter.send(Ok(())).ok();
        } else {
            self.waiting.push_back((self.changed, waiter));
        }
    }

    /// Everything up to `version` is durable; gives who waited for that.
    pub(crate) fn save(&mut self, version: u64) -> Vec<Waiter> {
        self.saved = self.saved.max(version);
        let due = self.waiting.partition_point(|(wanted, _)| *wanted <= version);
        self.waiting.drain(..due).map(|(_, waiter)| waiter).collect()
    }

    /// Nothing will be saved any more.
    pub(crate) fn fail(&mut self, error: &Error) {
        if self.failed.is_none() {
            self.failed = Some(Box::new(error.clone()));
        }
        for (_, waiter) in self.waiting.drain(..) {
            waiter.send(Err(error.clone())).ok();
        }
    }
}
