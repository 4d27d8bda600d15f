//! Messages out, and how many of them have been used in: those are acknowledged, and no others.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use futures::future::try_join_all;
use pulselet_broker::topic::TopicName;
use pulselet_broker::{Broker, Confirmation, Consumer, Entry, Error, Event, MessageId};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::lines::Lines;
use super::produce::body_of;
use super::routes::{Server, exclusive, initial};
use super::wire::{ConsumeQuery, Read, ReadMessage, line};

/// Messages of each partition that are sent and not used yet.
const PERMITS: u32 = 1_000;
/// Acks that are not confirmed yet; more of them wait for the oldest.
const MAX_ACKS: usize = 64;
/// Pieces of the answer that wait for the connection.
const MAX_PIECES: usize = 16;

/// The answer to a request whose body says, line by line, how many messages have been used so far: [`Read`]s.
///
/// Whatever ends the request early (a lost connection, a server that stops) leaves what was not used for the next reader.
pub(super) async fn stream(server: &Server, topic: TopicName, query: ConsumeQuery, body: Body) -> Result<Body, Error> {
    let reader = Reader::open(server, topic, query).await?;
    let (pieces, answer) = mpsc::channel(MAX_PIECES);
    let ending = server.ending.clone();
    tokio::spawn(async move { reader.run(pieces, Lines::new(body), ending).await });
    Ok(body_of(answer))
}

struct Reader {
    broker: Arc<dyn Broker>,
    topic: TopicName,
    subscription: String,
    /// A subscription of this reader alone: nothing is acknowledged, and it goes when the reader does.
    is_passing: bool,
    consumers: Vec<Arc<dyn Consumer>>,
    /// Messages still to be sent; `None` for as many as come.
    left: Option<u64>,
    /// Sent and not used yet, with the consumer each came from.
    sent: VecDeque<(usize, MessageId)>,
    used: u64,
    acks: VecDeque<Confirmation>,
}

impl Reader {
    async fn open(server: &Server, topic: TopicName, query: ConsumeQuery) -> Result<Self, Error> {
        let broker = Arc::clone(&server.broker);
        if !query.follow {
            // Subscribing would make the topic, and a name that is mistyped would look like one that is empty.
            broker.subscriptions(&topic).await?;
        }
        let is_passing = query.subscription.is_none();
        if is_passing {
            remove_left_behind(&*broker, &topic).await;
        }
        let subscription = query.subscription.unwrap_or_else(passing_name);
        let mut consumers: Vec<Arc<dyn Consumer>> = Vec::new();
        for topic in broker.parts(&topic).await? {
            let options = exclusive(topic, subscription.clone(), initial(query.from));
            consumers.push(broker.subscribe(options).await?.into());
        }
        let mut left = query.count;
        if !query.follow {
            let stats = broker.subscriptions(&topic).await?;
            let backlog = stats.iter().find(|stats| stats.name == subscription).map_or(0, |stats| stats.backlog);
            left = Some(left.map_or(backlog, |count| count.min(backlog)));
        }
        let (sent, acks) = (VecDeque::new(), VecDeque::new());
        Ok(Self { broker, topic, subscription, is_passing, consumers, left, sent, used: 0, acks })
    }

    async fn run(mut self, pieces: mpsc::Sender<bytes::Bytes>, used: Lines, ending: CancellationToken) {
        let outcome = tokio::select! {
            outcome = self.transfer(&pieces, used) => outcome,
            () = pieces.closed() => Ok(()),
            () = ending.cancelled() => Err(anyhow::anyhow!("the process that has the data folder open is stopping")),
        };
        if let Err(error) = outcome
            && let Ok(line) = line(&Read::Failed(error.to_string()))
        {
            // Whoever is gone need not be told.
            pieces.try_send(line).ok();
        }
        self.close().await;
    }

