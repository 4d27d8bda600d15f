use proptest::prelude::*;
use pulselet::testing::protocol::{
    Bytes, Call, CallResult, Greeting, Identity, LogLevel, LogLine, Message, MessageId, Metric, MetricKind, Published,
    Reply, Report, Settled, Settlement, VERSION, World,
};

const ID: MessageId = MessageId { ledger: 1, entry: 2, partition: -1, batch_index: -1 };

/// The lines of `HARNESS.md`, in their order.
fn documented() -> Vec<serde_json::Value> {
    let text = include_str!("../../HARNESS.md");
    let lines = text.lines().filter_map(|line| line.strip_prefix("> ").or_else(|| line.strip_prefix("< ")));
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn call() -> Call {
    let identity = Identity {
        tenant: "public".into(),
        namespace: "default".into(),
        name: "function".into(),
        replica: 0,
        replicas: 1,
    };
    let message = Message {
        payload: Bytes(b"hello".into()),
        topic: "persistent://public/default/in".into(),
        message_id: MessageId { ledger: 0, entry: 0, partition: -1, batch_index: -1 },
        key: Some(Bytes(b"k".into())),
        ordering_key: None,
        properties: vec![("a".into(), "b".into())],
        event_time: None,
        publish_time: 0,
        producer_name: "test".into(),
        sequence_id: 0,
        redelivery_count: 0,
        schema_version: None,
        is_null: false,
    };
    Call {
        messages: vec![message],
        identity,
        inputs: vec![],
        output: None,
        config: [("suffix".to_owned(), "!".to_owned())].into(),
        secrets: [("token".to_owned(), Bytes(b"s3".into()))].into(),
    }
}

#[test]
fn the_protocol_is_as_documented() {
    let published = Published {
        index: 0,
        topic: "words".into(),
        payload: Bytes(b"hello".into()),
        key: Some("hello".into()),
        properties: vec![],
        event_time: None,
        delay: None,
        now: false,
    };
    let settled = Settled {
        message_id: MessageId { ledger: 0, entry: 0, partition: -1, batch_index: -1 },
        how: Settlement::Nack { delay: Some(5000) },
    };
    let report = Report {
        results: vec![CallResult::Ok { answer: Some(Bytes(b"hello!".into())) }],
        published: vec![published],
        logs: vec![LogLine { level: LogLevel::Info, context: "exclamation".into(), text: "seen".into() }],
        metrics: vec![Metric { kind: MetricKind::Count, name: "words".into(), value: 1.0 }],
        settled: vec![settled],
    };
    let said = [
        serde_json::to_value(Greeting::Ready { protocol: VERSION, world: World::Function }),
        serde_json::to_value(call()),
        serde_json::to_value(Reply::Called(report)),
    ];
    assert_eq!(documented(), said.map(Result::unwrap));
}

#[test]
fn a_call_with_a_field_that_is_not_known_is_refused() {
    let mut value = serde_json::to_value(call()).unwrap();
    value["timeout"] = 3.into();
    assert!(serde_json::from_value::<Call>(value).unwrap_err().to_string().contains("timeout"));
}

proptest! {
    #[test]
    fn bytes_read_back_whatever_they_are(bytes: Vec<u8>) {
        let reply = Reply::Called(Report {
            results: vec![CallResult::Ok { answer: Some(Bytes(bytes)) }, CallResult::Retry { reason: "r".into(), delay: None }],
            settled: vec![Settled { message_id: ID, how: Settlement::Ack }],
            ..Report::default()
        });
        let line = serde_json::to_string(&reply).unwrap();
        prop_assert!(!line.contains('\n'));
        prop_assert_eq!(serde_json::from_str::<Reply>(&line).unwrap(), reply);
    }
}
