//! Messages that fail.

use pulselet_test_support::eventually;

use crate::rig::{Rig, SOON};

#[tokio::test]
async fn a_message_is_tried_again_until_its_attempts_are_used_up_then_goes_to_the_dead_letter_topic() {
    let rig = Rig::new();
    let probe = rig.deploy("maxMessageRetry: 2\ndeadLetterTopic: bad").await;
    rig.send(&["retry broken 5", "a"]).await;
    let letter = rig.read("bad").await.messages(1).await.remove(0).1;
    assert_eq!(&letter.payload[..], b"retry broken 5");
    assert_eq!(letter.metadata.property("REAL_TOPIC"), Some("persistent://public/default/in"));
    assert_eq!(letter.metadata.property("RECONSUMETIMES"), Some("3"));
    assert_eq!(letter.metadata.property("PULSELET_REASON"), Some("broken"));
    assert!(letter.metadata.property("ORIGIN_MESSAGE_ID").is_some());
    assert_eq!(rig.read("out").await.texts(1).await, ["a"], "a neighbour is not held up");
    rig.backlog_is(0).await;
    eventually("it is counted", SOON, || async { probe.status()[0].dead_letters == 1 }).await;
}

#[tokio::test]
async fn without_a_name_the_dead_letter_topic_is_called_after_topic_and_subscription() {
    let rig = Rig::new();
    let _probe = rig.deploy("maxMessageRetry: 0").await;
    rig.send(&["trap"]).await;
    let letters = rig.read("in-public-default-probe-DLQ").await.texts(1).await;
    assert_eq!(letters, ["trap"]);
    rig.backlog_is(0).await;
}

#[tokio::test]
async fn a_rejected_message_is_not_tried_again() {
    let rig = Rig::new();
    let probe = rig.deploy("maxMessageRetry: 5\ndeadLetterTopic: bad").await;
    rig.send(&["reject not ours"]).await;
    let letter = rig.read("bad").await.messages(1).await.remove(0).1;
    assert_eq!(letter.metadata.property("PULSELET_REASON"), Some("not ours"));
    rig.backlog_is(0).await;
    assert_eq!(probe.status()[0].failed, 1);
}

#[tokio::test]
async fn a_rejected_message_without_dead_letter_topic_is_acked_and_counted() {
    let rig = Rig::new();
    let probe = rig.deploy("").await;
    rig.send(&["reject not ours", "a"]).await;
    assert_eq!(rig.read("out").await.texts(1).await, ["a"]);
    rig.backlog_is(0).await;
    assert_eq!(probe.status()[0].dropped, 1);
}

