//! The consumers of a replica: found, opened, kept open. This runs beside the sockets; what arrives is handed to the
//! replica through one bounded queue, so that a replica that is behind holds its consumers back.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::channel::{mpsc, oneshot};
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, SinkExt, StreamExt};
use pulselet_api::topic::TopicName;
use pulselet_api::{Inputs as Declared, Resolved, SubscriptionKind};
use pulselet_broker::{
    Broker, Consumer, ConsumerOptions, Error, Event, InitialPosition, Result, SeekTo, SubscriptionType, Watched,
};
use tokio_util::sync::CancellationToken;

use crate::function::Facts;
use crate::settlement::Source;

const BACKOFF: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(10);

/// What a replica hears from its consumers.
pub(crate) enum Arrival {
    Opened {
        source: Source,
        consumer: Arc<dyn Consumer>,
    },
    Event {
        source: Source,
        event: Event,
    },
    /// The consumer is gone; it is opened again if that can help.
    Closed {
        source: Source,
        error: Error,
    },
    /// All topics known at the start are open.
    AllOpen,
}

/// Keeps the consumers of a replica open until cancelled. Consumers are left open then: the replica closes them when
/// it has settled what is in its hands.
///
/// All of them are in one task, which sleeps until something arrives or there is something new to open.
#[expect(clippy::manual_async_fn, reason = "an async fn would keep its arguments beside what is made of them")]
pub(crate) fn keep_open(
    broker: Arc<dyn Broker>,
    facts: Arc<Facts>,
    arrivals: mpsc::Sender<Arrival>,
    cancel: CancellationToken,
) -> impl Future<Output = ()> + Send {
    async move {
        // Watched before the first look, so that nothing is missed in between.
        let mut changes = broker.watch(watched(&facts.function));
        let mut inputs = Inputs { broker, facts, arrivals, known: Vec::new(), tasks: FuturesUnordered::new() };
        let mut looking = Some(inputs.look());
        let mut is_first = true;
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                topics = poll_fn(|context| poll_option(&mut looking, context)) => {
                    looking = None;
                    inputs.open(topics, std::mem::take(&mut is_first));
                }
                change = changes.next(), if looking.is_none() => match change {
                    Some(Ok(())) => looking = Some(inputs.look()),
                    // Nothing changes any more.
                    _ => changes = futures::stream::pending().boxed(),
                },
                Some(()) = inputs.tasks.next() => {}
            }
        }
    }
}

/// Polls what there is; waits for ever where there is nothing.
fn poll_option<T>(future: &mut Option<BoxFuture<'static, T>>, context: &mut Context<'_>) -> Poll<T> {
    future.as_mut().map_or(Poll::Pending, |future| future.poll_unpin(context))
}

/// All topic partitions of a replica.
struct Inputs {
    broker: Arc<dyn Broker>,
    facts: Arc<Facts>,
    arrivals: mpsc::Sender<Arrival>,
    /// What was opened, sorted.
    known: Vec<TopicName>,
    /// One for each of them.
    tasks: FuturesUnordered<BoxFuture<'static, ()>>,
}

impl Inputs {
    /// Boxed, so that a replica that waits keeps no room for it.
    fn look(&self) -> BoxFuture<'static, Vec<TopicName>> {
        look(Arc::clone(&self.broker), Arc::clone(&self.facts)).boxed()
    }

    /// Opens what is new. The first time, the replica is told when all of it is open.
    fn open(&mut self, topics: Vec<TopicName>, is_first: bool) {
        let mut opening = Vec::new();
        for topic in topics {
            let Err(at) = self.known.binary_search(&topic) else { continue };
            self.known.reserve_exact(1);
            self.known.insert(at, topic.clone());
            let (opened, is_open) = oneshot::channel();
            let input = Input {
                source: self.known.len() as Source,
                topic,
                broker: Arc::clone(&self.broker),
                facts: Arc::clone(&self.facts),
                arrivals: self.arrivals.clone(),
            };
            self.tasks.push(input.keep_open(opened).boxed());
            opening.push(is_open);
        }
        if is_first {
            let arrivals = self.arrivals.clone();
            let all_open = async move {
                futures::future::join_all(opening).await;
                send(arrivals, Arrival::AllOpen).await;
            };
            self.tasks.push(all_open.boxed());
        }
    }
}

/// False when the replica is gone.
async fn send(mut arrivals: mpsc::Sender<Arrival>, arrival: Arrival) -> bool {
    arrivals.send(arrival).await.is_ok()
}

fn watched(function: &Resolved) -> Watched {
    let (mut partitions_of, matching) = match &function.inputs {
        Declared::Topics(topics) => (topics.clone(), None),
        Declared::Pattern(pattern) => (Vec::new(), Some(pattern.clone())),
    };
    partitions_of.extend(function.retry.retry_topic.clone());
    Watched { partitions_of, matching }
}

