//! How long instances stay, and who gets their places.

use pulselet_runner::Deployment;
use pulselet_test_support::eventually;

use crate::rig::{Rig, SOON, declared, topic};

async fn instances_are(probe: &Deployment, count: u32) {
    eventually(&format!("{count} instances"), SOON, || async {
        let live: u32 = probe.status().iter().map(|status| status.instances).sum();
        if live == count { Ok(()) } else { Err(live) }
    })
    .await;
}

fn cold_starts(probe: &Deployment) -> u64 {
    probe.status().iter().map(|status| status.cold_starts).sum()
}

#[tokio::test]
async fn an_idle_instance_leaves_and_the_next_message_gets_another() {
    let rig = Rig::new();
    let probe = rig.deploy("wasm.idleTimeout: 20").await;
    instances_are(&probe, 0).await;
    rig.send(&["count"]).await;
    let mut out = rig.read("out").await;
    assert_eq!(out.texts(1).await, ["1"]);
    instances_are(&probe, 0).await;
    rig.send(&["count"]).await;
    assert_eq!(out.texts(1).await, ["1"], "it begins anew");
    assert_eq!(cold_starts(&probe), 2);
}

#[tokio::test]
async fn a_resting_instance_is_used_again() {
    let rig = Rig::new();
    let probe = rig.deploy("").await;
    let mut out = rig.read("out").await;
    for count in 1..=5 {
        rig.send(&["count"]).await;
        assert_eq!(out.texts(1).await, [count.to_string()]);
        // At rest, so that it was parked.
        rig.backlog_is(0).await;
    }
    assert_eq!((cold_starts(&probe), probe.component().residence().loads), (1, probe.component().residence().loads));
}

#[tokio::test]
async fn warm_instances_are_there_before_a_message_and_stay_and_come_again_after_a_loss() {
    let rig = Rig::new();
    let probe = rig.deploy("concurrency: 3\nmaxMessageRetry: 0\nwasm.warmInstances: 2\nwasm.idleTimeout: 1").await;
    instances_are(&probe, 2).await;
    rig.send(&["count"]).await;
    assert_eq!(rig.read("out").await.texts(1).await, ["1"]);
    rig.send(&["trap", "trap", "trap"]).await;
    rig.backlog_is(0).await;
    instances_are(&probe, 2).await;
    probe.pause(SOON).await;
    assert!(probe.status().is_empty());
    assert_eq!(rig.engine.stats().places, 0, "nothing is left behind");
}

#[tokio::test]
async fn a_warm_instance_is_one_of_the_best_code() {
    let store = tempfile::tempdir().unwrap();
    let rig = Rig::with_engine(|options| options.store_dir = store.path().join("store"));
    let probe = rig.deploy("wasm.warmInstances: 1").await;
    eventually("optimised code is there", SOON, || async {
        let residence = probe.component().residence();
        if residence.tier == Some(pulselet_engine::Tier::Cranelift) { Ok(()) } else { Err(residence) }
    })
    .await;
    // One of baseline code leaves for it.
    eventually("one instance", SOON, || async {
        let (live, winch) = (probe.status()[0].instances, rig.engine.stats().baseline_places);
        if (live, winch) == (1, 0) { Ok(()) } else { Err((live, winch)) }
    })
    .await;
    rig.send(&["count"]).await;
    assert_eq!(rig.read("out").await.texts(1).await, ["1"]);
    assert_eq!(cold_starts(&probe), 0, "it was there before the message");
}

#[tokio::test]
async fn with_reuse_fresh_nothing_is_carried_over_a_trap_either() {
    let rig = Rig::new();
    let probe = rig.deploy("maxMessageRetry: 0\nwasm.reuse: Fresh").await;
    rig.send(&["count", "trap", "count", "count"]).await;
    assert_eq!(rig.read("out").await.texts(3).await, ["1", "1", "1"]);
    rig.backlog_is(0).await;
    instances_are(&probe, 0).await;
}

