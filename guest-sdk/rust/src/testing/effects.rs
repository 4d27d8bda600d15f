use std::time::{Duration, SystemTime};

use crate::MessageId;

/// What a function did in a call besides answering. A call that failed shows only what outlives it: log lines, metrics,
/// and what was published at once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effects {
    pub(super) published: Vec<Published>,
    pub(super) logs: Vec<LogLine>,
    pub(super) metrics: Vec<Metric>,
    pub(super) settled: Vec<Settled>,
}

impl Effects {
    /// Messages published, in the function's order.
    pub fn published(&self) -> &[Published] {
        &self.published
    }

    /// Lines logged through `log` or `tracing`, in the function's order. Where the test has set a logger of its own, they
    /// go there instead.
    pub fn logs(&self) -> &[LogLine] {
        &self.logs
    }

    /// Numbers reported, in the function's order.
    pub fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    /// By how much a counter was raised in all.
    pub fn counted(&self, name: &str) -> f64 {
        self.metrics.iter().filter(|it| it.kind == MetricKind::Count && it.name == name).map(|it| it.value).sum()
    }

    /// Messages settled by hand, in the function's order.
    pub fn settled(&self) -> &[Settled] {
        &self.settled
    }
}

/// A message that the function published.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// Topic, as the function wrote it.
    pub topic: String,
    /// Its value.
    pub payload: Vec<u8>,
    /// Its routing key.
    pub key: Option<String>,
    /// Its properties, in the function's order.
    pub properties: Vec<(String, String)>,
    /// When its event happened.
    pub event_time: Option<SystemTime>,
    /// How long it is held back.
    pub delay: Option<Duration>,
    /// Whether it was published at once.
    pub now: bool,
    /// Place in the call of the message it belongs to.
    pub index: u32,
}

impl Published {
    /// The value as text, if it is UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.payload).ok()
    }
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogLine {
    /// How grave it is.
    pub level: log::Level,
    /// Where it was logged; the module path unless the function says otherwise.
    pub target: String,
    /// The line itself.
    pub text: String,
}

/// A number reported.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Metric {
    /// What was done with it.
    pub kind: MetricKind,
    /// Its name.
    pub name: String,
    /// Amount or value.
    pub value: f64,
}

/// What was done with a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Added to a counter.
    Count,
    /// Set as a gauge.
    Gauge,
    /// Observed once.
    Observe,
}

/// A message settled by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Which one.
    pub message_id: MessageId,
    /// How.
    pub how: Settlement,
}

/// How a message was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// It is done.
    Acked,
    /// It is given back, for at least this long where the function said so.
    Nacked(Option<Duration>),
}
