//! What can go wrong between a runner and a broker.

use crate::topic::TopicName;

/// Why a broker refused or lost something.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name that breaks a rule.
    #[error("{what} {name:?} {rule}")]
    Name {
        /// Topic, subscription, producer ...
        what: &'static str,
        /// The name given.
        name: String,
        /// The rule it breaks, as the end of the sentence.
        rule: String,
    },
    /// There is no such topic.
    #[error("topic {0} does not exist")]
    TopicNotFound(TopicName),
    /// The topic takes no more messages.
    #[error("topic {0} is terminated: it takes no more messages")]
    TopicTerminated(TopicName),
    /// Partitions can only be added, and only to a partitioned topic.
    #[error("topic {topic}: {rule}")]
    Partitions {
        /// The topic.
        topic: TopicName,
        /// What is in the way.
        rule: String,
    },
    /// There is no such subscription.
    #[error("topic {topic} has no subscription {subscription:?}")]
    SubscriptionNotFound {
        /// The topic.
        topic: TopicName,
        /// The subscription.
        subscription: String,
    },
    /// The subscription has consumers.
    #[error("subscription {subscription:?} of {topic} has consumers: close them first")]
    SubscriptionBusy {
        /// The topic.
        topic: TopicName,
        /// The subscription.
        subscription: String,
    },
    /// The subscription does not admit another consumer now.
    #[error("subscription {subscription:?} of {topic} does not take this consumer: {reason}")]
    ConsumerBusy {
        /// The topic.
        topic: TopicName,
        /// The subscription.
        subscription: String,
        /// Which rule.
        reason: String,
    },
    /// Consumers of another type are connected.
    #[error(
        "subscription {subscription:?} of {topic} is in use as {present}: close its consumers before using it as {wanted}"
    )]
    SubscriptionType {
        /// The topic.
        topic: TopicName,
        /// The subscription.
        subscription: String,
        /// The type in use.
        present: String,
        /// The type asked for.
        wanted: String,
    },
    /// A producer of this name is connected.
    #[error("topic {topic} has a producer {name:?} already")]
    ProducerBusy {
        /// The topic.
        topic: TopicName,
        /// The name.
        name: String,
    },
    /// Another producer took this one's place.
    #[error("producer {name:?} of {topic} was fenced by another one")]
    ProducerFenced {
        /// The topic.
        topic: TopicName,
        /// The name.
        name: String,
    },
    /// Larger than the broker takes.
    #[error("an entry of {bytes} bytes is over the limit of {limit} bytes for {topic}")]
    TooLarge {
        /// The topic.
        topic: TopicName,
        /// Size of the entry.
        bytes: usize,
        /// Size allowed.
        limit: usize,
    },
    /// The producer has sent more than it has waited for. This batch and all after it are refused until the producer is
    /// opened again, so that none overtakes another.
    #[error("more than {limit} bytes wait to be stored in {topic}: wait for receipts, then open the producer again")]
    QueueFull {
        /// The topic.
        topic: TopicName,
        /// Bytes that may wait.
        limit: usize,
    },
    /// Cumulative acks need one reader.
    #[error("cumulative acks are not allowed on {0} subscriptions")]
    CumulativeAck(String),
    /// The consumer ended before the ack was confirmed: the message may come again.
    #[error("the consumer ended before the ack was confirmed")]
    NotConfirmed,
    /// The consumer, the producer or the broker was closed.
    #[error("closed")]
    Closed,
    /// The store under the broker failed; nothing that was not confirmed may be relied on.
    #[error("broker storage: {0}")]
    Storage(String),
    /// Bytes that are not what they should be.
    #[error("{what} is damaged: {detail}")]
    Corrupt {
        /// Which bytes.
        what: String,
        /// What is wrong with them.
        detail: String,
    },
}

impl Error {
    /// True when the same call may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::ProducerBusy { .. } | Self::ConsumerBusy { .. } | Self::SubscriptionBusy { .. } | Self::Storage(_)
        )
    }
}
