//! Functions that take many messages in one call.

use crate::rig::Rig;

#[tokio::test]
async fn each_message_of_a_batch_call_is_answered_and_settled_by_itself() {
    let rig = Rig::new();
    let _probe = rig.deploy_component("probe-batch", "maxMessageRetry: 0\ndeadLetterTopic: bad").await;
    rig.send_batch(&["a", "reject no", "b"]).await;
    assert_eq!(rig.read("out").await.texts(2).await, ["a", "b"]);
    assert_eq!(rig.read("bad").await.texts(1).await, ["reject no"]);
    rig.backlog_is(0).await;
}

#[tokio::test]
async fn one_poisonous_message_of_a_batch_call_fails_alone() {
    let rig = Rig::new();
    let _probe = rig.deploy_component("probe-batch", "maxMessageRetry: 0\ndeadLetterTopic: bad").await;
    rig.send_batch(&["a", "trap", "b"]).await;
    assert_eq!(rig.read("out").await.texts(2).await, ["a", "b"]);
    assert_eq!(rig.read("bad").await.texts(1).await, ["trap"]);
    rig.backlog_is(0).await;
}
