use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use pulselet_broker::{Entry, Error, Event, Result};
use tokio::sync::Notify;

use crate::lock;
use crate::subscription::members::Members;
use crate::topic::Topic;
use crate::topic::entry::StoredEntry;

/// What was sent to a consumer and not taken by it yet. Bounded by the permits it gave.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    content: Mutex<Content>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Content {
    items: VecDeque<Item>,
    /// Boxed, since it is there once in a life.
    ended: Option<Box<Error>>,
}

#[derive(Debug)]
enum Item {
    Delivery(Delivery),
    Active(bool),
    Reset,
}

/// An entry on its way to a consumer.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) entry: Arc<StoredEntry>,
    /// Members the broker knows to be acknowledged.
    pub(crate) acked: Option<Members>,
    pub(crate) redelivery_count: u32,
}

impl Inbox {
    /// Adds a delivery; [`Inbox::wake`] follows when all of a round are in.
    pub(crate) fn deliver(&self, delivery: Delivery) {
        lock(&self.content).items.push_back(Item::Delivery(delivery));
    }

    pub(crate) fn wake(&self) {
        self.arrived.notify_one();
    }

    pub(crate) fn active(&self, active: bool) {
        lock(&self.content).items.push_back(Item::Active(active));
        self.wake();
    }

    pub(crate) fn reset(&self) {
        lock(&self.content).items.push_back(Item::Reset);
        self.wake();
    }

    /// Takes back what the consumer has not seen; tells which entries.
    pub(crate) fn take_back(&self) -> Vec<u64> {
        let mut numbers = Vec::new();
        lock(&self.content).items.retain(|item| match item {
            Item::Delivery(delivery) => {
                numbers.push(delivery.entry.number);
                false
            }
            _ => true,
        });
        numbers
    }

    /// Takes back one entry, if the consumer has not seen it.
    pub(crate) fn take_back_one(&self, number: u64) -> bool {
        let items = &mut lock(&self.content).items;
        let before = items.len();
        items.retain(|item| !matches!(item, Item::Delivery(delivery) if delivery.entry.number == number));
        items.len() < before
    }

    /// Nothing comes after what is there already.
    pub(crate) fn end(&self, error: Error) {
        let mut content = lock(&self.content);
        if content.ended.is_none() {
            content.ended = Some(Box::new(error));
        }
        drop(content);
        self.arrived.notify_waiters();
        self.arrived.notify_one();
    }

    /// The next event of a consumer of `topic`. Cancel safe: nothing is awaited between taking and returning.
    pub(crate) async fn next(&self, topic: &Topic) -> Result<Event> {
        loop {
            match self.take() {
                Some(Ok(Taken::Deliveries(deliveries))) => return self.decode(deliveries, topic),
                Some(Ok(Taken::Event(event))) => return Ok(event),
                Some(Err(error)) => {
                    // Others who wait are to hear it as well.
                    self.arrived.notify_one();
                    return Err(error);
                }
                None => self.arrived.notified().await,
            }
        }
    }

    fn take(&self) -> Option<Result<Taken>> {
        let mut content = lock(&self.content);
        match content.items.pop_front() {
            None => content.ended.as_deref().cloned().map(Err),
            Some(Item::Active(active)) => Some(Ok(Taken::Event(Event::Active(active)))),
            Some(Item::Reset) => Some(Ok(Taken::Event(Event::Reset))),
            Some(Item::Delivery(first)) => {
                let mut deliveries = vec![first];
                while let Some(Item::Delivery(_)) = content.items.front() {
                    if let Some(Item::Delivery(next)) = content.items.pop_front() {
                        deliveries.push(next);
                    }
                }
                Some(Ok(Taken::Deliveries(deliveries)))
            }
        }
    }

    fn decode(&self, deliveries: Vec<Delivery>, topic: &Topic) -> Result<Event> {
        let entries: Result<Vec<Entry>> = deliveries.iter().map(|delivery| delivery.decode(topic)).collect();
        if let Err(error) = &entries {
            self.end(error.clone());
        }
        entries.map(Event::Entries)
    }
}

enum Taken {
    Deliveries(Vec<Delivery>),
    Event(Event),
}

impl Delivery {
    fn decode(&self, topic: &Topic) -> Result<Entry> {
        let stored = &self.entry;
        let all = pulselet_broker::batch::Messages::new(stored.payload.clone(), stored.count);
        let mut messages = Vec::with_capacity(all.size_hint().1.unwrap_or(0));
        for message in all {
            let message = message?;
            if !self.acked.as_ref().is_some_and(|acked| acked.contains(message.index)) {
                messages.push(message);
            }
        }
        Ok(Entry {
            topic: Arc::clone(&topic.name),
            position: topic.position(stored.number),
            is_batch: stored.is_batch,
            redelivery_count: self.redelivery_count,
            producer_name: Arc::clone(&stored.producer),
            publish_time: stored.publish_time,
            schema_version: None,
            messages,
        })
    }
}
