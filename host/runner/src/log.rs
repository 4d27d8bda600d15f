//! What functions log: to the log of the process, and to the log topic where one is declared. A function that floods
//! its log loses lines, which are counted; it slows nobody.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pulselet_api::topic::TopicName;
use pulselet_broker::batch::{Batch, Outgoing};
use pulselet_broker::{Broker, ProducerOptions};
use pulselet_engine::contract::LogLevel;
use tokio::sync::mpsc;

use crate::function::Facts;

/// Lines that wait for the log topic; what comes beyond that is dropped and counted.
const WAITING_LINES: usize = 1_024;

/// Where the log lines of one replica go.
#[derive(Clone)]
pub(crate) struct FunctionLog {
    facts: Arc<Facts>,
    limit: Arc<Limit>,
    topic: Option<mpsc::Sender<Line>>,
}

struct Limit {
    bucket: Mutex<Bucket>,
    dropped: AtomicU64,
}

/// A token bucket: `left` lines may be written, refilled with time.
struct Bucket {
    left: f64,
    refilled: Instant,
}

pub(crate) struct Line {
    level: LogLevel,
    text: String,
}

impl FunctionLog {
    /// The lines for the log topic come out of the second value.
    pub(crate) fn new(facts: Arc<Facts>) -> (Self, Option<mpsc::Receiver<Line>>) {
        let (topic, lines) = match facts.function.log_topic {
            Some(_) => {
                let (sender, receiver) = mpsc::channel(WAITING_LINES);
                (Some(sender), Some(receiver))
            }
            None => (None, None),
        };
        let left = f64::from(facts.function.limits.log_lines_per_second);
        let bucket = Mutex::new(Bucket { left, refilled: Instant::now() });
        let limit = Arc::new(Limit { bucket, dropped: AtomicU64::new(0) });
        (Self { facts, limit, topic }, lines)
    }

    pub(crate) fn line(&self, level: LogLevel, context: &str, message: &str) {
        if !self.is_admitted() {
            self.limit.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let function = &self.facts.function.name;
        let replica = self.facts.replica;
        match level {
            LogLevel::Trace => tracing::trace!(target: "function", %function, replica, context, "{message}"),
            LogLevel::Debug => tracing::debug!(target: "function", %function, replica, context, "{message}"),
            LogLevel::Info => tracing::info!(target: "function", %function, replica, context, "{message}"),
            LogLevel::Warn => tracing::warn!(target: "function", %function, replica, context, "{message}"),
            LogLevel::Error | LogLevel::Critical => {
                tracing::error!(target: "function", %function, replica, context, "{message}");
            }
        }
        if let Some(topic) = &self.topic
            && topic.try_send(Line { level, text: message.to_owned() }).is_err()
        {
            self.limit.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lines lost since the last time this was asked.
    pub(crate) fn take_dropped(&self) -> u64 {
        self.limit.dropped.swap(0, Ordering::Relaxed)
    }

    fn is_admitted(&self) -> bool {
        let rate = f64::from(self.facts.function.limits.log_lines_per_second);
        let mut bucket = self.limit.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        if bucket.left < 1.0 {
            let now = Instant::now();
            let refill = now.duration_since(bucket.refilled).as_secs_f64() * rate;
            if refill < 1.0 {
                return false;
            }
            bucket.left = (bucket.left + refill).min(rate);
            bucket.refilled = now;
        }
        bucket.left -= 1.0;
        true
    }
}

/// Carries lines to the log topic until the replica is gone. Lines are not confirmed: a log must not hold back messages.
pub(crate) async fn carry(
    broker: Arc<dyn Broker>,
    topic: TopicName,
    facts: Arc<Facts>,
    mut lines: mpsc::Receiver<Line>,
) {
    let options = ProducerOptions { topic, name: None, initial_subscription: None };
    let producer = loop {
        match broker.produce(options.clone()).await {
            Ok(producer) => break producer,
            Err(error) => {
                tracing::warn!(topic = %options.topic, %error, "log topic cannot be opened; trying again");
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
        }
        if lines.is_closed() {
            return;
        }
    };
    let function = facts.function.name.to_string();
    let replica = facts.replica.to_string();
    while let Some(Line { level, text }) = lines.recv().await {
        // The names are Pulsar's, so that readers of its log topics need no change.
        let properties = [("loglevel", level_name(level)), ("instance", &*replica), ("fqn", &*function)];
        let message =
            Outgoing { payload: text.as_bytes(), properties: properties.as_slice().into(), ..Outgoing::default() };
        if let Err(error) = producer.send(Batch::single(&message, None)).await {
            tracing::warn!(%error, "a log line did not reach the log topic");
        }
    }
    producer.close().await.ok();
}

fn level_name(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Trace => "TRACE",
        LogLevel::Debug => "DEBUG",
        LogLevel::Info => "INFO",
        LogLevel::Warn => "WARN",
        LogLevel::Error => "ERROR",
        LogLevel::Critical => "FATAL",
    }
}
