//! The server's side of everything but the streams.

use std::sync::Arc;

use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use pulselet_broker::topic::{Pattern, TopicName};
use pulselet_broker::{Broker, ConsumerOptions, Error, InitialPosition, MessageId, Position, SeekTo, SubscriptionType};
use tokio_util::sync::CancellationToken;

use super::wire::{
    Changed, ConsumeQuery, Failure, From as Start, FunctionState, MAX_PARTITIONS, NewSubscription, Rollback, Seek,
    SeekTo as To, Subscription, SubscriptionQuery, Topic, TopicQuery, TopicsQuery, Update,
};
use super::{consume, produce};
use crate::functions::Functions;

#[derive(Clone)]
pub(super) struct Server {
    pub(super) broker: Arc<dyn Broker>,
    pub(super) ending: CancellationToken,
    functions: Functions,
}

/// What a data folder's socket serves. `ending` ends the streams.
pub(crate) fn router(broker: Arc<dyn Broker>, functions: Functions, ending: CancellationToken) -> Router {
    Router::new()
        .route("/v1/functions", get(functions_now).post(update))
        .route("/v1/functions/rollback", post(rollback))
        .route("/v1/topics", get(topics).post(create_topic).delete(delete_topic))
        .route("/v1/subscriptions", get(subscriptions).post(create_subscription).delete(delete_subscription))
        .route("/v1/subscriptions/seek", post(seek))
        .route("/v1/produce", post(produce_messages))
        .route("/v1/consume", post(consume_messages))
        .with_state(Server { broker, ending, functions })
}

/// A request that failed.
pub(super) struct Refused(StatusCode, String);

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::TopicNotFound(_) | Error::SubscriptionNotFound { .. } => StatusCode::NOT_FOUND,
            Error::Storage(_) | Error::Corrupt { .. } | Error::Closed => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::CONFLICT,
        };
        let way_out = match &error {
            Error::TopicNotFound(_) => "; `pulselet topics list` prints those that do".to_owned(),
            Error::SubscriptionNotFound { topic, .. } => {
                format!("; `pulselet subscriptions list {topic}` prints those it has")
            }
            _ => String::new(),
        };
        Self(status, format!("{error}{way_out}"))
    }
}

impl Refused {
    fn bad(error: impl ToString) -> Self {
        Self(StatusCode::BAD_REQUEST, error.to_string())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(Failure { error: self.1 })).into_response()
    }
}

type Answer<T> = Result<T, Refused>;

pub(super) fn topic_name(text: &str) -> Answer<TopicName> {
    text.parse().map_err(Refused::bad)
}

async fn functions_now(State(server): State<Server>) -> Json<Vec<FunctionState>> {
    Json(server.functions.states())
}

async fn update(State(server): State<Server>, Json(update): Json<Update>) -> Answer<Json<Vec<Changed>>> {
    let name = update.source.display().to_string();
    let declared = pulselet_api::parse(&update.text, &name).map_err(Refused::bad)?;
    let place = |declared: pulselet_api::Declared| {
        let base_dir = crate::declarations::base_dir(&declared).to_owned();
        (declared, base_dir)
    };
    Ok(Json(server.functions.update(declared.into_iter().map(place).collect()).await))
}

async fn rollback(State(server): State<Server>, Query(query): Query<Rollback>) -> Json<Changed> {
    Json(server.functions.rollback(&query.function).await)
}

async fn topics(State(server): State<Server>, Query(query): Query<TopicsQuery>) -> Answer<Json<Vec<Topic>>> {
    let pattern = Pattern::parse_in(&query.pattern, "public", "default").map_err(Refused::bad)?;
    let mut found = Vec::new();
    for topic in server.broker.topics(&pattern).await? {
        let partitions = server.broker.partitions(&topic).await?;
        found.push(Topic { topic: topic.to_string(), partitions });
    }
    Ok(Json(found))
}

async fn create_topic(State(server): State<Server>, Json(new): Json<Topic>) -> Answer<()> {
    let topic = topic_name(&new.topic)?;
    match new.partitions {
        Some(0) => Err(Refused::bad("a partitioned topic has at least one partition")),
        Some(partitions) if partitions > MAX_PARTITIONS => {
            Err(Refused::bad(format!("a topic has at most {MAX_PARTITIONS} partitions")))
        }
        Some(partitions) => Ok(server.broker.create_partitioned(&topic, partitions).await?),
        None => {
            // Topics come into being when they are used.
            let options = pulselet_broker::ProducerOptions { topic, name: None, initial_subscription: None };
            Ok(server.broker.produce(options).await?.close().await?)
        }
    }
}

