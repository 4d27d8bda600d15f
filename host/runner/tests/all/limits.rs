//! What a function may use: at each limit it works, over it the call fails in the way that belongs to the limit, its
//! message is tried again or becomes a dead letter, and the messages after it are handled.

use pulselet_broker::ProducerOptions;
use pulselet_broker::batch::{Batch, Outgoing};
use pulselet_engine::AssignError;
use pulselet_runner::DeployError;
use pulselet_test_support::eventually;

use crate::rig::{Rig, SOON, topic};

/// Whatever fails is a dead letter at once.
const LETTERS: &str = "maxMessageRetry: 0\ndeadLetterTopic: bad";

impl Rig {
    async fn reasons(&self, count: usize) -> Vec<(String, String)> {
        let letters = self.read("bad").await.messages(count).await;
        let reason =
            |message: &pulselet_broker::Message| message.metadata.property("PULSELET_REASON").unwrap().to_owned();
        letters.iter().map(|(_, m)| (String::from_utf8_lossy(&m.payload).into_owned(), reason(m))).collect()
    }

    /// A counter of the function, with these labels among its own.
    fn counted(&self, name: &str, label: &str) -> f64 {
        let metrics = self.metrics();
        let mut lines = metrics.lines().filter(|line| line.starts_with(&format!("{name}{{")) && line.contains(label));
        lines.next().and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0.0)
    }

    async fn faults_are(&self, wanted: [(&str, f64); 4]) {
        eventually("the faults are counted by kind", SOON, || async {
            let kinds = wanted
                .map(|(kind, _)| (kind, self.counted("pulselet_function_faults_total", &format!("kind=\"{kind}\""))));
            if kinds == wanted { Ok(()) } else { Err(kinds) }
        })
        .await;
    }
}

#[tokio::test]
async fn a_call_may_take_its_timeout_and_no_more_computing_or_waiting() {
    let rig = Rig::new();
    let _probe = rig.deploy(&format!("{LETTERS}\ntimeout: 1000")).await;
    rig.send(&["sleep 10", "loop", "spin 1000", "sleep 60000", "a"]).await;
    assert_eq!(rig.read("out").await.texts(3).await, ["slept", "1000", "a"]);
    let reason = "timed out after 1s".to_owned();
    assert_eq!(rig.reasons(2).await, [("loop".to_owned(), reason.clone()), ("sleep 60000".to_owned(), reason)]);
    rig.faults_are([("guest_error", 0.0), ("trap", 0.0), ("timeout", 2.0), ("host_error", 0.0)]).await;
}

#[tokio::test]
async fn a_call_that_took_too_long_is_tried_again_as_often_as_was_declared() {
    let rig = Rig::new();
    let _probe = rig.deploy("maxMessageRetry: 2\ndeadLetterTopic: bad\ntimeout: 20").await;
    rig.send(&["loop", "a"]).await;
    assert_eq!(rig.read("out").await.texts(1).await, ["a"]);
    assert_eq!(rig.reasons(1).await[0].1, "timed out after 20ms");
    rig.faults_are([("guest_error", 0.0), ("trap", 0.0), ("timeout", 3.0), ("host_error", 0.0)]).await;
}

#[tokio::test]
async fn memory_up_to_its_limit_is_had_and_more_is_a_trap_that_names_it() {
    let rig = Rig::new();
    let _probe = rig.deploy(&format!("{LETTERS}\nlimits: {{memory: 16Mi}}")).await;
    rig.send(&["alloc 14000000", "alloc 16777216", "a"]).await;
    assert_eq!(rig.read("out").await.texts(2).await, ["ok", "a"]);
    let (payload, reason) = rig.reasons(1).await.remove(0);
    assert_eq!(payload, "alloc 16777216");
    assert!(reason.contains("of 16777216 allowed; raise spec.limits.memory"), "{reason}");
    rig.faults_are([("guest_error", 0.0), ("trap", 1.0), ("timeout", 0.0), ("host_error", 0.0)]).await;
}

#[tokio::test]
async fn a_component_whose_tables_do_not_fit_is_refused_before_it_has_a_message() {
    let rig = Rig::new();
    let tables = |elements: u64| format!("limits: {{tableElements: {elements}}}");
    let refused = |result| match result {
        Err(DeployError::Assign(AssignError::Limit { needed, field, .. })) => {
            assert_eq!(field, "spec.limits.tableElements");
            needed
        }
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was deployed"),
    };
    let needed = refused(rig.try_deploy("probe-plain", &tables(1)).await);
    assert_eq!(refused(rig.try_deploy("probe-plain", &tables(needed - 1)).await), needed);
    let _probe = rig.deploy(&tables(needed)).await;
    rig.send(&["a"]).await;
    assert_eq!(rig.read("out").await.texts(1).await, ["a"]);
}