    async fn transfer(&mut self, pieces: &mpsc::Sender<bytes::Bytes>, mut used: Lines) -> anyhow::Result<()> {
        let (entries, mut delivered) = mpsc::channel(MAX_PIECES);
        let mut listening = JoinSet::new();
        for (number, consumer) in self.consumers.iter().enumerate() {
            consumer.grant(PERMITS);
            listening.spawn(listen(number, Arc::clone(consumer), entries.clone()));
        }
        drop(entries);
        let mut has_ended = false;
        loop {
            if self.left == Some(0) && !has_ended {
                has_ended = true;
                pieces.send(line(&Read::End)?).await?;
            }
            tokio::select! {
                event = delivered.recv(), if !has_ended => match event {
                    Some((number, entries)) => self.send(number, &entries?, pieces).await?,
                    None => self.left = Some(0),
                },
                count = used.next::<u64>() => match count? {
                    Some(count) => self.acknowledge(count).await?,
                    None => break,
                },
            }
        }
        try_join_all(std::mem::take(&mut self.acks)).await?;
        Ok(())
    }

    async fn send(
        &mut self,
        number: usize,
        entries: &[Entry],
        pieces: &mpsc::Sender<bytes::Bytes>,
    ) -> anyhow::Result<()> {
        let mut piece = Vec::new();
        for entry in entries {
            for message in &entry.messages {
                if self.left == Some(0) {
                    break;
                }
                self.left = self.left.map(|left| left - 1);
                self.sent.push_back((number, entry.id(message)));
                let read = Read::Message(Box::new(ReadMessage::new(entry, message)));
                piece.extend_from_slice(&line(&read)?);
            }
        }
        pieces.send(piece.into()).await?;
        Ok(())
    }

    /// `count` messages have been used since the start of the request.
    async fn acknowledge(&mut self, count: u64) -> anyhow::Result<()> {
        let new = count.saturating_sub(self.used);
        self.used = self.used.max(count);
        let mut ids: Vec<Vec<MessageId>> = self.consumers.iter().map(|_| Vec::new()).collect();
        for _ in 0..new {
            let Some((number, id)) = self.sent.pop_front() else { anyhow::bail!("more was used than was sent") };
            ids.get_mut(number).into_iter().for_each(|ids| ids.push(id));
        }
        for (consumer, ids) in self.consumers.iter().zip(ids).filter(|(_, ids)| !ids.is_empty()) {
            consumer.grant(ids.len() as u32);
            if !self.is_passing {
                self.acks.push_back(consumer.ack(&ids));
            }
        }
        while self.acks.len() > MAX_ACKS
            && let Some(ack) = self.acks.pop_front()
        {
            ack.await?;
        }
        Ok(())
    }

    async fn close(self) {
        for consumer in &self.consumers {
            // The broker gives back what is unsettled either way.
            consumer.close().await.ok();
        }
        drop(self.consumers);
        if self.is_passing
            && let Err(error) = self.broker.delete_subscription(&self.topic, &self.subscription).await
        {
            tracing::warn!(%error, topic = %self.topic, subscription = self.subscription, "subscription stays behind");
        }
    }
}

type Delivered = (usize, Result<Vec<Entry>, Error>);

async fn listen(number: usize, consumer: Arc<dyn Consumer>, delivered: mpsc::Sender<Delivered>) {
    loop {
        let entries = match consumer.next().await {
            Ok(Event::Entries(entries)) => Ok(entries),
            Ok(Event::EndOfTopic) => return,
            Ok(_) => continue,
            Err(error) => Err(error),
        };
        let is_last = entries.is_err();
        if delivered.send((number, entries)).await.is_err() || is_last {
            return;
        }
    }
}

/// How subscriptions of readers without one begin.
const PASSING: &str = "pulselet-consume-";

/// Removes the subscriptions of readers that died: they would keep messages for nobody.
async fn remove_left_behind(broker: &dyn Broker, topic: &TopicName) {
    // Whatever is wrong with the topic shows when it is opened.
    for stats in broker.subscriptions(topic).await.unwrap_or_default() {
        if stats.consumers == 0 && stats.name.starts_with(PASSING) {
            // One that is just being opened is busy, and stays.
            broker.delete_subscription(topic, &stats.name).await.ok();
        }
    }
}

fn passing_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{PASSING}{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
