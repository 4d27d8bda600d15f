//! Messages in, ids out, in the same order.

use axum::body::Body;
use futures::future::BoxFuture;
use pulselet_broker::batch::{BatchBuilder, Key, Outgoing};
use pulselet_broker::routing::KeyHash;
use pulselet_broker::topic::TopicName;
use pulselet_broker::{Error, MessageId, Producer, ProducerOptions, Stored};
use tokio::sync::mpsc;

use super::lines::Lines;
use super::routes::Server;
use super::wire::{NewMessage, Sent, line};

/// Messages that are sent together at most.
const MAX_BATCH: usize = 1_000;
/// Payload bytes after which no more messages are added to those that are sent together.
const GROUP_BYTES: usize = 1 << 20;
/// Groups of messages that are not confirmed yet. Even of the largest messages they are fewer bytes than a producer of
/// the embedded broker may have under way.
const MAX_UNDER_WAY: usize = 8;

/// The answer to a request whose body is [`NewMessage`]s: [`Sent`]s.
pub(super) async fn stream(server: &Server, topic: TopicName, body: Body) -> Result<Body, Error> {
    let mut producers = Vec::new();
    for topic in server.broker.parts(&topic).await? {
        let partition = topic.partition().map_or(-1, |number| number as i32);
        let options = ProducerOptions { topic, name: None, initial_subscription: None };
        producers.push((partition, server.broker.produce(options).await?));
    }
    let (groups, mut under_way) = mpsc::channel::<BoxFuture<'static, Vec<Sent>>>(MAX_UNDER_WAY);
    let ending = server.ending.clone();
    tokio::spawn(async move {
        let mut router = Router { producers, turn: 0 };
        let mut lines = Lines::new(body);
        loop {
            let group = tokio::select! {
                group = next_group(&mut lines) => group,
                () = ending.cancelled() => break,
            };
            let sent = match group {
                Ok(group) if group.is_empty() => break,
                Ok(group) => router.send(&group),
                Err(error) => Box::pin(std::future::ready(vec![Sent::Refused(error.to_string())])) as _,
            };
            if groups.send(sent).await.is_err() {
                break;
            }
        }
        router.close().await;
    });
    let (answers, lines) = mpsc::channel(MAX_UNDER_WAY);
    tokio::spawn(async move {
        while let Some(group) = under_way.recv().await {
            for sent in group.await {
                let Ok(line) = line(&sent) else { return };
                if answers.send(line).await.is_err() {
                    return;
                }
            }
        }
    });
    Ok(body_of(lines))
}

/// A body whose pieces come through a channel.
pub(super) fn body_of(pieces: mpsc::Receiver<bytes::Bytes>) -> Body {
    Body::from_stream(futures::stream::unfold(pieces, |mut pieces| async move {
        let piece = pieces.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(piece), pieces))
    }))
}

/// One message, and what else is at hand; nothing at the end.
async fn next_group(lines: &mut Lines) -> anyhow::Result<Vec<NewMessage>> {
    let mut group: Vec<NewMessage> = Vec::new();
    let mut bytes = 0;
    while let Some(message) = lines.next::<NewMessage>().await? {
        bytes += message.payload.0.len();
        group.push(message);
        if group.len() >= MAX_BATCH || bytes >= GROUP_BYTES || !lines.has_more_at_hand() {
            break;
        }
    }
    Ok(group)
}

/// Sends each message to the partition that it belongs to.
struct Router {
    /// Each with the number of its partition; -1 for a topic without partitions.
    producers: Vec<(i32, Box<dyn Producer>)>,
    turn: usize,
}

/// A batch for one partition, and where in the group its messages stand.
#[derive(Default)]
struct Gathered {
    builder: BatchBuilder,
    places: Vec<usize>,
}

type Confirmed = BoxFuture<'static, (Vec<usize>, Result<Vec<String>, Error>)>;

impl Router {
    fn send(&mut self, group: &[NewMessage]) -> BoxFuture<'static, Vec<Sent>> {
        let mut gathered: Vec<Gathered> = self.producers.iter().map(|_| Gathered::default()).collect();
        let mut confirmed: Vec<Confirmed> = Vec::new();
        let mut refused = Vec::new();
        for (place, message) in group.iter().enumerate() {
            let number = self.partition(message);
            let (Some((partition, producer)), Some(gathered)) = (self.producers.get(number), gathered.get_mut(number))
            else {
                continue;
            };
            let outgoing = Outgoing {
                payload: &message.payload.0,
                key: message.key.as_deref().map(Key::Text),
                properties: message.properties.as_slice().into(),
                ..Outgoing::default()
            };
            let limit = producer.max_entry_bytes();
            if outgoing.encoded_len() > limit {
                let text = format!("the message has {} bytes, more than the {limit} allowed", outgoing.encoded_len());
                refused.push((place, text));
                continue;
            }
            if gathered.builder.bytes() + outgoing.encoded_len() > limit {
                confirmed.extend(gathered.send(&**producer, *partition));
            }
            gathered.builder.push(&outgoing);
            gathered.places.push(place);
        }
        for (mut gathered, (partition, producer)) in gathered.into_iter().zip(&self.producers) {
            confirmed.extend(gathered.send(&**producer, *partition));
        }
        Box::pin(in_order(refused, confirmed))
    }

    fn partition(&mut self, message: &NewMessage) -> usize {
        match &message.key {
            Some(key) => KeyHash::Murmur3.partition(key.as_bytes(), self.producers.len() as u32) as usize,
            None => {
                self.turn = (self.turn + 1) % self.producers.len().max(1);
                self.turn
            }
        }
    }

    async fn close(self) {
        for (_, producer) in self.producers {
            // Nobody is left who could be told; receipts have told already.
            producer.close().await.ok();
        }
    }
}

impl Gathered {
    fn send(&mut self, producer: &dyn Producer, partition: i32) -> Option<Confirmed> {
        let batch = self.builder.finish()?;
        let places = std::mem::take(&mut self.places);
        let receipt = producer.send(batch);
        Some(Box::pin(async move {
            let ids = receipt.await.and_then(|stored| match stored {
                Stored::At(position) => Ok((0..places.len() as i32)
                    .map(|batch_index| MessageId { position, partition, batch_index }.to_string())
                    .collect()),
                // Only a producer that names its sequence ids can repeat one.
                Stored::Duplicate => Err(Error::Closed),
            });
            (places, ids)
        }))
    }
}

/// What became of the messages of a group, in its order.
async fn in_order(refused: Vec<(usize, String)>, confirmed: Vec<Confirmed>) -> Vec<Sent> {
    let mut sent: Vec<(usize, Sent)> = refused.into_iter().map(|(place, text)| (place, Sent::Refused(text))).collect();
    for confirmed in confirmed {
        match confirmed.await {
            (places, Ok(ids)) => sent.extend(places.into_iter().zip(ids.into_iter().map(Sent::Id))),
            (places, Err(error)) => {
                sent.extend(places.into_iter().map(|place| (place, Sent::Refused(error.to_string()))));
            }
        }
    }
    sent.sort_by_key(|(place, _)| *place);
    sent.into_iter().map(|(_, sent)| sent).collect()
}
