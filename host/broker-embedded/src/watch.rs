//! Who wants to be told of topics that come, go and grow. A change costs those alone who asked for it: names are looked
//! up, patterns are few.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use futures::StreamExt;
use pulselet_broker::topic::{Pattern, TopicName};
use pulselet_broker::{Changes, Error, Watched};
use tokio::sync::Notify;

use crate::core::Core;
use crate::lock;

/// Number of a watch, unique in the process.
type WatchId = u64;

/// All who watch.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    by_topic: BTreeMap<(TopicName, WatchId), Arc<Notify>>,
    by_pattern: BTreeMap<WatchId, (Pattern, Arc<Notify>)>,
}

impl Watches {
    fn add(&mut self, id: WatchId, watched: &Watched, told: &Arc<Notify>) {
        let topics = watched.partitions_of.iter().map(|topic| ((topic.clone(), id), Arc::clone(told)));
        self.by_topic.extend(topics);
        if let Some(pattern) = &watched.matching {
            self.by_pattern.insert(id, (pattern.clone(), Arc::clone(told)));
        }
    }

    fn remove(&mut self, id: WatchId, watched: &Watched) {
        for topic in &watched.partitions_of {
            self.by_topic.remove(&(topic.clone(), id));
        }
        self.by_pattern.remove(&id);
    }

    /// A topic was made or removed.
    pub(crate) fn came_or_went(&self, topic: &TopicName) {
        let matching = self.by_pattern.values().filter(|(pattern, _)| pattern.matches(topic));
        matching.for_each(|(_, told)| told.notify_one());
    }

    /// A topic has got another number of partitions.
    pub(crate) fn repartitioned(&self, topic: &TopicName) {
        self.came_or_went(topic);
        let watching = self.by_topic.range((topic.clone(), 0)..).take_while(|((name, _), _)| name == topic);
        watching.for_each(|(_, told)| told.notify_one());
    }

    /// Nothing will change any more.
    pub(crate) fn ended(&self) {
        let all = self.by_topic.values().chain(self.by_pattern.values().map(|(_, told)| told));
        all.for_each(|told| told.notify_one());
    }
}

/// A watch; it ends when this is dropped.
struct Watch {
    /// A watch does not keep a broker open.
    core: Weak<Core>,
    id: WatchId,
    watched: Watched,
    told: Arc<Notify>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(core) = self.core.upgrade() {
            lock(&core.registry).watches.remove(self.id, &self.watched);
        }
    }
}

/// Watches from now on.
pub(crate) fn watch(core: &Arc<Core>, watched: Watched) -> Changes {
    let (id, told) = (core.new_user(), Arc::new(Notify::new()));
    {
        let mut registry = lock(&core.registry);
        registry.watches.add(id, &watched, &told);
        if registry.ended.is_some() {
            told.notify_one();
        }
    }
    let watch = Watch { core: Arc::downgrade(core), id, watched, told };
    let next = |watch: Option<Watch>| async move {
        let watch = watch?;
        watch.told.notified().await;
        let ended = match watch.core.upgrade() {
            Some(core) => lock(&core.registry).ended.clone(),
            None => Some(Error::Closed),
        };
        match ended {
            Some(error) => Some((Err(error), None)),
            None => Some((Ok(()), Some(watch))),
        }
    };
    futures::stream::unfold(Some(watch), next).boxed()
}
