//! What a replica puts out: messages are gathered into batches by topic partition and sent in order. A batch goes when
//! it is full, when it is old enough, or when the replica has nothing better to do.
//!
//! If the process dies with a batch gathered or on its way, the inputs it answers are not acked and come again.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pulselet_api::topic::TopicName;
use pulselet_broker::batch::{Batch, BatchBuilder, Key, Outgoing};
use pulselet_broker::routing::KeyHash;
use pulselet_broker::{Broker, Error, Producer, ProducerOptions, Receipt};
use pulselet_engine::TopicNumber;

use crate::settlement::Owner;

/// A batch is sent when it has this many messages ...
const BATCH_MESSAGES: u32 = 1_000;
/// ... or bytes ...
const BATCH_BYTES: usize = 128 * 1024;
/// ... or when its first message is this old.
const BATCH_AGE: Duration = Duration::from_millis(5);

/// While this many bytes are not confirmed, no further call is made.
const UNCONFIRMED_BYTES: usize = 32 << 20;

/// Room left in an entry for what the broker puts around the messages.
const ENTRY_OVERHEAD_BYTES: usize = 10 * 1024;

/// A batch on its way and the messages whose outputs it holds; one with several outputs in it is named several times.
pub(crate) struct Sent {
    pub(crate) receipt: Receipt,
    pub(crate) owners: Vec<Owner>,
    pub(crate) bytes: usize,
}

/// See the module.
pub(crate) struct Outputs {
    broker: Arc<dyn Broker>,
    targets: RefCell<HashMap<u32, Rc<Target>>>,
    /// Batches that are ready to be awaited.
    sent: RefCell<Vec<Sent>>,
    /// Bytes gathered or sent and not confirmed.
    unconfirmed_bytes: Cell<usize>,
}

/// An open topic.
struct Target {
    partitions: Vec<Partition>,
    is_partitioned: bool,
    /// Where the next message without a key goes.
    next: RefCell<u32>,
}

struct Partition {
    producer: Box<dyn Producer>,
    gathered: RefCell<Gathered>,
}

#[derive(Default)]
struct Gathered {
    builder: BatchBuilder,
    owners: Vec<Owner>,
    since: Option<Instant>,
}

impl Outputs {
    pub(crate) fn new(broker: Arc<dyn Broker>) -> Self {
        Self { broker, targets: RefCell::default(), sent: RefCell::default(), unconfirmed_bytes: Cell::new(0) }
    }

    /// True while the broker is behind: outputs must not pile up in memory.
    pub(crate) fn is_full(&self) -> bool {
        self.unconfirmed_bytes.get() >= UNCONFIRMED_BYTES
    }

    /// True when nothing is gathered or on its way.
    pub(crate) fn is_idle(&self) -> bool {
        self.unconfirmed_bytes.get() == 0
    }

    /// A batch has its receipt, good or bad.
    pub(crate) fn answered(&self, bytes: usize) {
        self.unconfirmed_bytes.set(self.unconfirmed_bytes.get().saturating_sub(bytes));
    }

    pub(crate) fn is_open(&self, topic: TopicNumber) -> bool {
        self.targets.borrow().contains_key(&topic.0)
    }

    /// Opens the producers of a topic; afterwards [`Outputs::push`] may name it.
    pub(crate) async fn open(
        &self,
        number: TopicNumber,
        topic: &TopicName,
        initial: Option<&str>,
    ) -> Result<(), Error> {
        if self.is_open(number) {
            return Ok(());
        }
        let parts = self.broker.parts(topic).await?;
        let is_partitioned = parts.first() != Some(topic);
        let mut partitions = Vec::with_capacity(parts.len());
        for topic in parts {
            let options = ProducerOptions { topic, name: None, initial_subscription: initial.map(str::to_owned) };
            partitions.push(Partition { producer: self.broker.produce(options).await?, gathered: RefCell::default() });
        }
        let target = Target { partitions, is_partitioned, next: RefCell::new(0) };
        // Another call may have opened it meanwhile; the first one stays, since it may hold messages already.
        self.targets.borrow_mut().entry(number.0).or_insert_with(|| Rc::new(target));
        Ok(())
    }

    /// Largest payload-and-metadata size of one message for this topic.
    pub(crate) fn max_message_bytes(&self, topic: TopicNumber) -> usize {
        let targets = self.targets.borrow();
        let producers = targets.get(&topic.0).into_iter().flat_map(|target| &target.partitions);
        let limit = producers.map(|partition| partition.producer.max_entry_bytes()).min();
        limit.unwrap_or(usize::MAX).saturating_sub(ENTRY_OVERHEAD_BYTES)
    }

