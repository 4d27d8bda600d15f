//! New code while messages flow, and back.

use std::collections::BTreeMap;

use pulselet_runner::{ConditionKind, DeployError, Updated};
use pulselet_test_support::eventually;

use crate::rig::{Rig, SOON, declared, topic};

#[tokio::test]
async fn an_update_swaps_code_between_two_messages_and_keeps_the_consumer() {
    let rig = Rig::new();
    let probe = rig.deploy_component("echo", "").await;
    let mut out = rig.read("out").await;
    rig.send(&["count"]).await;
    assert_eq!(out.texts(1).await, ["count"]);
    let updated = probe.update(declared("probe-plain", ""), rig.dir.path()).await.unwrap();
    assert_eq!(updated, Updated::Swapped);
    rig.send(&["count"]).await;
    assert_eq!(out.texts(1).await, ["1"]);
    let again = probe.update(declared("probe-plain", ""), rig.dir.path()).await.unwrap();
    assert_eq!(again, Updated::Unchanged);
    assert_eq!(probe.rollback().await.unwrap(), Updated::Swapped);
    rig.send(&["count"]).await;
    assert_eq!(out.texts(1).await, ["count"]);
    assert!(matches!(probe.rollback().await, Err(DeployError::NothingBefore(_))));
    let conditions = probe.conditions();
    assert_eq!((conditions[0].kind, conditions[0].reason), (ConditionKind::Degraded, "RolledBack"));
}

#[tokio::test]
async fn limits_swap_too_and_what_concerns_topics_restarts() {
    let rig = Rig::new();
    let probe = rig.deploy("maxMessageRetry: 0").await;
    let smaller = declared("probe-plain", "maxMessageRetry: 0\nlimits: {outputBytes: '2'}");
    assert_eq!(probe.update(smaller, rig.dir.path()).await.unwrap(), Updated::Swapped);
    rig.send(&["long", "a"]).await;
    assert_eq!(rig.read("out").await.texts(1).await, ["a"]);
    let mut elsewhere = declared("probe-plain", "maxMessageRetry: 0");
    elsewhere.output.as_mut().unwrap().topic = topic("elsewhere");
    assert_eq!(probe.update(elsewhere, rig.dir.path()).await.unwrap(), Updated::Restarted);
    assert!(probe.ready().await);
    rig.send(&["b"]).await;
    assert_eq!(rig.read("elsewhere").await.texts(1).await, ["b"]);
}

#[tokio::test]
async fn an_update_that_cannot_run_changes_nothing() {
    let rig = Rig::new();
    let probe = rig.deploy_component("echo", "").await;
    let refused = probe.update(declared("probe-publish", ""), rig.dir.path()).await;
    assert!(matches!(refused, Err(DeployError::Assign(_))));
    let mut other = declared("probe-plain", "");
    other.name.name = "other".into();
    assert!(matches!(probe.update(other, rig.dir.path()).await, Err(DeployError::OtherFunction { .. })));
    rig.send(&["count"]).await;
    assert_eq!(rig.read("out").await.texts(1).await, ["count"]);
    assert!(probe.conditions().is_empty());
}

#[tokio::test]
async fn a_call_that_is_under_way_ends_on_the_code_it_began_on() {
    let rig = Rig::new();
    let probe = rig.deploy("").await;
    rig.send(&["sleep 200"]).await;
    eventually("it is called", SOON, || async {
        let status = probe.status();
        if status[0].instances == 1 { Ok(()) } else { Err(status) }
    })
    .await;
    probe.update(declared("echo", ""), rig.dir.path()).await.unwrap();
    rig.send(&["count"]).await;
    let answers = rig.read("out").await.texts(2).await;
    assert_eq!(answers[1], "count", "the new one does not count");
    let status = &probe.status()[0];
    assert_eq!((status.processed, status.failed), (2, 0), "nothing was broken off");
}

#[tokio::test]
async fn a_component_that_fails_its_trial_is_taken_back_and_its_messages_are_answered() {
    let rig = Rig::new();
    let probe = rig.deploy_component("echo", "").await;
    probe.update(declared("probe-plain", "rollback: {onErrors: 3}"), rig.dir.path()).await.unwrap();
    assert_eq!(probe.conditions()[0].reason, "OnTrial");
    rig.send(&["trap"]).await;
    assert_eq!(rig.read("out").await.texts(1).await, ["trap"], "the old code takes no offence");
    rig.backlog_is(0).await;
    let conditions = probe.conditions();
    assert_eq!((conditions.len(), conditions[0].reason), (1, "RolledBack"));
    assert!(conditions[0].message.contains("taken back after 3 failed calls on trial"), "{}", conditions[0].message);
}

#[tokio::test]
async fn a_component_that_passes_its_trial_stays() {
    let rig = Rig::new();
    let probe = rig.deploy_component("echo", "").await;
    let spec = "rollback: {onErrors: 2}\nmaxMessageRetry: 0";
    probe.update(declared("probe-plain", spec), rig.dir.path()).await.unwrap();
    rig.send(&["trap"]).await;
    let payloads: Vec<String> = (0..1_000).map(|number| format!("m{number}")).collect();
    rig.send_batch(&payloads.iter().map(String::as_str).collect::<Vec<_>>()).await;
    eventually("the trial is over", SOON, || async {
        let conditions = probe.conditions();
        if conditions.is_empty() { Ok(()) } else { Err(conditions) }
    })
    .await;
    rig.send(&["trap", "trap", "trap", "count"]).await;
    rig.backlog_is(0).await;
    assert!(probe.conditions().is_empty());
}

/// Sends `messages` while the code is swapped a hundred times; gives what came out.
async fn under_load(spec: &str, messages: usize) -> Vec<String> {
    let rig = Rig::new();
    let probe = rig.deploy_component("echo", spec).await;
    let send = async {
        for start in (0..messages).step_by(100) {
            let payloads: Vec<String> = (start..start + 100).map(|number| format!("m{number}")).collect();
            rig.send_batch(&payloads.iter().map(String::as_str).collect::<Vec<_>>()).await;
            tokio::task::yield_now().await;
        }
    };
    let swap = async {
        for turn in 0..100 {
            let component = if turn % 2 == 0 { "probe-plain" } else { "echo" };
            let updated = probe.update(declared(component, spec), rig.dir.path()).await.unwrap();
            assert_eq!(updated, Updated::Swapped);
        }
    };
    futures::join!(send, swap);
    rig.backlog_is(0).await;
    let failed: u64 = probe.status().iter().map(|status| status.failed).sum();
    assert_eq!(failed, 0, "no call was broken off");
    rig.read("out").await.texts(messages).await
}

#[tokio::test]
async fn a_hundred_swaps_under_load_lose_and_repeat_nothing() {
    let answers = under_load("concurrency: 4", 20_000).await;
    let mut counts = BTreeMap::new();
    answers.iter().for_each(|answer| *counts.entry(answer).or_insert(0) += 1);
    assert!(counts.len() == 20_000 && counts.values().all(|count| *count == 1));
}

#[tokio::test]
async fn a_hundred_swaps_under_load_keep_the_order() {
    let answers = under_load("retainOrdering: true", 20_000).await;
    let wanted: Vec<String> = (0..20_000).map(|number| format!("m{number}")).collect();
    assert!(answers == wanted);
}