#[tokio::test]
async fn a_member_of_a_batch_fails_alone() {
    let rig = Rig::new();
    let _probe = rig.deploy("maxMessageRetry: 1\ndeadLetterTopic: bad").await;
    rig.send_batch(&["a", "trap", "b", "loop-not", "retry x 1", "c"]).await;
    assert_eq!(rig.read("out").await.texts(4).await, ["a", "b", "loop-not", "c"]);
    let mut letters = rig.read("bad").await.texts(2).await;
    letters.sort();
    assert_eq!(letters, ["retry x 1", "trap"]);
    rig.backlog_is(0).await;
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_ended_and_the_next_message_gets_a_fresh_instance() {
    let rig = Rig::new();
    let _probe = rig.deploy("timeout: 1000\nmaxMessageRetry: 0\ndeadLetterTopic: bad").await;
    rig.send(&["count", "loop", "sleep 60000", "count"]).await;
    assert_eq!(rig.read("out").await.texts(2).await, ["1", "1"]);
    let letters = rig.read("bad").await.messages(2).await;
    for (_, letter) in letters {
        assert!(letter.metadata.property("PULSELET_REASON").unwrap().contains("timed out"));
    }
    rig.backlog_is(0).await;
}

#[tokio::test]
async fn a_guest_that_takes_too_much_memory_or_answers_too_much_fails_and_neighbours_go_on() {
    let rig = Rig::new();
    let _probe = rig.deploy("maxMessageRetry: 0\ndeadLetterTopic: bad\nlimits: {memory: 16Mi}").await;
    rig.send(&["alloc 1000000000", "return 10000000", "a"]).await;
    assert_eq!(rig.read("out").await.texts(1).await, ["a"]);
    let letters = rig.read("bad").await.messages(2).await;
    let reasons: Vec<_> =
        letters.iter().map(|(_, letter)| letter.metadata.property("PULSELET_REASON").unwrap()).collect();
    assert!(reasons.iter().any(|reason| reason.contains("larger than")), "{reasons:?}");
    rig.backlog_is(0).await;
}

#[tokio::test]
async fn a_fatal_error_stops_the_replica_leaves_the_message_and_says_so() {
    let rig = Rig::new();
    let probe = rig.deploy("").await;
    rig.send(&["fatal no disk", "a"]).await;
    let reason = tokio::time::timeout(SOON, probe.stopped()).await.unwrap();
    assert!(reason.contains("no disk"), "{reason}");
    rig.backlog_is(2).await;
}

#[tokio::test]
async fn a_call_during_which_the_process_died_counts_as_an_attempt() {
    // What a killed process leaves is a note of the call it was in; here the note is copied while the call is under way.
    // Killing real processes is tested with the binary.
    const SPEC: &str = "maxMessageRetry: 0\ndeadLetterTopic: bad\ntimeout: 60000";
    let rig = Rig::new();
    let probe = rig.deploy(SPEC).await;
    rig.send(&["sleep 50000"]).await;
    let state = "runner/public/default/probe/0";
    let note = eventually("it is being called", SOON, || async {
        let note = std::fs::read(rig.dir.path().join(state).join("flight")).unwrap();
        if note.first() == Some(&1) { Ok(note) } else { Err(note) }
    })
    .await;
    drop(probe);
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join(state)).unwrap();
    std::fs::write(dir.path().join(state).join("flight"), note).unwrap();
    let next = Rig::on(rig.broker.clone(), dir);
    let _probe = next.deploy(SPEC).await;
    let letter = next.read("bad").await.messages(1).await.remove(0).1;
    assert!(letter.metadata.property("PULSELET_REASON").unwrap().contains("died"));
    next.backlog_is(0).await;
}

#[tokio::test]
async fn with_a_retry_topic_a_failed_message_waits_there_and_carries_its_attempts_and_origin() {
    let rig = Rig::new();
    let _probe = rig.deploy("retryTopic: again\nmaxMessageRetry: 2\ndeadLetterTopic: bad").await;
    rig.send_batch(&["retry broken 5", "a"]).await;
    let mut again = rig.read("again").await;
    let letter = rig.read("bad").await.messages(1).await.remove(0).1;
    assert_eq!(&letter.payload[..], b"retry broken 5");
    assert_eq!(letter.metadata.property("RECONSUMETIMES"), Some("3"));
    assert_eq!(letter.metadata.property("REAL_TOPIC"), Some("persistent://public/default/in"));
    let names: Vec<_> = letter.metadata.properties().map(|(name, _)| name.to_owned()).collect();
    let mut distinct = names.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), names.len(), "one of each: {names:?}");
    let waits = again.messages(2).await;
    let counts: Vec<_> =
        waits.iter().map(|(_, message)| message.metadata.property("RECONSUMETIMES").unwrap()).collect();
    assert_eq!(counts, ["1", "2"]);
    assert_eq!(rig.read("out").await.texts(1).await, ["a"]);
    rig.backlog_is(0).await;
}

#[tokio::test]
async fn a_topic_that_the_host_writes_to_is_not_thereby_open_to_the_guest() {
    let rig = Rig::new();
    let _probe = rig.deploy("publish: [side]\nmaxMessageRetry: 0\ndeadLetterTopic: bad").await;
    rig.send(&["reject x"]).await;
    assert_eq!(rig.read("bad").await.texts(1).await, ["reject x"]);
    rig.send(&["publish persistent://public/default/bad forged"]).await;
    let answer = rig.read("out").await.texts(1).await;
    assert!(answer[0].to_lowercase().contains("denied"), "{answer:?}");
}
