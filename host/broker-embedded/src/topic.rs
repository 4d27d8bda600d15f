//! One topic, or one partition of a topic: its entries, its producers and its subscriptions, under one lock.
//!
//! - [`entry`]: an entry as it is kept
//! - [`log`]: where the entries begin and end, and the newest of them
//! - [`progress`]: what is saved, and who waits for it
//! - [`producers`]: names and sequence ids
//! - [`changes`]: what the next commit writes

pub(crate) mod changes;
pub(crate) mod entry;
pub(crate) mod log;
pub(crate) mod producers;
pub(crate) mod progress;
pub(crate) mod publish;
pub(crate) mod reading;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use pulselet_broker::topic::TopicName;
use pulselet_broker::{Error, InitialPosition, MessageId, Position, Result, SubscriptionStats};

use self::log::Log;
use self::producers::Producers;
use self::progress::{Progress, Wait};
use crate::core::Core;
use crate::lock;
use crate::store::tables::Place;
use crate::subscription::Subscription;

/// A topic.
#[derive(Debug)]
pub(crate) struct Topic {
    /// Its number, which is also the ledger of all its positions: a topic that is deleted and made again has another.
    pub(crate) id: u64,
    pub(crate) name: Arc<TopicName>,
    state: Mutex<State>,
}

/// What the lock of a topic guards.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) log: Log,
    pub(crate) producers: Producers,
    /// Boxed, since a tree has room for eleven where most topics have one.
    pub(crate) subscriptions: BTreeMap<Arc<str>, Box<Subscription>>,
    pub(crate) progress: Progress,
    /// Subscriptions that were removed and are still on disk: id and name.
    removed: Vec<(u64, Arc<str>)>,
    /// The topic's own row is not saved.
    unsaved: bool,
    /// Something is to be saved, and the writer knows.
    queued: bool,
    deleted: bool,
    /// When the reader is going to look at it next.
    wake_at: Option<Instant>,
    /// Why nothing can be done with it any more.
    ended: Option<Box<Error>>,
}

impl Topic {
    pub(crate) fn new(id: u64, name: TopicName, log: Log, producers: Producers, unsaved: bool) -> Self {
        let state = State {
            log,
            producers,
            subscriptions: BTreeMap::new(),
            progress: Progress::default(),
            removed: Vec::new(),
            unsaved,
            queued: false,
            deleted: false,
            wake_at: None,
            ended: None,
        };
        Self { id, name: Arc::new(name), state: Mutex::new(state) }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The topic, if it can be used.
    pub(crate) fn live(&self) -> Result<MutexGuard<'_, State>> {
        let state = self.lock();
        match &state.ended {
            Some(error) => Err(Error::clone(error)),
            None => Ok(state),
        }
    }

    pub(crate) fn position(&self, entry: u64) -> Position {
        Position { ledger: self.id, entry }
    }

    /// The entry that an id of this topic names.
    pub(crate) fn entry_of(&self, id: &MessageId) -> Option<u64> {
        (id.position.ledger == self.id).then_some(id.position.entry)
    }

    /// Number of the partition, 0 without partitions.
    pub(crate) fn partition(&self) -> u32 {
        self.name.partition().unwrap_or(0)
    }

    /// Something has changed under the lock: has it saved.
    pub(crate) fn changed(self: &Arc<Self>, state: &mut State, core: &Core) {
        state.progress.change();
        if !std::mem::replace(&mut state.queued, true) {
            core.queue_topic(Arc::clone(self));
        }
    }

    /// Makes a subscription if there is none of that name.
    pub(crate) fn subscription<'a>(
        self: &Arc<Self>,
        state: &'a mut State,
        core: &Core,
        name: &str,
        from: InitialPosition,
    ) -> Option<&'a mut Subscription> {
        if !state.subscriptions.contains_key(name) {
            let at = match from {
                InitialPosition::Earliest => state.log.first(),
                InitialPosition::Latest => state.log.durable(),
            };
            let name: Arc<str> = Arc::from(name);
            let subscription = Subscription::new(core.new_id(), Arc::clone(&name), self.partition(), at);
            state.subscriptions.insert(name, Box::new(subscription));
            self.changed(state, core);
        }
        state.subscriptions.get_mut(name).map(|subscription| &mut **subscription)
    }

    /// Makes a subscription; resolves when it is saved.
    pub(crate) fn create_subscription(
        self: &Arc<Self>,
        core: &Core,
        name: &str,
        from: InitialPosition,
    ) -> Result<Wait> {
        let mut state = self.live()?;
        self.subscription(&mut state, core, name, from);
        Ok(state.progress.wait())
    }

    /// Removes a subscription; resolves when that is saved. `None` if there is none.
    pub(crate) fn delete_subscription(self: &Arc<Self>, core: &Core, name: &str) -> Result<Option<Wait>> {
        let mut state = self.live()?;
        let Some(subscription) = state.subscriptions.get(name) else { return Ok(None) };
        if subscription.has_consumers() {
            let topic = self.name.without_partition();
            return Err(Error::SubscriptionBusy { topic, subscription: name.to_owned() });
        }
        let id = subscription.id;
        if let Some((name, _)) = state.subscriptions.remove_entry(name) {
            state.removed.push((id, name));
        }
        self.changed(&mut state, core);
        Ok(Some(state.progress.wait()))
    }

    /// Removes the topic; resolves when that is saved.
    pub(crate) fn delete(self: &Arc<Self>, core: &Core) -> Wait {
        let mut state = self.lock();
        state.deleted = true;
        self.changed(&mut state, core);
        let wait = state.progress.wait();
        state.end_users(&Error::TopicNotFound(self.name.without_partition()));
        wait
    }

    /// Admits nobody and nothing more; what has changed is still saved.
    pub(crate) fn refuse_users(&self, error: &Error) {
        self.lock().end_users(error);
    }

    /// Nothing can be done with the topic any more.
    pub(crate) fn end(&self, error: &Error) {
        let mut state = self.lock();
        state.progress.fail(error);
        state.end_users(error);
    }
}

impl State {
    fn end_users(&mut self, error: &Error) {
        if self.ended.is_none() {
            self.ended = Some(Box::new(error.clone()));
        }
        self.subscriptions.values_mut().for_each(|subscription| subscription.end(error));
    }

    /// The oldest entry that a subscription still needs; `None` without subscriptions.
    pub(crate) fn needed_from(&self) -> Option<u64> {
        self.subscriptions.values().map(|subscription| subscription.cursor.entry()).min()
    }

    /// Lets go of cached entries that no connected consumer will be sent.
    fn evict(&mut self) {
        let readers = self.subscriptions.values().filter(|subscription| subscription.has_consumers());
        let wanted = readers.map(|subscription| subscription.read()).min().unwrap_or(u64::MAX);
        self.log.evict(wanted);
    }

    pub(crate) fn stats(&self) -> Vec<SubscriptionStats> {
        let messages = self.log.durable().message;
        self.subscriptions.values().map(|subscription| subscription.stats(messages)).collect()
    }

    /// Where the kept entries begin.
    pub(crate) fn first(&self) -> Place {
        self.log.first()
    }
}
