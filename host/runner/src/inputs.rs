//! The consumers of a replica: found, opened, kept open. This runs beside the sockets; what arrives is handed to the
//! replica through one bounded queue, so that a replica that is behind holds its consumers back.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use pulselet_api::topic::TopicName;
use pulselet_api::{Inputs, Resolved, SubscriptionKind};
use pulselet_broker::{
    Broker, Consumer, ConsumerOptions, Error, Event, InitialPosition, Result, SeekTo, SubscriptionType,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::function::Facts;
use crate::settlement::Source;

/// How often new topics of a pattern and new partitions are looked for.
const DISCOVERY_INTERVAL: Duration = Duration::from_secs(30);
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
pub(crate) async fn keep_open(
    broker: Arc<dyn Broker>,
    facts: Arc<Facts>,
    arrivals: mpsc::Sender<Arrival>,
    cancel: CancellationToken,
) {
    let mut known: HashSet<TopicName> = HashSet::new();
    let mut tasks = JoinSet::new();
    let mut is_first_round = true;
    loop {
        let topics = match discover(&*broker, &facts.function).await {
            Ok(topics) => topics,
            Err(error) => {
                tracing::warn!(function = %facts.function.name, %error, "inputs cannot be looked up; trying again");
                Vec::new()
            }
        };
        let mut opening = Vec::new();
        for topic in topics {
            if known.insert(topic.clone()) {
                let (opened, is_open) = tokio::sync::oneshot::channel();
                let input = Input {
                    source: known.len() as Source,
                    options: consumer_options(&facts, topic),
                    broker: Arc::clone(&broker),
                    arrivals: arrivals.clone(),
                    cancel: cancel.clone(),
                };
                tasks.spawn(input.run(facts.function.subscription.skip_to_latest, opened));
                opening.push(is_open);
            }
        }
        if is_first_round && (!known.is_empty() || matches!(facts.function.inputs, Inputs::Pattern(_))) {
            is_first_round = false;
            futures::future::join_all(opening).await;
            arrivals.send(Arrival::AllOpen).await.ok();
        }
        let pause = if is_first_round { *BACKOFF.end() } else { DISCOVERY_INTERVAL };
        if cancel.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            break;
        }
    }
    while tasks.join_next().await.is_some() {}
}

/// The topic partitions to read now.
async fn discover(broker: &dyn Broker, function: &Resolved) -> Result<Vec<TopicName>> {
    let mut topics = match &function.inputs {
        Inputs::Topics(topics) => topics.clone(),
        Inputs::Pattern(pattern) => broker.topics(pattern).await?,
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
    options: ConsumerOptions,
    broker: Arc<dyn Broker>,
    arrivals: mpsc::Sender<Arrival>,
    cancel: CancellationToken,
}

impl Input {
    async fn run(self, mut skip_to_latest: bool, opened: tokio::sync::oneshot::Sender<()>) {
        let cancel = self.cancel.clone();
        let mut opened = Some(opened);
        let work = async {
            let mut backoff = *BACKOFF.start();
            loop {
                let error = match self.open(skip_to_latest).await {
                    Ok(consumer) => {
                        skip_to_latest = false;
                        backoff = *BACKOFF.start();
                        let hello = Arrival::Opened { source: self.source, consumer: Arc::clone(&consumer) };
                        if self.arrivals.send(hello).await.is_err() {
                            return;
                        }
                        drop(opened.take());
                        match self.pump(&*consumer).await {
                            Some(error) => error,
                            None => return,
                        }
                    }
                    Err(error) => error,
                };
                if self.cancel.is_cancelled() {
                    // The replica has closed the consumer, because it ends.
                    return;
                }
                tracing::warn!(topic = %self.options.topic, %error, "input is not open; trying again");
                if self.arrivals.send(Arrival::Closed { source: self.source, error }).await.is_err() {
                    return;
                }
                tokio::time::sleep(backoff).await;
                backoff = (backoff * 2).min(*BACKOFF.end());
            }
        };
        cancel.run_until_cancelled(work).await;
    }

    async fn open(&self, skip_to_latest: bool) -> Result<Arc<dyn Consumer>> {
        let consumer: Arc<dyn Consumer> = self.broker.subscribe(self.options.clone()).await?.into();
        if skip_to_latest {
            consumer.seek(SeekTo::Latest).await?;
        }
        Ok(consumer)
    }

    /// Hands on what arrives until the consumer ends (the error) or the replica is gone.
    async fn pump(&self, consumer: &dyn Consumer) -> Option<Error> {
        loop {
            let event = match consumer.next().await {
                Ok(event) => event,
                Err(error) => return Some(error),
            };
            if self.arrivals.send(Arrival::Event { source: self.source, event }).await.is_err() {
                return None;
            }
        }
    }
}
