//! What an ack stands for.

use pulselet_test_support::eventually;

use crate::rig::{Rig, SOON};

#[tokio::test]
async fn at_least_once_answers_and_acks() {
    let rig = Rig::new();
    let _probe = rig.deploy("").await;
    rig.send(&["a", "b"]).await;
    rig.send_batch(&["c", "d"]).await;
    assert_eq!(rig.read("out").await.texts(4).await, ["a", "b", "c", "d"]);
    rig.backlog_is(0).await;
}

#[tokio::test]
async fn an_answer_of_nothing_acks_without_output() {
    let rig = Rig::new();
    let _probe = rig.deploy("").await;
    rig.send(&["none", "a"]).await;
    assert_eq!(rig.read("out").await.texts(1).await, ["a"]);
    rig.backlog_is(0).await;
}

#[tokio::test]
async fn at_most_once_a_failed_message_is_not_repeated() {
    let rig = Rig::new();
    let probe = rig.deploy("processingGuarantee: atmost_once").await;
    rig.send_batch(&["a", "retry no 1", "trap", "b"]).await;
    assert_eq!(rig.read("out").await.texts(2).await, ["a", "b"]);
    rig.backlog_is(0).await;
    eventually("both failures are counted", SOON, || async {
        let dropped = probe.status()[0].dropped;
        if dropped == 2 { Ok(()) } else { Err(dropped) }
    })
    .await;
}

#[tokio::test]
async fn by_hand_only_what_the_function_acks_is_acked() {
    let rig = Rig::new();
    let _probe = rig.deploy("processingGuarantee: manual").await;
    rig.send(&["kept", "ack", "kept too"]).await;
    assert_eq!(rig.read("out").await.texts(3).await, ["kept", "settled", "kept too"]);
    rig.backlog_is(2).await;
}

#[tokio::test]
async fn by_hand_a_handle_of_an_earlier_call_may_be_used_and_what_is_left_comes_again_later() {
    let rig = Rig::new();
    let probe = rig.deploy("processingGuarantee: manual").await;
    // Asking for a handle is part of `ack`, so the first message gets handle 1 and uses it.
    rig.send(&["ack", "open", "ack-handle 1"]).await;
    let mut out = rig.read("out").await;
    assert_eq!(out.texts(2).await, ["settled", "open"]);
    let third = out.texts(1).await;
    assert!(third[0].to_lowercase().contains("unknown"), "{third:?}");
    rig.backlog_is(2).await;
    probe.pause(SOON).await;
    probe.resume().await.unwrap();
    assert_eq!(out.texts(1).await, ["open"]);
}

#[tokio::test]
async fn outputs_of_a_call_that_fails_are_not_published() {
    let rig = Rig::new();
    let _probe = rig.deploy("publish: [side]\nmaxMessageRetry: 0").await;
    rig.send(&["publish side one", "a"]).await;
    assert_eq!(rig.read("out").await.texts(2).await.last().unwrap(), "a");
    assert_eq!(rig.read("side").await.texts(1).await, ["one"]);
    rig.backlog_is(0).await;
}

#[tokio::test]
async fn publish_now_is_on_the_broker_before_the_call_ends() {
    let rig = Rig::new();
    let _probe = rig.deploy("publish: [side]").await;
    rig.send(&["publish-now side one"]).await;
    assert_eq!(rig.read("side").await.texts(1).await, ["one"]);
    let id = rig.read("out").await.texts(1).await;
    assert!(id[0].contains(':'), "{id:?}");
}

#[tokio::test]
async fn a_topic_that_is_not_declared_is_denied() {
    let rig = Rig::new();
    let _probe = rig.deploy("publish: [side]").await;
    rig.send(&["publish other one"]).await;
    let answer = rig.read("out").await.texts(1).await;
    assert!(answer[0].to_lowercase().contains("denied") && answer[0].contains("spec.publish"), "{answer:?}");
}