#[tokio::test]
async fn outputs_up_to_their_number_and_bytes_go_out_and_one_more_is_refused_to_the_guest() {
    let rig = Rig::new();
    let spec = format!("{LETTERS}\npublish: [side]\nlimits: {{outputMessages: 3, outputBytes: 1000}}");
    let _probe = rig.deploy(&spec).await;
    rig.send(&[
        "publish-many side 3 10",
        "publish-many side 4 10",
        "publish-many side 1 991",
        "publish-many side 1 1001",
    ])
    .await;
    let answers = rig.read("out").await.texts(4).await;
    assert_eq!((answers[0].as_str(), answers[2].as_str()), ("published", "published"));
    assert!(answers[1].contains("spec.limits.outputMessages"), "{answers:?}");
    assert!(answers[3].contains("spec.limits.outputBytes"), "{answers:?}");
    let sizes: Vec<_> = rig.read("side").await.texts(7).await.iter().map(String::len).collect();
    // With the nine bytes of its answer the last one is just within the limit.
    assert_eq!(sizes, [10, 10, 10, 10, 10, 10, 991]);
    rig.faults_are([("guest_error", 0.0), ("trap", 0.0), ("timeout", 0.0), ("host_error", 0.0)]).await;
}

#[tokio::test]
async fn an_answer_counts_towards_the_bytes_of_its_call() {
    let rig = Rig::new();
    let spec = format!("{LETTERS}\npublish: [side]\nlimits: {{outputBytes: 1000}}");
    let _probe = rig.deploy(&spec).await;
    rig.send(&["return 1000", "return 1001", "a"]).await;
    let answers = rig.read("out").await.texts(2).await;
    assert_eq!((answers[0].len(), answers[1].as_str()), (1_000, "a"));
    let (payload, reason) = rig.reasons(1).await.remove(0);
    assert_eq!(payload, "return 1001");
    assert!(reason.contains("spec.limits.outputBytes"), "{reason}");
}

#[tokio::test]
async fn log_lines_up_to_their_rate_are_logged_and_the_others_are_counted_as_dropped() {
    let rig = Rig::new();
    let _probe = rig.deploy("logTopic: logs\nlimits: {logLinesPerSecond: 7}").await;
    rig.send(&["log 7"]).await;
    assert_eq!(rig.read("out").await.texts(1).await, ["written"]);
    assert_eq!(rig.read("logs").await.texts(7).await.last().unwrap(), "line 6");
    assert_eq!(rig.counted("pulselet_function_log_lines_dropped_total", ""), 0.0);
    rig.send(&["log 100000"]).await;
    eventually("lines are dropped and counted", SOON, || async {
        let dropped = rig.counted("pulselet_function_log_lines_dropped_total", "");
        if dropped > 90_000.0 { Ok(()) } else { Err(dropped) }
    })
    .await;
    rig.backlog_is(0).await;
}

#[tokio::test]
async fn a_storm_of_traps_loses_nothing_gives_everything_back_and_starves_no_neighbour() {
    const FUNCTIONS: usize = 10;
    const MESSAGES: usize = 200;
    let rig = Rig::new();
    let healthy = rig.deploy("").await;
    let mut functions = Vec::new();
    for number in 0..FUNCTIONS {
        functions.push(
            rig.deploy_named(
                &format!("traps-{number}"),
                "maxMessageRetry: 1\n  deadLetterTopic: bad\n  retry: {backoffMs: 1, maxBackoffMs: 1}",
            )
            .await,
        );
        rig.give(&format!("traps-{number}"), "trap", MESSAGES).await;
    }
    let options = ProducerOptions { topic: topic("in"), name: None, initial_subscription: None };
    let (producer, mut answers) = (rig.broker.produce(options).await.unwrap(), rig.read("out").await);
    for _ in 0..20 {
        producer.send(Batch::single(&Outgoing { payload: b"a", ..Outgoing::default() }, None)).await.unwrap();
        assert_eq!(answers.texts(1).await, ["a"]);
    }
    let mut letters = rig.read("bad").await;
    for _ in 0..FUNCTIONS * MESSAGES {
        assert_eq!(letters.texts(1).await, ["trap"]);
    }
    let all = || async {
        let counts: Vec<_> = functions.iter().map(|function| function.status().remove(0)).collect();
        let done = counts.iter().all(|status| status.dead_letters == MESSAGES as u64 && status.unsettled == 0);
        if done { Ok(()) } else { Err(counts) }
    };
    eventually("each message is settled, after two attempts", SOON, all).await;
    drop((functions, healthy));
    // Every place for an instance is free again: as many calls as there are places wait at the same time.
    let many = rig.deploy_named("many", "concurrency: 50").await;
    rig.give("many", "sleep 300", 50).await;
    assert_eq!(rig.read("out-many").await.texts(50).await, ["slept"; 50]);
    assert_eq!(many.status()[0].cold_starts, 50);
}
