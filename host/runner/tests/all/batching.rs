//! Functions that take many messages in one call.

use crate::rig::Rig;

const SPEC: &str = "publish: [side]\nmaxMessageRetry: 0\ndeadLetterTopic: bad\ntimeout: 3000";

#[tokio::test]
async fn each_message_of_a_batch_call_is_answered_and_settled_by_itself() {
    let rig = Rig::new();
    let _probe = rig.deploy_component("probe-batch", SPEC).await;
    rig.send_batch(&["a", "reject no", "b"]).await;
    assert_eq!(rig.read("out").await.texts(2).await, ["a", "b"]);
    assert_eq!(rig.read("bad").await.texts(1).await, ["reject no"]);
    rig.backlog_is(0).await;
}

#[tokio::test]
async fn one_poisonous_message_of_a_batch_call_fails_alone() {
    let rig = Rig::new();
    let _probe = rig.deploy_component("probe-batch", SPEC).await;
    rig.send_batch(&["a", "trap", "b"]).await;
    assert_eq!(rig.read("out").await.texts(2).await, ["a", "b"]);
    assert_eq!(rig.read("bad").await.texts(1).await, ["trap"]);
    rig.backlog_is(0).await;
}

#[tokio::test]
async fn a_call_that_loops_or_answers_too_few_settles_nothing_and_is_replayed_one_by_one() {
    for poison in ["loop", "short"] {
        let rig = Rig::new();
        let _probe = rig.deploy_component("probe-batch", SPEC).await;
        rig.send_batch(&["a", poison, "b"]).await;
        assert_eq!(rig.read("out").await.texts(2).await, ["a", "b"], "{poison}");
        assert_eq!(rig.read("bad").await.texts(1).await, [poison]);
        rig.backlog_is(0).await;
    }
}

#[tokio::test]
async fn what_one_message_of_a_batch_call_publishes_is_discarded_with_it_alone() {
    let rig = Rig::new();
    let _probe = rig.deploy_component("probe-batch", SPEC).await;
    rig.send_batch(&["publish side one", "reject x", "publish side two"]).await;
    assert_eq!(rig.read("side").await.texts(2).await, ["one", "two"]);
    rig.backlog_is(0).await;
}