/// Looks until it is known what there is to read.
async fn look(broker: Arc<dyn Broker>, facts: Arc<Facts>) -> Vec<TopicName> {
    loop {
        match discover(&*broker, &facts.function).await {
            Ok(topics) => return topics,
            Err(error) => {
                let function = &facts.function.name;
                tracing::warn!(%function, %error, "inputs cannot be looked up; trying again");
                tokio::time::sleep(*BACKOFF.end()).await;
            }
        }
    }
}

/// The topic partitions to read now.
async fn discover(broker: &dyn Broker, function: &Resolved) -> Result<Vec<TopicName>> {
    let mut topics = match &function.inputs {
        Declared::Topics(topics) => topics.clone(),
        Declared::Pattern(pattern) => broker.topics(pattern).await?,
    };
    topics.extend(function.retry.retry_topic.clone());
    let mut parts = Vec::new();
    for topic in topics {
        parts.extend(broker.parts(&topic).await?);
    }
    Ok(parts)
}

fn consumer_options(facts: &Facts, topic: TopicName) -> ConsumerOptions {
    let subscription = &facts.function.subscription;
    ConsumerOptions {
        topic,
        subscription: subscription.name.clone(),
        subscription_type: match subscription.kind {
            SubscriptionKind::Shared => SubscriptionType::Shared,
            SubscriptionKind::Failover => SubscriptionType::Failover { priority: 0 },
            SubscriptionKind::KeyShared => SubscriptionType::KeyShared { ranges: None },
        },
        initial_position: if subscription.earliest { InitialPosition::Earliest } else { InitialPosition::Latest },
        consumer_name: format!("{}-{}", facts.function.name, facts.replica),
        batch_index_ack: true,
    }
}

/// One topic partition.
struct Input {
    source: Source,
    topic: TopicName,
    broker: Arc<dyn Broker>,
    facts: Arc<Facts>,
    arrivals: mpsc::Sender<Arrival>,
}

impl Input {
    /// Opens the consumer, and opens it again when it ends. Returns when the replica is gone.
    ///
    /// What is seldom awaited is boxed, so that an input that waits for messages keeps no room for it.
    #[expect(clippy::manual_async_fn, reason = "as above")]
    fn keep_open(mut self, opened: oneshot::Sender<()>) -> impl Future<Output = ()> + Send {
        async move {
            let mut skip_to_latest = self.facts.function.subscription.skip_to_latest;
            let mut opened = Some(opened);
            let mut backoff = *BACKOFF.start();
            loop {
                if let Ok(consumer) = self.open(skip_to_latest).boxed().await {
                    skip_to_latest = false;
                    backoff = *BACKOFF.start();
                    drop(opened.take());
                    self.pump(&*consumer).await;
                }
                if self.arrivals.is_closed() {
                    return;
                }
                tokio::time::sleep(backoff).boxed().await;
                backoff = (backoff * 2).min(*BACKOFF.end());
            }
        }
    }

    /// The consumer, of which the replica has been told, or that there is none.
    async fn open(&self, skip_to_latest: bool) -> Result<Arc<dyn Consumer>, ()> {
        match self.subscribe(skip_to_latest).await {
            Ok(consumer) => {
                let opened = Arrival::Opened { source: self.source, consumer: Arc::clone(&consumer) };
                send(self.arrivals.clone(), opened).await.then_some(consumer).ok_or(())
            }
            Err(error) => {
                self.closed(error).await;
                Err(())
            }
        }
    }

    async fn closed(&self, error: Error) {
        tracing::warn!(topic = %self.topic, %error, "input is not open; trying again");
        send(self.arrivals.clone(), Arrival::Closed { source: self.source, error }).await;
    }

    async fn subscribe(&self, skip_to_latest: bool) -> Result<Arc<dyn Consumer>> {
        let options = consumer_options(&self.facts, self.topic.clone());
        let consumer: Arc<dyn Consumer> = self.broker.subscribe(options).await?.into();
        if skip_to_latest {
            consumer.seek(SeekTo::Latest).await?;
        }
        Ok(consumer)
    }

    /// Hands on what arrives, when there is room, until the consumer ends or the replica is gone.
    async fn pump(&mut self, consumer: &dyn Consumer) {
        while poll_fn(|context| self.arrivals.poll_ready(context)).await.is_ok() {
            match consumer.next().await {
                Ok(event) => {
                    self.arrivals.start_send(Arrival::Event { source: self.source, event }).ok();
                }
                Err(error) => return self.closed(error).boxed().await,
            }
        }
    }
}
