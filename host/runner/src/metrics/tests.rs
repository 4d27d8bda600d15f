use prometheus::{Registry, TextEncoder};
use pulselet_engine::Fault;

use super::*;
use crate::function::NoSecrets;

/// The only replica of `t/n/f`.
pub(super) fn facts() -> Arc<Facts> {
    let text = "apiVersion: pulselet.dev/v1alpha1\nkind: Function\nmetadata: {name: f}\nspec:\n  tenant: t\n  namespace: n\n  wasm: {location: f.wasm}\n  input: {topics: [in]}\n";
    let function = pulselet_api::parse(text, "test").unwrap()[0].resolved.clone();
    Arc::new(Facts { function: function.into(), replica: 0, secrets: Arc::new(NoSecrets), state_dir: None })
}

fn export(registry: &Registry) -> String {
    TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
}

#[test]
fn every_number_of_a_replica_is_exported_until_it_is_removed() {
    let registry = Registry::new();
    let families = Families::register(&registry, "c").unwrap();
    assert_eq!(export(&registry), "");
    let (metrics, user) = families.add(&facts());
    metrics.received.inc_by(7);
    metrics.processed.inc();
    metrics.fault(&Fault::Host("h".to_owned()));
    metrics.last_invocation.set(5.0);
    metrics.latency.observe(std::time::Duration::from_millis(2));
    metrics.cold_start.observe(0.0004);
    metrics.cold_start.observe(2.0);
    metrics.unsettled.set(3.0);
    metrics.cpu(std::time::Duration::from_millis(1_500));
    let text = export(&registry);
    let labels = r#"cluster="c",fqfn="t/n/f",instance_id="0",name="f",namespace="t/n",tenant="t""#;
    let kind =
        |kind| format!(r#"cluster="c",fqfn="t/n/f",instance_id="0",kind="{kind}",name="f",namespace="t/n",tenant="t""#);
    for line in [
        format!("pulsar_function_received_total{{{labels}}} 7"),
        format!("pulsar_function_processed_successfully_total{{{labels}}} 1"),
        format!("pulsar_function_user_exceptions_total{{{labels}}} 0"),
        format!("pulsar_function_system_exceptions_total{{{labels}}} 1"),
        format!("pulsar_function_last_invocation{{{labels}}} 5"),
        format!("pulsar_function_process_latency_ms_count{{{labels}}} 1"),
        format!("pulselet_function_faults_total{{{}}} 1", kind("host_error")),
        format!("pulselet_function_faults_total{{{}}} 0", kind("trap")),
        format!("pulselet_function_cold_start_seconds_bucket{{{labels},le=\"0.00025\"}} 0"),
        format!("pulselet_function_cold_start_seconds_bucket{{{labels},le=\"0.0005\"}} 1"),
        format!("pulselet_function_cold_start_seconds_bucket{{{labels},le=\"1\"}} 1"),
        format!("pulselet_function_cold_start_seconds_bucket{{{labels},le=\"+Inf\"}} 2"),
        format!("pulselet_function_cpu_seconds_total{{{labels}}} 1.5"),
        format!("pulselet_function_unsettled_messages{{{labels}}} 3"),
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    families.remove(&metrics, &user);
    assert_eq!(export(&registry), "");
}
