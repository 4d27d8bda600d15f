//! Starting, pausing, ending.

use pulselet_test_support::eventually;

use crate::rig::{Rig, SOON};

#[tokio::test]
async fn what_arrives_while_a_function_is_paused_is_answered_when_it_resumes() {
    let rig = Rig::new();
    let probe = rig.deploy("").await;
    probe.pause(SOON).await;
    assert!(probe.status().is_empty());
    rig.send(&["a"]).await;
    rig.backlog_is(1).await;
    probe.resume().await.unwrap();
    assert_eq!(rig.read("out").await.texts(1).await, ["a"]);
    rig.backlog_is(0).await;
}

#[tokio::test]
async fn draining_settles_what_was_called_and_gives_the_rest_back() {
    let rig = Rig::new();
    let probe = rig.deploy("").await;
    let payloads: Vec<String> = (0..500).map(|n| format!("m{n}")).collect();
    let payloads: Vec<&str> = payloads.iter().map(String::as_str).collect();
    rig.send_batch(&payloads).await;
    probe.pause(SOON).await;
    let answered = probe_answers(&rig).await;
    let left = rig.subscription().await.backlog;
    assert_eq!(answered + left, 500, "nothing is lost and nothing answered without being acked");
    probe.resume().await.unwrap();
    rig.backlog_is(0).await;
    let mut all = rig.read("out").await.texts(500).await;
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 500);
}

async fn probe_answers(rig: &Rig) -> u64 {
    use pulselet_broker::InitialPosition::Earliest;
    let out = crate::rig::topic("out");
    rig.broker.create_subscription(&out, "counter", Earliest).await.unwrap();
    let stats = rig.broker.subscriptions(&out).await.unwrap();
    stats.iter().find(|stats| stats.name == "counter").unwrap().backlog
}

#[tokio::test]
async fn a_function_declared_paused_does_not_start() {
    let rig = Rig::new();
    let probe = rig.try_deploy("probe-plain", "paused: true").await.unwrap();
    assert!(!probe.is_ready() && probe.status().is_empty());
}

#[tokio::test]
async fn replicas_share_the_work() {
    let rig = Rig::new();
    let probe = rig.deploy("replicas: 2").await;
    let payloads: Vec<String> = (0..200).map(|n| format!("m{n}")).collect();
    rig.send(&payloads.iter().map(String::as_str).collect::<Vec<_>>()).await;
    rig.backlog_is(0).await;
    eventually("both have worked", SOON, || async {
        let processed: Vec<u64> = probe.status().iter().map(|status| status.processed).collect();
        if processed.iter().all(|n| *n > 0) && processed.iter().sum::<u64>() == 200 { Ok(()) } else { Err(processed) }
    })
    .await;
}

#[tokio::test]
async fn an_instance_is_used_again() {
    let rig = Rig::new();
    let _probe = rig.deploy("").await;
    rig.send(&["count", "count"]).await;
    let mut out = rig.read("out").await;
    assert_eq!(out.texts(2).await, ["1", "2"], "reused unless declared otherwise");
}

#[tokio::test]
async fn with_reuse_fresh_nothing_is_carried_over() {
    let rig = Rig::new();
    let _probe = rig.deploy("wasm.reuse: Fresh").await;
    rig.send(&["count", "count"]).await;
    assert_eq!(rig.read("out").await.texts(2).await, ["1", "1"]);
}
