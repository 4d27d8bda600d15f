use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Stdio};

use pulselet_test_support::guest;
use serde_json::{Value, json};

use crate::pulselet::{Bench, Running};

/// `pulselet harness`, spoken to by hand.
struct Harness {
    process: Running,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Harness {
    fn start(bench: &Bench, component: &Path) -> Self {
        let mut command = bench.command();
        command.arg("harness").arg(component).stdin(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { process: Running(child), stdin, stdout }
    }

    fn read(&mut self) -> Value {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    fn say(&mut self, line: &str) -> Value {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
        self.read()
    }

    /// Calls with these payloads.
    fn call(&mut self, payloads: &[&str]) -> Value {
        let messages: Vec<Value> =
            payloads.iter().enumerate().map(|(number, payload)| message(number, payload)).collect();
        let call = json!({
            "messages": messages, "inputs": ["in"], "output": null,
            "identity": {"tenant": "t", "namespace": "n", "name": "f", "replica": 0, "replicas": 1},
            "config": {"greeting": "hi"}, "secrets": {"token": base64("s3cret")}
        });
        let reply = self.say(&call.to_string());
        assert_eq!(reply["type"], "called", "{reply}");
        reply
    }

    /// The answer to one message, as text.
    fn answer(&mut self, payload: &str) -> Value {
        let reply = self.call(&[payload]);
        let result = &reply["results"][0];
        assert_eq!(result["type"], "ok", "{reply}");
        result["answer"].as_str().map_or(Value::Null, |text| plain(text).into())
    }
}

fn message(number: usize, payload: &str) -> Value {
    json!({
        "payload": base64(payload), "topic": "persistent://t/n/in",
        "message_id": {"ledger": 1, "entry": number, "partition": -1, "batch_index": -1},
        "key": null, "ordering_key": null, "properties": [], "event_time": null, "publish_time": 5,
        "producer_name": "p", "sequence_id": number, "redelivery_count": 0, "schema_version": null, "is_null": false
    })
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

fn plain(text: &str) -> String {
    use base64::Engine as _;
    String::from_utf8(base64::engine::general_purpose::STANDARD.decode(text).unwrap()).unwrap()
}

#[test]
fn a_component_is_called_with_all_that_a_test_sets_up() {
    let bench = Bench::new();
    let mut harness = Harness::start(&bench, &guest("probe"));
    assert_eq!(harness.read(), json!({"type": "ready", "protocol": 1, "world": "function"}));
    assert_eq!(harness.answer("hello"), "hello");
    assert_eq!(harness.answer("config greeting"), "hi");
    assert_eq!(harness.answer("secret token"), "s3cret");
    assert_eq!(harness.answer("none"), Value::Null);

    let reply = harness.call(&["publish words hello"]);
    assert_eq!((&reply["published"][0]["topic"], &reply["published"][0]["index"]), (&"words".into(), &0.into()));
    assert_eq!(reply["published"][0]["payload"], base64("hello"));
    let reply = harness.call(&["log 2"]);
    assert_eq!(reply["logs"][1], json!({"level": "info", "context": "probe", "text": "line 1"}));
    let reply = harness.call(&["metric seen 2"]);
    assert_eq!(reply["metrics"][0], json!({"kind": "count", "name": "seen", "value": 2.0}));
    let reply = harness.call(&["nack 7"]);
    assert_eq!(reply["settled"][0]["how"], json!({"type": "nack", "delay": 7}));

    drop(harness.stdin.take());
    assert!(harness.process.0.wait().unwrap().success());
}

#[test]
fn each_kind_of_failure_is_told_and_a_trap_costs_only_its_instance() {
    let bench = Bench::new();
    let mut harness = Harness::start(&bench, &guest("probe"));
    harness.read();
    let reply = harness.call(&["count", "reject bad", "retry busy 5", "fatal over", "count"]);
    let results = reply["results"].as_array().unwrap();
    let kinds: Vec<&str> = results.iter().map(|result| result["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["ok", "reject", "retry", "fatal", "ok"]);
    assert_eq!(results[2], json!({"type": "retry", "reason": "busy", "delay": 5}));
    assert_eq!(results[4]["answer"], base64("5"), "one instance serves them all");

    let reply = harness.call(&["trap", "count"]);
    assert_eq!(reply["results"][0]["type"], "trap");
    assert_eq!(reply["results"][1]["answer"], base64("1"), "the next one is fresh");
}

#[test]
fn a_line_that_is_no_call_is_refused_and_leaves_everything_as_it_was() {
    let bench = Bench::new();
    let mut harness = Harness::start(&bench, &guest("probe"));
    harness.read();
    assert_eq!(harness.answer("count"), "1");
    for line in ["hello", "{}", r#"{"messages":[]}"#] {
        assert_eq!(harness.say(line)["type"], "refused");
    }
    assert_eq!(harness.answer("count"), "2");
}

#[test]
fn a_batch_is_called_once_for_all_its_messages() {
    let bench = Bench::new();
    let mut harness = Harness::start(&bench, &guest("probe-batch"));
    assert_eq!(harness.read()["world"], "batch-function");
    let reply = harness.call(&["a", "b"]);
    assert_eq!(reply["results"].as_array().unwrap().len(), 2);
    let reply = harness.call(&["a", "trap"]);
    assert!(reply["results"].as_array().unwrap().iter().all(|result| result["type"] == "trap"), "{reply}");
}

#[test]
fn what_is_no_component_is_refused_with_a_reason() {
    let bench = Bench::new();
    for file in [bench.write("text.wasm", "hello"), "missing.wasm".into()] {
        let mut harness = Harness::start(&bench, &file);
        let greeting = harness.read();
        assert_eq!(greeting["type"], "refused");
        assert!(greeting["reason"].as_str().unwrap().contains(".wasm"), "{greeting}");
        assert!(!harness.process.0.wait().unwrap().success());
    }
}
