use std::path::Path;

use pulselet_test_support::{example, guest};

use crate::Bench;

#[test]
fn what_is_wrong_is_shown_with_its_line_its_rule_and_the_way_out() {
    let bench = Bench::new();
    bench.write(
        "f.yaml",
        "apiVersion: pulselet.dev/v1alpha1
kind: Function
metadata:
  name: shout
spec:
  wasm:
    location: shout.wasm
  input:
    topics: [in]
  output:
    topic: in
  autoAck: false
  replicas: 0
",
    );
    let ended = bench.pulselet(&["validate", "f.yaml"]);
    assert_eq!((ended.status(), ended.printed().as_str()), (64, ""));
    assert_eq!(
        ended.errors(),
        r#"error[E1203]: spec.output.topic: "persistent://public/default/in"
  --> f.yaml:11:12
   |
11 |     topic: in
   |            ^
   = `spec.input.topics` has it too, and what a function writes must not be what it reads
   = help: write another topic

error[E1004]: spec.autoAck: not supported
  --> f.yaml:12:3
   |
12 |   autoAck: false
   |   ^
   = who acknowledges is part of the guarantee
   = help: remove it; for `autoAck: false` write `spec.processingGuarantee: manual`

error[E1007]: spec.replicas: 0
  --> f.yaml:13:13
   |
13 |   replicas: 0
   |             ^
   = it must be from 1 to 1000
   = help: to stop the function, write `spec.paused: true`

error: 3 errors
"#
    );
}

#[test]
fn a_bad_declaration_stops_run_before_anything_starts() {
    let bench = Bench::new();
    for (name, text, message) in [
        ("broken.yaml", "kind: [Function", "error[E1001]"),
        (
            "unknown.yaml",
            "apiVersion: pulselet.dev/v1alpha1\nkind: Function\nmetadata: {name: x}\nspec: {colour: red}",
            "colour",
        ),
        ("empty.yaml", "# nothing", "error[E1010]"),
    ] {
        bench.write(name, text);
        bench.pulselet(&["run", name]).failed(64, message);
        bench.pulselet(&["validate", name]).failed(64, message);
    }
    bench.pulselet(&["run", "missing.yaml"]).failed(1, "read missing.yaml: No such file");
    std::fs::write(bench.dir.path().join("binary.yaml"), [0xff, 0xfe, 0x00]).unwrap();
    bench.pulselet(&["run", "binary.yaml"]).failed(1, "read binary.yaml");
    assert!(!bench.dir.path().join("pulselet-data").exists());
}

#[test]
fn several_files_are_checked_together() {
    let bench = Bench::new();
    let component = example("exclamation");
    bench.declare("one", &component, "in", "out", "");
    bench.declare("two", &component, "out", "end", "");
    assert_eq!(bench.prints(&["validate", "one.yaml", "two.yaml"]).lines().count(), 2);
    bench.pulselet(&["validate", "one.yaml", "one.yaml"]).failed(64, "error[E1103]");
}

#[test]
fn a_component_that_is_there_is_looked_at() {
    let bench = Bench::new();
    bench.declare("good", &example("exclamation"), "in", "out", "");
    let report = bench.prints_json(&["validate", "good.yaml"]);
    assert_eq!(report["valid"], true);
    let component = &report["functions"][0]["component"];
    assert_eq!((&component["world"], &component["canRun"]), (&"function".into(), &true.into()));
    assert!(component["digest"].as_str().unwrap().starts_with("sha256:"));

    bench.declare("absent", Path::new("later.wasm"), "in", "out", "");
    assert!(bench.prints(&["validate", "absent.yaml"]).contains("later.wasm"));

    for (name, spec, message) in [
        ("probe-publish", "", "which needs spec.publish"),
        ("probe-settle", "", "which needs spec.processingGuarantee: manual"),
        ("probe-secrets", "", "which needs spec.secretsMap"),
    ] {
        bench.declare(name, &guest(name), "in", "out", spec);
        bench.pulselet(&["validate", &format!("{name}.yaml")]).failed(65, message);
    }
    bench.declare("granted", &guest("probe-publish"), "in", "out", "publish: [more]");
    bench.prints(&["validate", "granted.yaml"]);
}

#[test]
fn a_component_that_is_not_what_was_declared_is_told() {
    let bench = Bench::new();
    let component = example("exclamation");
    let digest = format!("sha256:{}", "0".repeat(64));
    let wrong_digest = bench.declare("digest", &component, "in", "out", "").to_owned();
    let text = std::fs::read_to_string(&wrong_digest).unwrap();
    bench.write("digest.yaml", &text.replace(".wasm}", &format!(".wasm, digest: '{digest}'}}")));
    bench.pulselet(&["validate", "digest.yaml"]).failed(65, "spec.wasm.digest is sha256:000");
    bench.write("world.yaml", &text.replace(".wasm}", ".wasm, world: batch-function}"));
    bench.pulselet(&["validate", "world.yaml"]).failed(65, "the component is of the world `function`");
    bench.write("core.wasm", "no wasm at all");
    bench.declare("core", Path::new("core.wasm"), "in", "out", "");
    let ended = bench.pulselet(&["validate", "core.yaml", "--output", "json"]);
    assert_eq!(ended.status(), 65);
    let report: serde_json::Value = serde_json::from_str(&ended.printed()).unwrap();
    assert_eq!(report["valid"], false);
    assert!(report["functions"][0]["objections"][0].as_str().unwrap().contains("not WebAssembly"));
}

#[test]
fn warnings_are_shown_and_do_not_fail() {
    let bench = Bench::new();
    bench.declare("gives-up", Path::new("later.wasm"), "in", "out", "maxMessageRetry: 2");
    let ended = bench.pulselet(&["validate", "gives-up.yaml"]);
    assert_eq!(ended.status(), 0);
    assert!(ended.errors().starts_with("warning[W1901]: spec.maxMessageRetry: 2\n"), "{}", ended.errors());
}

#[test]
fn problems_are_data_for_programs() {
    let bench = Bench::new();
    bench.write("f.yaml", "apiVersion: pulselet.dev/v1alpha1\nkind: Function\nmetadata: {}\nspec: {}\n");
    let ended = bench.pulselet(&["validate", "f.yaml", "--output", "json"]);
    assert_eq!((ended.status(), ended.errors().as_str()), (64, ""));
    let report: serde_json::Value = serde_json::from_str(&ended.printed()).unwrap();
    let paths: Vec<&str> =
        report["problems"].as_array().unwrap().iter().map(|problem| problem["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["metadata.name", "spec.wasm", "spec.input"]);
    assert_eq!(report["problems"][0]["code"], "E1006");
    assert_eq!(report["problems"][0]["line"], 3);
}
