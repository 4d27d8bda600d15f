use std::io::{BufRead, BufReader};
use std::process::Command;
use std::time::Duration;

use pulselet_test_support::{eventually_blocking, example};

use crate::pulselet::{Bench, Running, text};

#[test]
fn a_service_says_when_it_is_ready_and_ends_cleanly_on_sigterm() {
    let bench = Bench::new();
    let function = bench.declare("exclaim", &example("exclamation"), "in", "out", "");
    let mut run = Running(bench.command().args(["run", "--data", "data"]).arg(function).spawn().unwrap());
    let mut errors = BufReader::new(run.0.stderr.take().unwrap()).lines();
    let ready = errors.find(|line| line.as_ref().is_ok_and(|line| line.contains("public/default/exclaim ready")));
    assert!(ready.is_some());
    let killed = Command::new("kill").arg(run.0.id().to_string()).status().unwrap();
    assert!(killed.success());
    let status = eventually_blocking("it ends", Duration::from_secs(30), || run.0.try_wait().unwrap().ok_or("runs"));
    assert!(status.success(), "{status}");
}

#[test]
fn a_folder_in_use_is_refused_and_left_alone() {
    let bench = Bench::new();
    let function = bench.declare("exclaim", &example("exclamation"), "in", "out", "");
    let mut first = Running(bench.command().args(["run", "--data", "data"]).arg(&function).spawn().unwrap());
    let mut errors = BufReader::new(first.0.stderr.take().unwrap()).lines();
    assert!(errors.any(|line| line.is_ok_and(|line| line.contains("ready"))));
    let second = bench.command().args(["run", "--data", "data"]).arg(&function).output().unwrap();
    assert!(!second.status.success());
    assert!(text(&second.stderr).contains("in use"), "{}", text(&second.stderr));
    assert!(first.0.try_wait().unwrap().is_none(), "the first one goes on");
}

#[test]
fn a_missing_component_is_named_and_nothing_else_starts() {
    let bench = Bench::new();
    let function = bench.declare("exclaim", std::path::Path::new("missing.wasm"), "in", "out", "");
    let output = bench.command().args(["run", "--ephemeral"]).arg(function).output().unwrap();
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("missing.wasm"), "{}", text(&output.stderr));
}

#[test]
fn a_service_goes_on_when_nobody_reads_what_it_says() {
    let bench = Bench::new();
    let function = bench.declare("exclaim", &example("exclamation"), "in", "out", "");
    let mut run = Running(bench.command().args(["run", "--data", "data"]).arg(&function).spawn().unwrap());
    let mut errors = BufReader::new(run.0.stderr.take().unwrap()).lines();
    assert!(errors.any(|line| line.is_ok_and(|line| line.contains("ready"))));
    drop(errors);
    // Whatever it says from here on has no reader; that it answers shows that it has gone on.
    for command in [&["produce", "in", "hello", "--data", "data"][..], &["topics", "list", "--data", "data"]] {
        let output = bench.command().args(command).output().unwrap();
        assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
    }
    assert!(run.0.try_wait().unwrap().is_none());
}