    /// Adds a message to the batch of its partition. Messages with `deliver_at` travel alone, since a batch has one
    /// time for all.
    pub(crate) fn push(
        &self,
        topic: TopicNumber,
        message: &Outgoing<'_>,
        deliver_at: Option<u64>,
        owner: Owner,
        now: Instant,
    ) -> Result<(), Error> {
        let target = self.targets.borrow().get(&topic.0).cloned().ok_or(Error::Closed)?;
        let partition = target.partition_for(message).ok_or(Error::Closed)?;
        let mut gathered = partition.gathered.borrow_mut();
        self.unconfirmed_bytes.set(self.unconfirmed_bytes.get() + message.encoded_len());
        if deliver_at.is_some() {
            self.flush(&*partition.producer, &mut gathered);
            let receipt = partition.producer.send(Batch::single(message, deliver_at));
            let sent = Sent { receipt, owners: vec![owner], bytes: message.encoded_len() };
            self.sent.borrow_mut().push(sent);
            return Ok(());
        }
        let limit = BATCH_BYTES.min(partition.producer.max_entry_bytes().saturating_sub(ENTRY_OVERHEAD_BYTES));
        if !gathered.builder.is_empty() && gathered.builder.bytes() + message.encoded_len() > limit {
            self.flush(&*partition.producer, &mut gathered);
        }
        gathered.builder.push(message);
        gathered.owners.push(owner);
        gathered.since.get_or_insert(now);
        if gathered.builder.len() >= BATCH_MESSAGES || gathered.builder.bytes() >= limit {
            self.flush(&*partition.producer, &mut gathered);
        }
        Ok(())
    }

    /// Sends one message by itself, at once.
    pub(crate) fn send(
        &self,
        topic: TopicNumber,
        message: &Outgoing<'_>,
        deliver_at: Option<u64>,
    ) -> Result<(Receipt, i32), Error> {
        let target = self.targets.borrow().get(&topic.0).cloned().ok_or(Error::Closed)?;
        let number = target.number_for(message);
        let partition = target.partitions.get(number as usize).ok_or(Error::Closed)?;
        let index = if target.is_partitioned { number as i32 } else { -1 };
        Ok((partition.producer.send(Batch::single(message, deliver_at)), index))
    }

    /// Sends everything gathered.
    pub(crate) fn flush_all(&self) {
        self.flush_if(|_| true);
    }

    /// When [`Outputs::flush_old`] has something to send.
    pub(crate) fn due(&self) -> Option<Instant> {
        let targets = self.targets.borrow();
        let partitions = targets.values().flat_map(|target| &target.partitions);
        partitions.filter_map(|partition| partition.gathered.borrow().since).min().map(|since| since + BATCH_AGE)
    }

    /// Sends what has waited long enough.
    pub(crate) fn flush_old(&self, now: Instant) {
        self.flush_if(|gathered| gathered.since.is_some_and(|since| now.duration_since(since) >= BATCH_AGE));
    }

    /// The batches sent since the last time.
    pub(crate) fn take_sent(&self) -> Vec<Sent> {
        std::mem::take(&mut *self.sent.borrow_mut())
    }

    /// Waits for what is under way and closes all producers.
    pub(crate) async fn close(&self) {
        self.flush_all();
        let targets: Vec<Rc<Target>> = self.targets.borrow_mut().drain().map(|(_, target)| target).collect();
        for partition in targets.iter().flat_map(|target| &target.partitions) {
            if let Err(error) = partition.producer.close().await {
                tracing::debug!(%error, "a producer did not close cleanly");
            }
        }
    }

    fn flush_if(&self, wanted: impl Fn(&Gathered) -> bool) {
        for target in self.targets.borrow().values() {
            for partition in &target.partitions {
                let mut gathered = partition.gathered.borrow_mut();
                if wanted(&gathered) {
                    self.flush(&*partition.producer, &mut gathered);
                }
            }
        }
    }

    fn flush(&self, producer: &dyn Producer, gathered: &mut Gathered) {
        gathered.since = None;
        if let Some(batch) = gathered.builder.finish() {
            let owners = std::mem::take(&mut gathered.owners);
            let bytes = batch.bytes();
            self.sent.borrow_mut().push(Sent { receipt: producer.send(batch), owners, bytes });
        }
    }
}

impl Target {
    fn partition_for(&self, message: &Outgoing<'_>) -> Option<&Partition> {
        self.partitions.get(self.number_for(message) as usize)
    }

    /// Keys decide the partition as Pulsar Functions' producers do it; messages without one take turns.
    fn number_for(&self, message: &Outgoing<'_>) -> u32 {
        let count = self.partitions.len() as u32;
        if count <= 1 {
            return 0;
        }
        match message.key {
            Some(Key::Text(text)) => KeyHash::Murmur3.partition(text.as_bytes(), count),
            Some(Key::Raw { text, .. }) => KeyHash::Murmur3.partition(text, count),
            Some(Key::Binary(bytes)) => KeyHash::Murmur3.partition(bytes, count),
            None => {
                let mut next = self.next.borrow_mut();
                *next = (*next + 1) % count;
                *next
            }
        }
    }
}
