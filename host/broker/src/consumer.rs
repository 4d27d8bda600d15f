use std::ops::RangeInclusive;
use std::time::Duration;

use async_trait::async_trait;

use crate::topic::TopicName;
use crate::{Confirmation, Entry, MessageId, Position, Result};

/// How the messages of a subscription are shared among its consumers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubscriptionType {
    /// One consumer; a second one is refused.
    Exclusive,
    /// One active consumer, the others stand by, ordered by priority (lower first), then by name.
    Failover {
        /// 0 is served first.
        priority: i32,
    },
    /// Every consumer gets some of the messages, in no promised order.
    Shared,
    /// Messages of one key go to one consumer, in order.
    KeyShared {
        /// Hash ranges this consumer alone serves (sticky); `None` lets the broker split them. Slots are 0..=65535.
        ranges: Option<Vec<RangeInclusive<u16>>>,
    },
}

impl SubscriptionType {
    /// True where one consumer at a time is served, so that a nack gives back everything unacknowledged.
    pub fn is_single_active(&self) -> bool {
        matches!(self, Self::Exclusive | Self::Failover { .. })
    }
}

/// Where a new subscription starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum InitialPosition {
    /// After what is there already.
    #[default]
    Latest,
    /// With the oldest message kept.
    Earliest,
}

/// Where to move the cursor of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeekTo {
    /// The oldest message kept.
    Earliest,
    /// After the newest message.
    Latest,
    /// This message is the next one delivered.
    Message(MessageId),
    /// The first message published at or after this time, in milliseconds since the epoch.
    PublishTime(u64),
}

/// How to open a consumer.
#[derive(Clone, Debug)]
pub struct ConsumerOptions {
    /// A topic without partitions, or one partition.
    pub topic: TopicName,
    /// Name of the subscription.
    pub subscription: String,
    /// How it is shared.
    pub subscription_type: SubscriptionType,
    /// Used only when the subscription does not exist yet.
    pub initial_position: InitialPosition,
    /// Name of this consumer, for the order under Failover and for the statistics.
    pub consumer_name: String,
    /// Whether the broker may remember acknowledged members of a batch one by one. Without it an entry is
    /// acknowledged when all its members are, and comes back whole after a crash.
    pub batch_index_ack: bool,
}

/// What a consumer hears.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// Entries in the order the broker sends them; never empty.
    Entries(Vec<Entry>),
    /// Failover and Exclusive: this consumer became the active one (`true`) or stopped being it.
    Active(bool),
    /// The connection was lost and is back, or a seek has taken effect: whatever was delivered and is not acknowledged
    /// will come again. Settling what was delivered before is allowed and does no harm.
    Reset,
    /// The topic is terminated and this subscription has read all of it.
    EndOfTopic,
}

/// An open consumer. Dropping it gives back what is unsettled, as a lost connection would; [`Consumer::close`] does the
/// same and tells when it is done.
#[async_trait]
pub trait Consumer: Send + Sync {
    /// The next event. Cancel safe: an event is either returned or still there.
    ///
    /// # Errors
    /// Only errors that end this consumer; what can be mended by reconnecting is mended inside.
    async fn next(&self) -> Result<Event>;

    /// Lets the broker send `messages` more. Nothing arrives before the first grant. An entry is sent whole as soon as
    /// one permit is left, so up to a batch more may arrive, and is then owed. Permits cannot be taken back.
    fn grant(&self, messages: u32);

    /// Acknowledges messages one by one, in any order; a second ack of a message does nothing. A member of a batch is
    /// remembered until its entry is complete (see [`ConsumerOptions::batch_index_ack`]). The confirmation comes when
    /// the broker will not deliver them again, come what may; for a member without batch-index acks, when the entry it
    /// belongs to is complete or the consumer ends, whichever is first, with
    /// [`Error::NotConfirmed`](crate::Error::NotConfirmed) in the second case.
    fn ack(&self, messages: &[MessageId]) -> Confirmation;

    /// Acknowledges a message and everything before it on this subscription.
    ///
    /// The confirmation fails with [`Error::CumulativeAck`](crate::Error::CumulativeAck) on Shared and Key_Shared.
    fn ack_cumulative(&self, message: MessageId) -> Confirmation;

    /// Asks for messages to be delivered again after `delay`; their redelivery count grows by one.
    ///
    /// On Exclusive and Failover the broker gives back everything unacknowledged, in order, at once (delay and ids do
    /// not matter), and its count stays 0. Naming one member of a batch brings the entry again, less the members whose
    /// ack the broker remembers.
    fn nack(&self, messages: &[MessageId], delay: Duration);

    /// Moves the cursor; [`Event::Reset`] follows, then deliveries from there.
    async fn seek(&self, to: SeekTo) -> Result<()>;

    /// First entry that is not acknowledged whole; `None` when there is nothing left to acknowledge.
    async fn mark_delete_position(&self) -> Result<Option<Position>>;

    /// Leaves the subscription; unsettled messages go to the other consumers or wait for the next one.
    async fn close(&self) -> Result<()>;
}
