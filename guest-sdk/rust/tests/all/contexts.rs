use std::time::{Duration, UNIX_EPOCH};

use pulselet::testing::{Failure, MetricKind, Published, harness};
use pulselet::{Context, Identity, Json, Message, MessageId, PublishError};

#[pulselet::function]
fn everything(_: &[u8], ctx: &Context) -> Json<Vec<String>> {
    Json(vec![
        format!("{:?}", ctx.identity()),
        format!("{:?} {:?}", ctx.inputs(), ctx.output()),
        format!("{} {}", ctx.topic(), ctx.message_id()),
        format!("{:?} {:?} {:?}", ctx.key(), ctx.key_text(), ctx.ordering_key()),
        format!("{:?} {:?}", ctx.property("a"), ctx.properties()),
        format!("{:?} {:?}", ctx.event_time(), ctx.publish_time()),
        format!("{} {} {}", ctx.producer_name(), ctx.sequence_id(), ctx.redelivery_count()),
        format!("{:?} {} {:?}", ctx.schema_version(), ctx.is_null(), ctx.secret("token")),
    ])
}

#[test]
fn all_that_was_set_is_seen() -> Result<(), Failure> {
    let (early, late) = (UNIX_EPOCH + Duration::from_millis(5), UNIX_EPOCH + Duration::from_secs(7));
    let identity = Identity { tenant: "t".into(), namespace: "n".into(), name: "f".into(), replica: 1, replicas: 3 };
    let mut f = harness!(everything);
    f.identity(identity.clone()).inputs(["in"]).output("out").secret("token", "s3");
    let out = f
        .message("")
        .topic("persistent://t/n/in-partition-1")
        .message_id(MessageId { ledger: 4, entry: 5, partition: 1, batch_index: 2 })
        .key([0xff])
        .ordering_key("o")
        .property("a", "first")
        .property("a", "second")
        .event_time(early)
        .publish_time(late)
        .producer_name("p")
        .sequence_id(9)
        .redelivery_count(2)
        .schema_version([1])
        .null()
        .call()?;
    assert_eq!(
        out.json::<Vec<String>>().unwrap(),
        [
            format!("{identity:?}"),
            r#"["in"] Some("out")"#.into(),
            "persistent://t/n/in-partition-1 4:5:1:2".into(),
            "Some([255]) None Some([111])".into(),
            r#"Some("first") [("a", "first"), ("a", "second")]"#.into(),
            format!("{:?} {late:?}", Some(early)),
            "p 9 2".into(),
            "Some([1]) true Some([115, 51])".into(),
        ]
    );
    Ok(())
}

#[pulselet::function]
fn publishes(_: &[u8], ctx: &Context) -> Result<(), PublishError> {
    let message = Message::new("full")
        .key("k")
        .property("a", "b")
        .event_time(UNIX_EPOCH + Duration::from_millis(5))
        .delay(Duration::from_secs(1));
    ctx.publish("topic", message)?;
    ctx.topic_producer("topic")?.send(ctx, "plain")?;
    ctx.publish_now("topic", [1_u8, 2])?;
    ctx.metrics().count("c", 1);
    ctx.metrics().count("c", 2.5);
    ctx.metrics().gauge("g", 7_u32);
    ctx.metrics().observe("o", 0.5);
    Ok(())
}

#[test]
fn what_goes_out_is_seen_with_all_its_fields() -> Result<(), Failure> {
    let out = harness!(publishes).message("").call()?;
    let [full, plain, now] = out.published() else { panic!("three messages: {:?}", out.published()) };

    assert_eq!((full.text(), full.key.as_deref()), (Some("full"), Some("k")));
    assert_eq!(full.properties, [("a".to_owned(), "b".to_owned())]);
    assert_eq!(full.event_time, Some(UNIX_EPOCH + Duration::from_millis(5)));
    assert_eq!(full.delay, Some(Duration::from_secs(1)));
    assert!(matches!(plain, Published { now: false, key: None, .. } if plain.text() == Some("plain")));
    assert_eq!((now.now, now.payload.as_slice()), (true, [1, 2].as_slice()));
    Ok(())
}

#[test]
fn numbers_are_seen_in_their_order() -> Result<(), Failure> {
    let out = harness!(publishes).message("").call()?;
    assert_eq!(out.counted("c"), 3.5);
    let kinds: Vec<_> = out.metrics().iter().map(|metric| metric.kind).collect();
    assert_eq!(kinds, [MetricKind::Count, MetricKind::Count, MetricKind::Gauge, MetricKind::Observe]);
    Ok(())
}

#[test]
fn messages_without_an_id_count_up() -> Result<(), Failure> {
    let mut f = harness!(everything);
    for entry in 0..3 {
        let seen: Vec<String> = f.message("").call()?.json().unwrap();
        assert!(seen[2].ends_with(&format!(" 0:{entry}:-1:-1")), "{}", seen[2]);
    }
    Ok(())
}
