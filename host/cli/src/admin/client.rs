use anyhow::{Context, bail};
use axum::body::Body;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use super::lines::Lines;
use super::produce::body_of;
use super::wire::{
    Changed, ConsumeQuery, Failure, FunctionState, NewMessage, NewSubscription, Read, ReadMessage, Rollback, Seek,
    Subscription, SubscriptionQuery, Topic, TopicQuery, TopicsQuery, Update, line,
};

/// Largest answer that is not a stream, in bytes.
const MAX_ANSWER_BYTES: usize = 64 << 20;
/// Pieces of a request that wait for the connection.
const MAX_PIECES: usize = 16;

/// What is left to say when the connection breaks.
const ENDED: &str = "the process that has the data folder open has ended; see what it said";

/// A connection to the process that has a data folder open.
pub(crate) struct Client {
    requests: SendRequest<Body>,
}

impl Client {
    pub(super) async fn new(stream: UnixStream) -> anyhow::Result<Self> {
        let (requests, connection) = handshake(TokioIo::new(stream)).await?;
        // What goes wrong with it shows in the requests.
        tokio::spawn(connection);
        Ok(Self { requests })
    }

    pub(crate) async fn functions(&mut self) -> anyhow::Result<Vec<FunctionState>> {
        json(self.request(Method::GET, "/v1/functions", &(), Body::empty()).await?).await
    }

    pub(crate) async fn update(&mut self, update: &Update) -> anyhow::Result<Vec<Changed>> {
        let body = Body::from(serde_json::to_vec(update)?);
        json(self.request(Method::POST, "/v1/functions", &(), body).await?).await
    }

    pub(crate) async fn rollback(&mut self, function: &str) -> anyhow::Result<Changed> {
        let query = Rollback { function: function.to_owned() };
        json(self.request(Method::POST, "/v1/functions/rollback", &query, Body::empty()).await?).await
    }

    pub(crate) async fn topics(&mut self, pattern: &str) -> anyhow::Result<Vec<Topic>> {
        let query = TopicsQuery { pattern: pattern.to_owned() };
        json(self.request(Method::GET, "/v1/topics", &query, Body::empty()).await?).await
    }

    pub(crate) async fn create_topic(&mut self, topic: &Topic) -> anyhow::Result<()> {
        self.post("/v1/topics", topic).await
    }

    pub(crate) async fn delete_topic(&mut self, topic: &str) -> anyhow::Result<()> {
        let query = TopicQuery { topic: topic.to_owned() };
        self.request(Method::DELETE, "/v1/topics", &query, Body::empty()).await.map(drop)
    }

    pub(crate) async fn subscriptions(&mut self, topic: &str) -> anyhow::Result<Vec<Subscription>> {
        let query = TopicQuery { topic: topic.to_owned() };
        json(self.request(Method::GET, "/v1/subscriptions", &query, Body::empty()).await?).await
    }

    pub(crate) async fn create_subscription(&mut self, new: &NewSubscription) -> anyhow::Result<()> {
        self.post("/v1/subscriptions", new).await
    }

    pub(crate) async fn delete_subscription(&mut self, topic: &str, subscription: &str) -> anyhow::Result<()> {
        let query = SubscriptionQuery { topic: topic.to_owned(), subscription: subscription.to_owned() };
        self.request(Method::DELETE, "/v1/subscriptions", &query, Body::empty()).await.map(drop)
    }

    pub(crate) async fn seek(&mut self, seek: &Seek) -> anyhow::Result<()> {
        self.post("/v1/subscriptions/seek", seek).await
    }

    /// Opens a topic for writing: what is given to the first part is answered, in the same order, by the second.
    pub(crate) async fn produce(&mut self, topic: &str) -> anyhow::Result<(Producing, Lines)> {
        let query = TopicQuery { topic: topic.to_owned() };
        let (pieces, body) = mpsc::channel(MAX_PIECES);
        let response = self.request(Method::POST, "/v1/produce", &query, body_of(body)).await?;
        Ok((Producing { pieces }, Lines::new(Body::new(response.into_body()))))
    }

