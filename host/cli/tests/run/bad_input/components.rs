//! Components that cannot run. A healthy function beside them does not start either, and nothing is made.

use std::fs;
use std::path::Path;

use pulselet_test_support::{example, guest};

use super::refused;
use crate::pulselet::Bench;

/// A component of our world that imports this.
fn importing(name: &str) -> Vec<u8> {
    let text = format!(
        r#"(component (import "{name}" (instance)) (instance $i)
            (export "pulselet:function/handler@0.1.0" (instance $i)))"#
    );
    wat::parse_str(text).unwrap()
}

/// Runs a healthy function and one with this component.
fn is_refused(bytes: &[u8], words: &[&str]) {
    let bench = Bench::new();
    let component = bench.dir.path().join("bad.wasm");
    fs::write(&component, bytes).unwrap();
    let bad = bench.declare("bad", &component, "bad-in", "bad-out", "");
    run_is_refused(&bench, &bad, words);
}

fn run_is_refused(bench: &Bench, bad: &Path, words: &[&str]) {
    let good = bench.declare("good", &example("exclamation"), "in", "out", "");
    // As a service and as a filter, on a folder that is not there yet.
    for more in [&[][..], &["--filter", "--feed", "in"]] {
        let output = bench.command().args(["run", "--data", "data"]).arg(&good).arg(bad).args(more).output().unwrap();
        refused(&output, 65, words);
        assert!(!bench.data().exists(), "nothing may be made before all components are known to be right");
    }
}

#[test]
fn a_missing_component_stops_the_run_before_it_begins() {
    let bench = Bench::new();
    let bad = bench.declare("bad", Path::new("missing.wasm"), "bad-in", "bad-out", "");
    run_is_refused(&bench, &bad, &["E2001", "public/default/bad", "missing.wasm", "build it"]);
}

#[test]
fn a_folder_in_place_of_a_component_is_refused() {
    let bench = Bench::new();
    let bad = bench.declare("bad", bench.dir.path(), "bad-in", "bad-out", "");
    run_is_refused(&bench, &bad, &["E2002", "spec.wasm"]);
}

#[test]
fn a_file_that_is_no_component_is_refused() {
    is_refused(b"#!/bin/sh\n", &["E2010", "not WebAssembly", "#!/bin/s"]);
    is_refused(b"", &["E2010", "it is empty"]);
}

#[test]
fn a_core_module_is_refused() {
    is_refused(b"\0asm\x01\0\0\0", &["E2013", "wasm32-wasip2"]);
    let wasip1 =
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32))) (memory (export "memory") 1))"#;
    is_refused(&wat::parse_str(wasip1).unwrap(), &["E2013", "wasm-tools component new"]);
}

#[test]
fn a_component_that_is_cut_off_is_refused() {
    let whole = fs::read(example("exclamation")).unwrap();
    is_refused(&whole[..whole.len() / 2], &["E2011", "cut off"]);
}

#[test]
fn a_component_of_another_world_is_refused() {
    let http = r#"(component (instance $i) (export "wasi:http/incoming-handler@0.2.0" (instance $i)))"#;
    is_refused(&wat::parse_str(http).unwrap(), &["E2014", "wasi:http/incoming-handler@0.2.0", "world `function`"]);
}

#[test]
fn a_component_with_an_unknown_import_is_refused() {
    is_refused(&importing("acme:private/api"), &["E2021", "acme:private/api"]);
}

#[test]
fn a_component_of_wasi_0_3_is_refused() {
    is_refused(&importing("wasi:cli/stdout@0.3.0"), &["E2022", "wasi:cli/stdout@0.3.0", "WASI 0.2"]);
}

#[test]
fn a_component_that_was_not_granted_what_it_imports_is_refused() {
    is_refused(&fs::read(guest("probe-publish")).unwrap(), &["E2023", "declare spec.publish"]);
}

#[test]
fn a_component_with_another_digest_than_declared_is_refused() {
    let bench = Bench::new();
    let bad = bench.declare("bad", &example("exclamation"), "bad-in", "bad-out", "");
    let declared = format!("sha256:{}", "0".repeat(64));
    let text = fs::read_to_string(&bad).unwrap().replace(".wasm}", &format!(".wasm, digest: '{declared}'}}"));
    fs::write(&bad, text).unwrap();
    run_is_refused(&bench, &bad, &["E2004", &declared, "spec.wasm.digest"]);
}

#[test]
fn a_component_of_the_other_world_than_declared_is_refused() {
    let bench = Bench::new();
    let bad = bench.declare("bad", &example("exclamation"), "bad-in", "bad-out", "");
    let text = fs::read_to_string(&bad).unwrap().replace(".wasm}", ".wasm, world: batch-function}");
    fs::write(&bad, text).unwrap();
    run_is_refused(&bench, &bad, &["E2020", "`batch-function`"]);
}

/// Found out only when it is compiled: by then there is a folder, but nothing has been read or answered.
#[test]
fn a_component_with_invalid_code_keeps_its_neighbours_from_starting() {
    let bench = Bench::new();
    let mut bytes = fs::read(example("exclamation")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 64].fill(0xff);
    let component = bench.dir.path().join("bad.wasm");
    fs::write(&component, &bytes).unwrap();
    let bad = bench.declare("bad", &component, "bad-in", "bad-out", "");
    let good = bench.declare("good", &example("exclamation"), "in", "out", "subscriptionPosition: earliest");
    bench.send("in", "hello");
    let output = bench.command().args(["run", "--data", "data"]).arg(good).arg(bad).output().unwrap();
    refused(&output, 65, &["public/default/bad", "E20"]);
    assert_eq!(bench.messages("in"), "hello\n");
    assert!(bench.messages("out").contains("does not exist"));
    let subscriptions = bench.on_data(&["subscriptions", "list", "in", "--output", "json"]);
    assert_eq!(crate::pulselet::text(&subscriptions.stdout).trim(), "[]");
}

#[test]
fn a_component_that_takes_too_much_to_compile_is_refused_with_the_limit() {
    let bench = Bench::new();
    let function = bench.declare("f", &example("json-enrich"), "in", "out", "");
    let run = |limit: &[&str]| {
        // A store of its own, since it is compiled already in the one that tests share.
        let engine = ["run", "--ephemeral", "--no-filter", "--no-baseline", "--engine-dir", "engine"];
        bench.command().args(engine).args(limit).arg(&function).output().unwrap()
    };
    refused(&run(&["--compile-memory-mib", "8"]), 65, &["E2030", "8388608 bytes of memory"]);
}
