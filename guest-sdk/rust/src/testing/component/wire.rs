//! Between the kit's types and the protocol's.

use std::time::Duration;

use crate::host::{Incoming, Setting};
use crate::message::at_millis;
use crate::testing::protocol::{self as wire, Bytes, Call, CallResult, Report};
use crate::testing::{BatchOutcome, Cause, Effects, LogLine, Metric, MetricKind, Published, Settled, Settlement};
use crate::{Identity, MessageId};

pub(super) fn call(setting: &Setting, messages: Vec<Incoming>) -> Call {
    let Setting { identity, inputs, output, config, secrets } = setting.clone();
    let Identity { tenant, namespace, name, replica, replicas } = identity;
    Call {
        messages: messages.into_iter().map(message).collect(),
        identity: wire::Identity { tenant, namespace, name, replica, replicas },
        inputs,
        output,
        config,
        secrets: secrets.into_iter().map(|(name, value)| (name, Bytes(value))).collect(),
    }
}

fn message(incoming: Incoming) -> wire::Message {
    let MessageId { ledger, entry, partition, batch_index } = incoming.message_id;
    wire::Message {
        payload: Bytes(incoming.payload),
        topic: incoming.topic,
        message_id: wire::MessageId { ledger, entry, partition, batch_index },
        key: incoming.key.map(Bytes),
        ordering_key: incoming.ordering_key.map(Bytes),
        properties: incoming.properties,
        event_time: incoming.event_time,
        publish_time: incoming.publish_time,
        producer_name: incoming.producer_name,
        sequence_id: incoming.sequence_id,
        redelivery_count: incoming.redelivery_count,
        schema_version: incoming.schema_version.map(Bytes),
        is_null: incoming.is_null,
    }
}

pub(super) fn outcome(report: Report) -> BatchOutcome {
    BatchOutcome {
        answers: report.results.into_iter().map(answer).collect(),
        effects: Effects {
            published: report.published.into_iter().map(published).collect(),
            logs: report.logs.into_iter().map(log_line).collect(),
            metrics: report.metrics.into_iter().map(metric).collect(),
            settled: report.settled.into_iter().map(settled).collect(),
        },
    }
}

fn answer(result: CallResult) -> Result<Option<Vec<u8>>, Cause> {
    Err(match result {
        CallResult::Ok { answer } => return Ok(answer.map(|Bytes(bytes)| bytes)),
        CallResult::Retry { reason, delay } => Cause::Retry { reason, delay: delay.map(Duration::from_millis) },
        CallResult::Reject { reason } => Cause::Reject(reason),
        CallResult::Fatal { reason } => Cause::Fatal(reason),
        CallResult::Trap { reason } => Cause::Trap(reason),
        CallResult::Timeout { reason } => Cause::Timeout(reason),
    })
}

fn published(message: wire::Published) -> Published {
    let wire::Published { index, topic, payload, key, properties, event_time, delay, now } = message;
    Published {
        topic,
        payload: payload.0,
        key,
        properties,
        event_time: event_time.map(at_millis),
        delay: delay.map(Duration::from_millis),
        now,
        index,
    }
}

fn log_line(line: wire::LogLine) -> LogLine {
    let level = match line.level {
        wire::LogLevel::Trace => log::Level::Trace,
        wire::LogLevel::Debug => log::Level::Debug,
        wire::LogLevel::Info => log::Level::Info,
        wire::LogLevel::Warn => log::Level::Warn,
        wire::LogLevel::Error | wire::LogLevel::Critical => log::Level::Error,
    };
    LogLine { level, target: line.context, text: line.text }
}

fn metric(metric: wire::Metric) -> Metric {
    let kind = match metric.kind {
        wire::MetricKind::Count => MetricKind::Count,
        wire::MetricKind::Gauge => MetricKind::Gauge,
        wire::MetricKind::Observe => MetricKind::Observe,
    };
    Metric { kind, name: metric.name, value: metric.value }
}

fn settled(settled: wire::Settled) -> Settled {
    let wire::MessageId { ledger, entry, partition, batch_index } = settled.message_id;
    let how = match settled.how {
        wire::Settlement::Ack => Settlement::Acked,
        wire::Settlement::Nack { delay } => Settlement::Nacked(delay.map(Duration::from_millis)),
    };
    Settled { message_id: MessageId { ledger, entry, partition, batch_index }, how }
}