    /// Opens a topic for reading.
    pub(crate) async fn consume(&mut self, query: &ConsumeQuery) -> anyhow::Result<Consuming> {
        let (pieces, body) = mpsc::channel(MAX_PIECES);
        let response = self.request(Method::POST, "/v1/consume", query, body_of(body)).await?;
        Ok(Consuming { used: Some(pieces), read: Lines::new(Body::new(response.into_body())), has_ended: false })
    }

    async fn post<T: Serialize>(&mut self, path: &str, value: &T) -> anyhow::Result<()> {
        let body = Body::from(serde_json::to_vec(value)?);
        self.request(Method::POST, path, &(), body).await.map(drop)
    }

    async fn request<Q: Serialize>(
        &mut self,
        method: Method,
        path: &str,
        query: &Q,
        body: Body,
    ) -> anyhow::Result<Response<hyper::body::Incoming>> {
        let query = serde_urlencoded::to_string(query)?;
        let request = Request::builder()
            .method(method)
            .uri(format!("{path}?{query}"))
            .header("host", "pulselet")
            .header("content-type", "application/json")
            .body(body)?;
        self.requests.ready().await.context(ENDED)?;
        let response = self.requests.send_request(request).await.context(ENDED)?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = axum::body::to_bytes(Body::new(response.into_body()), MAX_ANSWER_BYTES).await?;
        match serde_json::from_slice::<Failure>(&body) {
            Ok(failure) => bail!(failure.error),
            Err(_) if status == StatusCode::NOT_FOUND => {
                bail!("the process that has the data folder open does not know {path}: it is of another version")
            }
            Err(_) => bail!("{status}: {}", String::from_utf8_lossy(&body)),
        }
    }
}

async fn json<T: DeserializeOwned>(response: Response<hyper::body::Incoming>) -> anyhow::Result<T> {
    let body = axum::body::to_bytes(Body::new(response.into_body()), MAX_ANSWER_BYTES).await?;
    Ok(serde_json::from_slice(&body)?)
}

/// A topic that is written to. Dropping it ends the writing.
pub(crate) struct Producing {
    pieces: mpsc::Sender<bytes::Bytes>,
}

impl Producing {
    pub(crate) async fn send(&self, message: &NewMessage) -> anyhow::Result<()> {
        let piece = line(message)?;
        self.pieces.send(piece).await.context(ENDED)
    }
}

/// A topic that is read.
pub(crate) struct Consuming {
    used: Option<mpsc::Sender<bytes::Bytes>>,
    read: Lines,
    has_ended: bool,
}

impl Consuming {
    /// The next message; `None` when what was asked for has been given.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<ReadMessage>> {
        if self.has_ended {
            return Ok(None);
        }
        match self.read.next().await? {
            Some(Read::Message(message)) => Ok(Some(*message)),
            Some(Read::End) => {
                self.has_ended = true;
                Ok(None)
            }
            Some(Read::Failed(error)) => bail!(error),
            None => bail!(ENDED),
        }
    }

    /// True when [`Consuming::next`] will not wait.
    pub(crate) fn has_more_at_hand(&self) -> bool {
        self.read.has_more_at_hand()
    }

    /// Says how many messages have been used since the start; they will not come again.
    pub(crate) async fn used(&self, count: u64) -> anyhow::Result<()> {
        let Some(used) = &self.used else { return Ok(()) };
        used.send(line(&count)?).await.context(ENDED)
    }

    /// Ends the reading; returns when all that was used is acknowledged durably.
    pub(crate) async fn finish(mut self) -> anyhow::Result<()> {
        self.used = None;
        loop {
            match self.read.next().await? {
                // Sent before the server knew that it is enough; it comes again to somebody else.
                Some(Read::Message(_) | Read::End) => {}
                Some(Read::Failed(error)) => bail!(error),
                None => return Ok(()),
            }
        }
    }
}
