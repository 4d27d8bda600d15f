use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use pulselet_broker::{
    Confirmation, Consumer, ConsumerOptions, Error, Event, MessageId, Position, Result, SeekTo, SubscriptionType,
};

use crate::core::Core;
use crate::inbox::Inbox;
use crate::topic::Topic;
use crate::topic::reading::{Reader, Target};

/// A consumer of one topic. It leaves its subscription when it is dropped.
#[derive(Debug)]
pub(crate) struct EmbeddedConsumer {
    core: Arc<Core>,
    topic: Arc<Topic>,
    subscription: Arc<str>,
    subscription_type: SubscriptionType,
    id: u64,
    inbox: Arc<Inbox>,
}

impl EmbeddedConsumer {
    pub(crate) async fn open(core: Arc<Core>, topic: Arc<Topic>, options: ConsumerOptions) -> Result<Self> {
        let id = core.new_user();
        let inbox = Arc::<Inbox>::default();
        let wait = topic.connect(&core, &options, id, Arc::clone(&inbox))?;
        let (subscription, subscription_type) = (Arc::from(options.subscription), options.subscription_type);
        // Leaves again if nobody waits for this to end.
        let consumer = Self { core, topic, subscription, subscription_type, id, inbox };
        wait.done().await?;
        Ok(consumer)
    }

    fn reader(&self) -> Reader<'_> {
        Reader { subscription: &self.subscription, id: self.id }
    }

    /// The entry that a message is in, and how many of its members come before the message. The nearest one where the
    /// message is not kept.
    fn target(&self, id: MessageId) -> Result<Target> {
        if id.position.ledger < self.topic.id {
            return Ok(Target::Earliest);
        }
        let state = self.topic.live()?;
        let Some(number) = self.topic.entry_of(&id).filter(|number| *number < state.log.durable().entry) else {
            return Ok(Target::Latest);
        };
        let extent = self.topic.extent(&state, &self.core, number)?;
        let members = u32::try_from(id.batch_index).unwrap_or(0);
        Ok(extent.map_or(Target::Earliest, |extent| Target::Entry(extent, members.min(extent.count - 1))))
    }

    /// The first entry published at or after a time.
    fn target_at(&self, time: u64) -> Result<Target> {
        let (mut from, end) = {
            let state = self.topic.live()?;
            (state.log.first().entry, state.log.durable().entry)
        };
        let mut to = end;
        while from < to {
            let middle = from + (to - from) / 2;
            match self.core.store.publish_time(&self.topic, middle)? {
                Some(published) if published >= time => to = middle,
                _ => from = middle + 1,
            }
        }
        if from == end {
            return Ok(Target::Latest);
        }
        let position = self.topic.position(from);
        self.target(MessageId { position, partition: -1, batch_index: -1 })
    }

    fn leave(&self) {
        self.topic.disconnect(&self.core, self.reader());
        self.inbox.end(Error::Closed);
    }
}

#[async_trait]
impl Consumer for EmbeddedConsumer {
    async fn next(&self) -> Result<Event> {
        self.inbox.next(&self.topic).await
    }

    fn grant(&self, messages: u32) {
        self.topic.grant(&self.core, self.reader(), messages);
    }

    fn ack(&self, messages: &[MessageId]) -> Confirmation {
        self.topic.ack(&self.core, self.reader(), messages)
    }

    fn ack_cumulative(&self, message: MessageId) -> Confirmation {
        if !self.subscription_type.is_single_active() {
            let name = match self.subscription_type {
                SubscriptionType::Shared => "Shared",
                _ => "Key_Shared",
            };
            return futures::future::err(Error::CumulativeAck(name.to_owned())).boxed();
        }
        self.topic.ack_cumulative(&self.core, self.reader(), message)
    }

    fn nack(&self, messages: &[MessageId], delay: Duration) {
        self.topic.nack(&self.core, self.reader(), messages, delay);
    }

    async fn seek(&self, to: SeekTo) -> Result<()> {
        let target = match to {
            SeekTo::Earliest => Target::Earliest,
            SeekTo::Latest => Target::Latest,
            SeekTo::Message(id) => self.target(id)?,
            SeekTo::PublishTime(time) => self.target_at(time)?,
        };
        self.topic.seek(&self.core, &self.subscription, target)?.done().await
    }

    async fn mark_delete_position(&self) -> Result<Option<Position>> {
        self.topic.first_unacked(&self.subscription)
    }

    async fn close(&self) -> Result<()> {
        self.leave();
        Ok(())
    }
}

impl Drop for EmbeddedConsumer {
    fn drop(&mut self) {
        self.leave();
    }
}
