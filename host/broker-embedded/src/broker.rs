use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use async_trait::async_trait;
use pulselet_broker::topic::{Pattern, TopicName};
use pulselet_broker::{
    Broker, Changes, Consumer, ConsumerOptions, Error, InitialPosition, Producer, ProducerOptions, Result,
    SubscriptionStats, Watched,
};

use crate::consumer::EmbeddedConsumer;
use crate::core::Core;
use crate::error::OpenError;
use crate::options::Options;
use crate::producer::EmbeddedProducer;
use crate::registry::Partitions;
use crate::store::Store;
use crate::topic::log::CacheBudget;
use crate::{lock, reader, watch, writer};

/// A broker in this process. Clones are handles of the same one; when the last is dropped, the broker stops as if by
/// [`EmbeddedBroker::abort`].
#[derive(Clone, Debug)]
pub struct EmbeddedBroker {
    handle: Arc<Handle>,
}

/// Ends the threads with the last clone.
#[derive(Debug)]
struct Handle {
    core: Arc<Core>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl EmbeddedBroker {
    /// Opens the broker and loads what it keeps, all but the entries themselves. After a crash the database is checked
    /// as a whole, which takes time in proportion to its size.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let limits = options.limits();
        let store = Store::new(options.storage, options.page_cache_bytes)?;
        let cache = Arc::new(CacheBudget::new(options.cache_bytes));
        let loaded = store.load(&cache)?;
        let core = Arc::new(Core::new(limits, store, loaded.registry, cache, loaded.next_id));
        let handle = Handle { core: Arc::clone(&core), threads: Mutex::default() };
        let start = |name: &str, run: fn(&Core)| {
            let core = Arc::clone(&core);
            let started = thread::Builder::new().name(name.to_owned()).spawn(move || run(&core));
            started.map_err(|source| OpenError::Io { location: format!("thread {name}"), source })
        };
        let writer = start("broker-writer", writer::run)?;
        lock(&handle.threads).push(writer);
        let reader = start("broker-reader", reader::run)?;
        lock(&handle.threads).push(reader);
        Ok(Self { handle: Arc::new(handle) })
    }

    /// Takes nothing more, saves what is under way, and lets go of the storage, even if consumers and producers are
    /// still there; they end with [`Error::Closed`].
    pub async fn close(&self) {
        let core = &self.handle.core;
        let topics: Vec<_> = {
            let mut registry = lock(&core.registry);
            registry.ended.get_or_insert(Error::Closed);
            registry.watches.ended();
            registry.topics.values().cloned().collect()
        };
        topics.iter().for_each(|topic| topic.refuse_users(&Error::Closed));
        core.writer.finish();
        core.writer.finished().await;
        self.handle.stop();
    }

    /// Stops at once and lets go of the storage. What is not confirmed may be lost, as if the process had been killed.
    pub fn abort(&self) {
        self.handle.stop();
    }

    /// Waits until the broker has stopped, and says why: [`Error::Closed`], or how the storage failed.
    pub async fn ended(&self) -> Error {
        let core = &self.handle.core;
        core.writer.finished().await;
        lock(&core.registry).ended.clone().unwrap_or(Error::Closed)
    }

    fn core(&self) -> &Arc<Core> {
        &self.handle.core
    }
}

impl Handle {
    fn stop(&self) {
        self.core.end(&Error::Closed);
        for thread in lock(&self.threads).drain(..) {
            // It has said what it died of.
            thread.join().ok();
        }
        self.core.store.close();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop();
    }
}

#[async_trait]
impl Broker for EmbeddedBroker {
    async fn produce(&self, options: ProducerOptions) -> Result<Box<dyn Producer>> {
        let core = self.core();
        let (topic, is_new) = core.live()?.get_or_create(core, &options.topic)?;
        if let Some(subscription) = options.initial_subscription.as_deref().filter(|_| is_new) {
            topic.create_subscription(core, subscription, InitialPosition::Earliest)?;
        }
        Ok(Box::new(EmbeddedProducer::open(Arc::clone(core), topic, options).await?))
    }

    async fn subscribe(&self, options: ConsumerOptions) -> Result<Box<dyn Consumer>> {
        let core = self.core();
        let (topic, _) = core.live()?.get_or_create(core, &options.topic)?;
        Ok(Box::new(EmbeddedConsumer::open(Arc::clone(core), topic, options).await?))
    }

    async fn partitions(&self, topic: &TopicName) -> Result<Option<u32>> {
        Ok(self.core().live()?.partitioned.get(topic).copied())
    }

    async fn create_partitioned(&self, topic: &TopicName, partitions: u32) -> Result<()> {
        let core = self.core();
        let mut waits = Vec::new();
        {
            let mut registry = core.live()?;
            let Partitions { new, old } = registry.create_partitions(core, topic, partitions)?;
            // A subscription of the topic reads the new partitions from their start.
            let names: Vec<_> = old.map(|old| old.lock().subscriptions.keys().cloned().collect()).unwrap_or_default();
            for partition in new {
                for name in &names {
                    partition.create_subscription(core, name, InitialPosition::Earliest)?;
                }
                waits.push(partition.lock().progress.wait());
            }
            waits.push(registry.progress.wait());
        }
        for wait in waits {
            wait.done().await?;
        }
        Ok(())
    }

    async fn topics(&self, pattern: &Pattern) -> Result<Vec<TopicName>> {
        Ok(self.core().live()?.matching(pattern))
    }

    fn watch(&self, watched: Watched) -> Changes {
        watch::watch(self.core(), watched)
    }

    async fn create_subscription(&self, topic: &TopicName, subscription: &str, from: InitialPosition) -> Result<()> {
        let core = self.core();
        let topics = {
            let mut registry = core.live()?;
            match registry.partitioned.contains_key(topic) {
                true => registry.all_of(topic)?,
                false => vec![registry.get_or_create(core, topic)?.0],
            }
        };
        for topic in topics {
            topic.create_subscription(core, subscription, from)?.done().await?;
        }
        Ok(())
    }

    async fn delete_subscription(&self, topic: &TopicName, subscription: &str) -> Result<()> {
        let core = self.core();
        let topics = core.live()?.all_of(topic)?;
        let mut found = false;
        for topic in topics {
            if let Some(wait) = topic.delete_subscription(core, subscription)? {
                found = true;
                wait.done().await?;
            }
        }
        let missing = || Error::SubscriptionNotFound { topic: topic.clone(), subscription: subscription.to_owned() };
        found.then_some(()).ok_or_else(missing)
    }

    async fn subscriptions(&self, topic: &TopicName) -> Result<Vec<SubscriptionStats>> {
        let topics = self.core().live()?.all_of(topic)?;
        let mut all: Vec<SubscriptionStats> = Vec::new();
        for topic in topics {
            for stats in topic.live()?.stats() {
                match all.iter_mut().find(|known| known.name == stats.name) {
                    None => all.push(stats),
                    Some(known) => {
                        known.backlog += stats.backlog;
                        known.unacked += stats.unacked;
                        known.consumers += stats.consumers;
                    }
                }
            }
        }
        Ok(all)
    }

    async fn delete_topic(&self, topic: &TopicName) -> Result<()> {
        let core = self.core();
        let waits: Vec<_> = {
            let mut registry = core.live()?;
            let topics = registry.remove(core, topic)?;
            let mut waits: Vec<_> = topics.iter().map(|topic| topic.delete(core)).collect();
            waits.push(registry.progress.wait());
            waits
        };
        for wait in waits {
            wait.done().await?;
        }
        Ok(())
    }
}
