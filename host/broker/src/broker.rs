use async_trait::async_trait;
use futures::stream::BoxStream;

use crate::topic::{Pattern, TopicName};
use crate::{Consumer, ConsumerOptions, Producer, ProducerOptions, Result};

/// A broker that functions read from and write to.
///
/// Topics come into being when they are first used, as with Pulsar's `allowAutoTopicCreation`. All methods may be called
/// at the same time from any thread.
#[async_trait]
pub trait Broker: Send + Sync + 'static {
    /// Opens a producer on one topic, or on one partition of a partitioned topic.
    ///
    /// # Errors
    /// [`Error::ProducerBusy`](crate::Error::ProducerBusy) if the name is taken by a live producer;
    /// [`Error::TopicTerminated`](crate::Error::TopicTerminated).
    async fn produce(&self, options: ProducerOptions) -> Result<Box<dyn Producer>>;

    /// Opens a consumer on one topic, or on one partition; the subscription is made if it does not exist.
    ///
    /// # Errors
    /// [`Error::ConsumerBusy`](crate::Error::ConsumerBusy) where the subscription type does not admit another consumer,
    /// [`Error::SubscriptionType`](crate::Error::SubscriptionType) while consumers of another type are connected.
    async fn subscribe(&self, options: ConsumerOptions) -> Result<Box<dyn Consumer>>;

    /// How many partitions a topic has; `None` when it is not partitioned (or does not exist yet).
    async fn partitions(&self, topic: &TopicName) -> Result<Option<u32>>;

    /// What producers and consumers of a topic are opened on: its partitions, or the topic itself when it has none or is
    /// one.
    async fn parts(&self, topic: &TopicName) -> Result<Vec<TopicName>> {
        let count = if topic.partition().is_some() { None } else { self.partitions(topic).await? };
        Ok(match count {
            None => vec![topic.clone()],
            Some(count) => (0..count).map(|number| topic.with_partition(number)).collect(),
        })
    }

    /// Makes a partitioned topic, or adds partitions to one.
    ///
    /// # Errors
    /// [`Error::Partitions`](crate::Error::Partitions) when the topic exists without partitions or has more already.
    async fn create_partitioned(&self, topic: &TopicName, partitions: u32) -> Result<()>;

    /// Existing topics that match, without partition suffixes, sorted.
    async fn topics(&self, pattern: &Pattern) -> Result<Vec<TopicName>>;

    /// Tells of changes that happen from now on, so that nobody has to look again and again: whoever watches first and
    /// looks then misses nothing. Others' changes wake nobody. How a broker learns of them is its own affair: one that
    /// is not told of partitions looks for all that is watched at once.
    ///
    /// Dropping the stream ends the watch.
    fn watch(&self, watched: Watched) -> Changes;

    /// Makes a subscription without a consumer, so that messages are kept for it from now on. Nothing happens if it
    /// exists.
    async fn create_subscription(
        &self,
        topic: &TopicName,
        subscription: &str,
        from: crate::InitialPosition,
    ) -> Result<()>;

    /// Removes a subscription and its cursor.
    ///
    /// # Errors
    /// [`Error::SubscriptionBusy`](crate::Error::SubscriptionBusy) while consumers are connected.
    async fn delete_subscription(&self, topic: &TopicName, subscription: &str) -> Result<()>;

    /// The subscriptions of a topic (summed over its partitions) with what is left to read.
    async fn subscriptions(&self, topic: &TopicName) -> Result<Vec<SubscriptionStats>>;

    /// Removes a topic with all it holds; its consumers and producers end with
    /// [`Error::TopicNotFound`](crate::Error::TopicNotFound).
    async fn delete_topic(&self, topic: &TopicName) -> Result<()>;
}

/// What somebody wants to be told of.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    /// These topics have got another number of partitions: [`Broker::partitions`] answers otherwise.
    pub partitions_of: Vec<TopicName>,
    /// Topics that match were made or removed, or have got another number of partitions.
    pub matching: Option<Pattern>,
}

/// Each item says that something has changed since the last one; many changes may be one item, and an item may come
/// without need, as after a connection was lost. An error is the last item: nothing can be learned any more.
pub type Changes = BoxStream<'static, Result<()>>;

/// Where a subscription stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionStats {
    /// Name of the subscription.
    pub name: String,
    /// Messages not yet acknowledged, delivered or not. Members of a batch count one each.
    pub backlog: u64,
    /// Messages delivered and not yet acknowledged.
    pub unacked: u64,
    /// Connected consumers.
    pub consumers: u32,
}