#[tokio::test]
async fn idle_instances_make_place_for_those_that_have_work() {
    let rig = Rig::with_engine(|options| options.max_instances = 2);
    let mut functions = Vec::new();
    for number in 0..6 {
        let mut function = declared("probe-plain", "wasm.idleTimeout: 3600000");
        function.name.name = format!("f{number}");
        function.subscription.name = format!("f{number}");
        function.inputs = pulselet_api::Inputs::Topics(vec![topic(&format!("in{number}"))]);
        let deployment = rig.runner.deploy(function, rig.dir.path()).await.unwrap();
        assert!(deployment.ready().await);
        functions.push(deployment);
    }
    let mut out = rig.read("out").await;
    for round in 0..3 {
        for number in 0..6 {
            rig.send_to(&format!("in{number}"), &format!("{round}-{number}")).await;
            assert_eq!(out.texts(1).await, [format!("{round}-{number}")]);
        }
    }
    let stats = rig.engine.stats();
    assert!(stats.waits > 0 && stats.wait_timeouts == 0, "{stats:?}");
    assert!(rig.metrics().contains("pulselet_engine_admission_waits_total"), "exported");
}

#[tokio::test]
async fn who_waits_gets_the_place_of_a_call_that_ends() {
    let rig = Rig::with_engine(|options| options.max_instances = 1);
    let mut other = declared("probe-plain", "wasm.idleTimeout: 3600000");
    (other.name.name, other.subscription.name) = ("other".into(), "other".into());
    other.inputs = pulselet_api::Inputs::Topics(vec![topic("in-other")]);
    let other = rig.runner.deploy(other, rig.dir.path()).await.unwrap();
    let _probe = rig.deploy("").await;
    assert!(other.ready().await);
    rig.send_to("in-other", "sleep 300").await;
    instances_are(&other, 1).await;
    rig.send(&["a"]).await;
    assert_eq!(rig.read("out").await.texts(2).await.len(), 2);
    let stats = rig.engine.stats();
    assert!(stats.waits > 0 && stats.wait_timeouts == 0, "{stats:?}");
}

#[tokio::test]
async fn a_trickle_keeps_to_one_instance_whatever_the_concurrency() {
    let rig = Rig::new();
    let probe = rig.deploy("concurrency: 8").await;
    let mut out = rig.read("out").await;
    for count in 1..=20 {
        rig.send(&["count"]).await;
        assert_eq!(out.texts(1).await, [count.to_string()]);
        rig.backlog_is(0).await;
    }
    assert_eq!(cold_starts(&probe), 1);
}

#[tokio::test]
async fn who_finds_no_place_in_time_is_tried_again_and_nothing_is_lost() {
    let rig = Rig::with_engine(|options| {
        options.max_instances = 1;
        options.admission_timeout = std::time::Duration::from_millis(20);
    });
    let mut other = declared("probe-plain", "");
    (other.name.name, other.subscription.name) = ("other".into(), "other".into());
    other.inputs = pulselet_api::Inputs::Topics(vec![topic("in-other")]);
    let other = rig.runner.deploy(other, rig.dir.path()).await.unwrap();
    let probe = rig.deploy("").await;
    assert!(other.ready().await);
    let mut out = rig.read("out").await;
    // Holds the only place for longer than the other one may wait for it.
    rig.send_to("in-other", "sleep 300").await;
    eventually("it is called", SOON, || async {
        let live: u32 = other.status().iter().map(|status| status.instances).sum();
        if live == 1 { Ok(()) } else { Err(live) }
    })
    .await;
    rig.send(&["a"]).await;
    let mut answers = out.texts(2).await;
    answers.sort();
    assert_eq!(answers.len(), 2);
    assert!(answers.contains(&"a".to_owned()), "{answers:?}");
    assert!(rig.engine.stats().wait_timeouts > 0);
    drop(probe);
}

#[tokio::test]
async fn a_thousand_messages_at_once_make_one_load_and_no_more_instances_than_calls() {
    let rig = Rig::with_engine(|options| {
        options.loaded_bytes = 0;
        options.baseline = false;
    });
    let probe = rig.deploy("concurrency: 4").await;
    let before = probe.component().residence();
    assert!(!before.loaded, "cold");
    let payloads: Vec<String> = (0..1_000).map(|number| format!("m{number}")).collect();
    rig.send_batch(&payloads.iter().map(String::as_str).collect::<Vec<_>>()).await;
    rig.backlog_is(0).await;
    assert_eq!(probe.component().residence().loads, before.loads + 1);
    assert!(cold_starts(&probe) <= 4, "{}", cold_starts(&probe));
    assert_eq!(rig.read("out").await.texts(1_000).await.len(), 1_000);
}
