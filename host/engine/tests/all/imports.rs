use pulselet_engine::contract::LogLevel;

use crate::setup::{probe, say};

#[tokio::test]
async fn publishing_reaches_the_host_with_and_without_a_producer() {
    let mut instance = probe().await;
    assert_eq!(say(&mut instance, "publish a one").await.unwrap(), "published");
    assert_eq!(say(&mut instance, "produce b two").await.unwrap(), "published");
    let host = instance.into_host();
    assert_eq!(host.published, [("a".into(), "one".into(), None), ("b".into(), "two".into(), None)]);
}

#[tokio::test]
async fn a_topic_that_is_refused_is_the_guests_to_handle() {
    let mut instance = probe().await;
    for command in ["publish forbidden x", "produce forbidden x"] {
        assert!(say(&mut instance, command).await.unwrap().contains("Denied"), "{command}");
    }
    assert!(instance.host_mut().published.is_empty());
}

#[tokio::test]
async fn publishing_at_once_answers_the_id() {
    assert_eq!(say(&mut probe().await, "publish-now t x").await.unwrap(), "9:1");
}

#[tokio::test]
async fn settling_by_hand_reaches_the_host() {
    let mut instance = probe().await;
    assert_eq!(say(&mut instance, "ack").await.unwrap(), "settled");
    assert_eq!(say(&mut instance, "nack 5").await.unwrap(), "settled");
    assert_eq!(say(&mut instance, "ack-handle 3").await.unwrap(), "unknown");
    assert_eq!(instance.into_host().settled, ["ack 100", "nack 100 Some(5ms)", "ack 3"]);
}

#[tokio::test]
async fn the_context_tells_about_message_and_function() {
    let mut instance = probe().await;
    let meta = say(&mut instance, "meta 0").await.unwrap();
    assert_eq!(meta, r#"in 7:0 key=Some("k") properties=[("colour", "red")] attempt=2 count=1"#);
    assert_eq!(say(&mut instance, "identity").await.unwrap(), "public/default/probe");
}

#[tokio::test]
async fn secrets_and_configuration_come_from_the_host() {
    let mut instance = probe().await;
    assert_eq!(say(&mut instance, "secret token").await.unwrap(), "s3cret");
    assert_eq!(say(&mut instance, "secret other").await.unwrap(), "(nothing)");
    assert_eq!(say(&mut instance, "config unit").await.unwrap(), "km");
    assert_eq!(say(&mut instance, "config other").await.unwrap(), "(nothing)");
    assert_eq!(say(&mut instance, "config-all").await.unwrap(), r#"[("unit", "km")]"#);
}

#[tokio::test]
async fn metrics_and_log_lines_reach_the_host() {
    let mut instance = probe().await;
    say(&mut instance, "metric seen 3").await.unwrap();
    say(&mut instance, "log 2").await.unwrap();
    let host = instance.into_host();
    assert_eq!(host.counted, [("seen".into(), 3.0)]);
    assert_eq!(host.lines("probe"), ["line 0", "line 1"]);
    assert_eq!(host.logged[0].0, LogLevel::Info);
}

#[tokio::test]
async fn a_guest_reaches_nothing_outside() {
    let mut instance = probe().await;
    assert_eq!(say(&mut instance, "env").await.unwrap(), "0");
    assert_eq!(say(&mut instance, "args").await.unwrap(), "0");
    assert_eq!(say(&mut instance, "stdin").await.unwrap(), "got ");
    for command in ["file /etc/passwd", "connect 127.0.0.1:1", "resolve localhost"] {
        let answer = say(&mut instance, command).await.unwrap();
        assert!(answer.starts_with("refused"), "{command}: {answer}");
    }
}

#[tokio::test]
async fn a_guest_has_the_real_time_and_real_randomness() {
    let (mut first, mut second) = (probe().await, probe().await);
    let clock: u64 = say(&mut first, "clock").await.unwrap().parse().unwrap();
    assert!(clock > 1_700_000_000);
    assert_ne!(say(&mut first, "random").await.unwrap(), say(&mut second, "random").await.unwrap());
}
