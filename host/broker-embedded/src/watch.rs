//! Who wants to be told of topics that come, go and grow. A change costs those alone who asked for it: names are looked
//! up, patterns are few.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use futures::task::AtomicWaker;
use futures::{Stream, StreamExt};
use pulselet_broker::topic::{Pattern, TopicName};
use pulselet_broker::{Changes, Error, Result, Watched};

use crate::core::Core;
use crate::lock;

/// Number of a watch, unique in the process.
type WatchId = u64;

/// All who watch.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    /// By the hash of a topic's name, since a change that is told without need does no harm, and names are long.
    by_topic: BTreeMap<(u64, WatchId), Arc<Bell>>,
    by_pattern: BTreeMap<WatchId, (Pattern, Arc<Bell>)>,
    hasher: RandomState,
}

impl Watches {
    fn add(&mut self, id: WatchId, watched: Watched, bell: &Arc<Bell>) -> Box<[u64]> {
        let topics: Box<[u64]> = watched.partitions_of.iter().map(|topic| self.hasher.hash_one(topic)).collect();
        self.by_topic.extend(topics.iter().map(|topic| ((*topic, id), Arc::clone(bell))));
        self.by_pattern.extend(watched.matching.map(|pattern| (id, (pattern, Arc::clone(bell)))));
        topics
    }

    /// A topic was made or removed.
    pub(crate) fn came_or_went(&self, topic: &TopicName) {
        let matching = self.by_pattern.values().filter(|(pattern, _)| pattern.matches(topic));
        matching.for_each(|(_, bell)| bell.ring());
    }

    /// A topic has got another number of partitions.
    pub(crate) fn repartitioned(&self, topic: &TopicName) {
        self.came_or_went(topic);
        let topic = self.hasher.hash_one(topic);
        self.by_topic.range((topic, WatchId::MIN)..=(topic, WatchId::MAX)).for_each(|(_, bell)| bell.ring());
    }

    /// Nothing will change any more.
    pub(crate) fn ended(&self) {
        let matching = self.by_pattern.values().map(|(_, bell)| bell);
        self.by_topic.values().chain(matching).for_each(|bell| bell.ring());
    }
}

/// Rung by a change, heard by one watch.
#[derive(Debug, Default)]
struct Bell {
    rung: AtomicBool,
    waker: AtomicWaker,
}

impl Bell {
    fn ring(&self) {
        self.rung.store(true, Ordering::Release);
        self.waker.wake();
    }
}

/// A watch; it ends when this is dropped.
struct Watch {
    /// A watch does not keep a broker open.
    core: Weak<Core>,
    id: WatchId,
    topics: Box<[u64]>,
    bell: Arc<Bell>,
    is_over: bool,
}

/// Watches from now on.
pub(crate) fn watch(core: &Arc<Core>, watched: Watched) -> Changes {
    let (id, bell) = (core.new_user(), Arc::<Bell>::default());
    let mut registry = lock(&core.registry);
    let topics = registry.watches.add(id, watched, &bell);
    if registry.ended.is_some() {
        bell.ring();
    }
    Watch { core: Arc::downgrade(core), id, topics, bell, is_over: false }.boxed()
}

impl Stream for Watch {
    type Item = Result<()>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<()>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        self.bell.waker.register(context.waker());
        if !self.bell.rung.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        let ended = match self.core.upgrade() {
            Some(core) => lock(&core.registry).ended.clone(),
            None => Some(Error::Closed),
        };
        self.is_over = ended.is_some();
        Poll::Ready(Some(ended.map_or(Ok(()), Err)))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let Some(core) = self.core.upgrade() else { return };
        let watches = &mut lock(&core.registry).watches;
        for topic in &self.topics {
            watches.by_topic.remove(&(*topic, self.id));
        }
        watches.by_pattern.remove(&self.id);
    }
}