async fn delete_topic(State(server): State<Server>, Query(query): Query<TopicQuery>) -> Answer<()> {
    Ok(server.broker.delete_topic(&topic_name(&query.topic)?).await?)
}

async fn subscriptions(
    State(server): State<Server>,
    Query(query): Query<TopicQuery>,
) -> Answer<Json<Vec<Subscription>>> {
    let topic = topic_name(&query.topic)?;
    let stats = server.broker.subscriptions(&topic).await?.into_iter().map(|stats| Subscription {
        topic: topic.to_string(),
        subscription: stats.name,
        backlog: stats.backlog,
        unacked: stats.unacked,
        consumers: stats.consumers,
    });
    Ok(Json(stats.collect()))
}

async fn create_subscription(State(server): State<Server>, Json(new): Json<NewSubscription>) -> Answer<()> {
    let topic = topic_name(&new.topic)?;
    Ok(server.broker.create_subscription(&topic, &new.subscription, initial(new.from)).await?)
}

async fn delete_subscription(State(server): State<Server>, Query(query): Query<SubscriptionQuery>) -> Answer<()> {
    Ok(server.broker.delete_subscription(&topic_name(&query.topic)?, &query.subscription).await?)
}

async fn seek(State(server): State<Server>, Json(seek): Json<Seek>) -> Answer<()> {
    let topic = topic_name(&seek.topic)?;
    let known = server.broker.subscriptions(&topic).await?;
    if !known.iter().any(|stats| stats.name == seek.subscription) {
        // Opening a consumer would make it.
        return Err(Error::SubscriptionNotFound { topic, subscription: seek.subscription }.into());
    }
    let to = match &seek.to {
        To::Earliest => SeekTo::Earliest,
        To::Latest => SeekTo::Latest,
        To::PublishTime(time) => SeekTo::PublishTime(*time),
        To::MessageId(text) => SeekTo::Message(message_id(text).ok_or_else(|| {
            Refused::bad(format!("{text:?} is not a message id: write ledger:entry:partition[:batch index]"))
        })?),
    };
    let mut topics = server.broker.parts(&topic).await?;
    if let SeekTo::Message(id) = to {
        topics.retain(|topic| topic.partition().map_or(-1, i64::from) == i64::from(id.partition));
        if topics.is_empty() {
            return Err(Refused::bad(format!("{topic} has no partition {}", id.partition)));
        }
    }
    for topic in topics {
        let options = exclusive(topic, seek.subscription.clone(), InitialPosition::Latest);
        let consumer = server.broker.subscribe(options).await?;
        let done = consumer.seek(to).await;
        consumer.close().await?;
        done?;
    }
    Ok(())
}

async fn produce_messages(
    State(server): State<Server>,
    Query(query): Query<TopicQuery>,
    request: Request,
) -> Answer<Response> {
    let topic = topic_name(&query.topic)?;
    Ok(produce::stream(&server, topic, request.into_body()).await?.into_response())
}

async fn consume_messages(
    State(server): State<Server>,
    Query(query): Query<ConsumeQuery>,
    request: Request,
) -> Answer<Response> {
    let topic = topic_name(&query.topic)?;
    Ok(consume::stream(&server, topic, query, request.into_body()).await?.into_response())
}

/// A consumer that is alone on its subscription.
pub(super) fn exclusive(topic: TopicName, subscription: String, from: InitialPosition) -> ConsumerOptions {
    ConsumerOptions {
        topic,
        subscription,
        subscription_type: SubscriptionType::Exclusive,
        initial_position: from,
        consumer_name: "pulselet".to_owned(),
        batch_index_ack: true,
    }
}

pub(super) fn initial(from: Start) -> InitialPosition {
    match from {
        Start::Earliest => InitialPosition::Earliest,
        Start::Latest => InitialPosition::Latest,
    }
}

fn message_id(text: &str) -> Option<MessageId> {
    let mut parts = text.split(':');
    let position = Position { ledger: parts.next()?.parse().ok()?, entry: parts.next()?.parse().ok()? };
    let partition = parts.next()?.parse().ok()?;
    let batch_index = parts.next().map_or(Some(-1), |index| index.parse().ok())?;
    parts.next().is_none().then_some(MessageId { position, partition, batch_index })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_ids_are_read_as_they_are_written() {
        for text in ["1:2:-1", "1:2:3", "1:2:3:4"] {
            assert_eq!(message_id(text).unwrap().to_string(), text);
        }
        for text in ["", "1", "1:2", "1:2:3:4:5", "a:2:3", "1:2:3:x"] {
            assert_eq!(message_id(text), None, "{text}");
        }
    }
}
