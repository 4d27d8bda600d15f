//! Metrics and status.

use pulselet_test_support::eventually;

use crate::rig::{Rig, SOON};

#[tokio::test]
async fn a_function_is_counted_under_pulsars_names() {
    let rig = Rig::new();
    let _probe = rig.deploy("maxMessageRetry: 0\ndeadLetterTopic: bad").await;
    rig.send(&["a", "metric words 3", "trap", "reject x"]).await;
    rig.backlog_is(0).await;
    let labels = r#"cluster="test",fqfn="public/default/probe",instance_id="0",name="probe",namespace="public/default",tenant="public""#;
    eventually("the numbers are there", SOON, || async {
        let text = rig.metrics();
        let wanted = [
            format!("pulsar_function_received_total{{{labels}}} 4"),
            format!("pulsar_function_processed_successfully_total{{{labels}}} 2"),
            "pulsar_function_user_exceptions_total".to_owned(),
            "pulselet_function_faults_total".to_owned(),
            "pulsar_function_process_latency_ms_count".to_owned(),
            "pulsar_function_user_metric_words".to_owned(),
            "pulselet_function_cold_start_seconds_count".to_owned(),
        ];
        let missing: Vec<_> = wanted.into_iter().filter(|wanted| !text.contains(wanted)).collect();
        if missing.is_empty() { Ok(()) } else { Err((missing, text)) }
    })
    .await;
}

#[tokio::test]
async fn a_replica_that_is_gone_leaves_no_numbers_behind() {
    let rig = Rig::new();
    let probe = rig.deploy("").await;
    assert!(rig.metrics().contains("pulsar_function_received_total"));
    probe.pause(SOON).await;
    eventually("the numbers are gone", SOON, || async { !rig.metrics().contains("instance_id") }).await;
}
