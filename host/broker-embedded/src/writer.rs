//! The one thread that writes: group commit.
//!
//! Whoever changes a topic does so in memory, under the topic's lock, and queues the topic. The writer takes all queued
//! topics, writes what changed in each into one transaction and commits it, which ends with an fsync. Then entries go
//! out to consumers, and receipts and confirmations are given. While it commits, the next round gathers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use pulselet_broker::Error;
use tokio::sync::Notify;

use crate::core::Core;
use crate::lock;
use crate::store::commit;
use crate::topic::Topic;

/// What is to be saved.
#[derive(Debug, Default)]
pub(crate) struct WriterQueue {
    round: Mutex<Round>,
    filled: Condvar,
    finished: Finished,
}

#[derive(Debug, Default)]
struct Round {
    /// Each at most once.
    topics: Vec<Arc<Topic>>,
    registry: bool,
    stop: Option<Stop>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    WhenEmpty,
    Now,
}

impl WriterQueue {
    pub(crate) fn topic(&self, topic: Arc<Topic>) {
        lock(&self.round).topics.push(topic);
        self.filled.notify_one();
    }

    pub(crate) fn registry(&self) {
        lock(&self.round).registry = true;
        self.filled.notify_one();
    }

    /// Ends the writer when everything is saved.
    pub(crate) fn finish(&self) {
        lock(&self.round).stop.get_or_insert(Stop::WhenEmpty);
        self.filled.notify_one();
    }

    /// Ends the writer after the commit that it is at.
    pub(crate) fn abort(&self) {
        lock(&self.round).stop = Some(Stop::Now);
        self.filled.notify_one();
    }

    /// The writer has ended.
    pub(crate) async fn finished(&self) {
        self.finished.wait().await;
    }

    /// Everything queued, as soon as there is something; `None` at the end.
    fn next(&self) -> Option<(bool, Vec<Arc<Topic>>)> {
        let mut round = lock(&self.round);
        loop {
            let empty = round.topics.is_empty() && !round.registry;
            match round.stop {
                Some(Stop::Now) => return None,
                Some(Stop::WhenEmpty) if empty => return None,
                _ if !empty => return Some((std::mem::take(&mut round.registry), std::mem::take(&mut round.topics))),
                _ => {}
            }
            round = self.filled.wait(round).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }
}

/// Tells when the writer has ended.
#[derive(Debug, Default)]
struct Finished {
    yes: AtomicBool,
    told: Notify,
}

impl Finished {
    async fn wait(&self) {
        while !self.yes.load(Ordering::Acquire) {
            let told = self.told.notified();
            if self.yes.load(Ordering::Acquire) {
                return;
            }
            told.await;
        }
    }

    fn tell(&self) {
        self.yes.store(true, Ordering::Release);
        self.told.notify_waiters();
    }
}

/// Saves round after round until it is told to stop, or until the store fails.
pub(crate) fn run(core: &Core) {
    save_rounds(core);
    core.writer.finished.tell();
}

fn save_rounds(core: &Core) {
    while let Some((registry, topics)) = core.writer.next() {
        // The store panics on damage that it does not expect; that must not leave receipts waiting for ever.
        let saved = catch_unwind(AssertUnwindSafe(|| commit::commit(core, registry, topics)));
        let saved = saved.unwrap_or_else(|_| Err(Error::Storage("the store panicked: it is damaged".to_owned())));
        if let Err(error) = saved {
            core.fail(&error);
            return;
        }
    }
}
