//! Order, by subscription.

use crate::rig::Rig;

#[tokio::test]
async fn failover_holds_the_partition_while_a_message_is_tried_again() {
    let rig = Rig::new();
    let _probe = rig.deploy("retainOrdering: true\nmaxMessageRetry: 2\ndeadLetterTopic: bad").await;
    rig.send_batch(&["a", "retry x 20", "b"]).await;
    rig.send(&["c"]).await;
    assert_eq!(rig.read("out").await.texts(3).await, ["a", "b", "c"]);
    assert_eq!(rig.read("bad").await.texts(1).await, ["retry x 20"]);
    rig.backlog_is(0).await;
}

#[tokio::test]
async fn key_shared_holds_one_key_and_lets_the_others_go_on() {
    let rig = Rig::new();
    let spec = "retainKeyOrdering: true\nconcurrency: 2\nmaxMessageRetry: 2\ndeadLetterTopic: bad";
    let _probe = rig.deploy(spec).await;
    rig.send_keyed(&[("k1", "retry x 300"), ("k1", "held"), ("k2", "free")]).await;
    assert_eq!(rig.read("out").await.texts(2).await, ["free", "held"]);
    rig.backlog_is(0).await;
}

#[tokio::test]
async fn several_calls_at_once_keep_the_order_of_each_key() {
    let rig = Rig::new();
    let _probe = rig.deploy("retainKeyOrdering: true\nconcurrency: 4").await;
    let messages: Vec<(String, String)> = (0..200).map(|n| (format!("k{}", n % 7), format!("m{n:03}"))).collect();
    let borrowed: Vec<(&str, &str)> = messages.iter().map(|(key, payload)| (key.as_str(), payload.as_str())).collect();
    rig.send_keyed(&borrowed).await;
    let out = rig.read("out").await.messages(200).await;
    for key in 0..7 {
        let name = format!("k{key}");
        let of_key: Vec<_> = out
            .iter()
            .filter(|(_, message)| message.metadata.key() == Some(name.as_bytes()))
            .map(|(_, message)| message.payload.clone())
            .collect();
        assert!(of_key.is_sorted() && !of_key.is_empty(), "{of_key:?}");
    }
    rig.backlog_is(0).await;
}
