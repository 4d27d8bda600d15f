//! `ps`, `update` and `rollback` beside a running `run`.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use pulselet_test_support::example;
use serde_json::Value;

use crate::pulselet::{Bench, Running, text};

/// A component of another digest that does the same: a custom section more.
fn other_component(bench: &Bench) -> PathBuf {
    let mut bytes = std::fs::read(example("exclamation")).unwrap();
    bytes.extend([0, 4, 2, b'n', b'o', 1]);
    let path = bench.dir.path().join("other.wasm");
    std::fs::write(&path, bytes).unwrap();
    path
}

fn start(bench: &Bench, declaration: &Path) -> Running {
    let mut run = Running(bench.command().args(["run", "--data", "data"]).arg(declaration).spawn().unwrap());
    let mut errors = BufReader::new(run.0.stderr.take().unwrap()).lines();
    assert!(errors.any(|line| line.is_ok_and(|line| line.contains("exclaim ready"))));
    run
}

/// Runs a command on the data folder; gives its status, stdout and stderr.
fn ask(bench: &Bench, args: &[&str]) -> (i32, String, String) {
    let output = bench.command().args(args).args(["--data", "data"]).output().unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn ps(bench: &Bench) -> Value {
    let (status, printed, errors) = ask(bench, &["ps", "--output", "json"]);
    assert_eq!(status, 0, "{errors}");
    serde_json::from_str(&printed).unwrap()
}

#[test]
fn a_running_function_is_shown_updated_and_rolled_back() {
    let bench = Bench::new();
    let declaration = bench.declare("exclaim", &example("exclamation"), "in", "out", "");
    let _run = start(&bench, &declaration);
    let before = ps(&bench)[0].clone();
    assert_eq!((before["function"].as_str(), before["replicas"].as_u64()), (Some("public/default/exclaim"), Some(1)));
    assert_eq!((before["instances"].as_u64(), before["coldStarts"].as_u64()), (Some(0), Some(0)));
    bench.declare("exclaim", &other_component(&bench), "in", "out", "");
    let (status, printed, errors) = ask(&bench, &["update", "exclaim.yaml"]);
    assert_eq!(status, 0, "{errors}");
    assert!(printed.starts_with("public/default/exclaim swapped: sha256:"), "{printed}");
    assert_ne!(ps(&bench)[0]["digest"], before["digest"]);
    let (status, _, errors) = ask(&bench, &["rollback", "exclaim"]);
    assert_eq!(status, 0, "{errors}");
    assert_eq!(ps(&bench)[0]["digest"], before["digest"]);
    let (_, table, _) = ask(&bench, &["ps"]);
    assert!(table.starts_with("FUNCTION") && table.contains("public/default/exclaim"), "{table}");
}

#[test]
fn an_update_that_restarts_a_function_does_not_end_the_process() {
    let bench = Bench::new();
    let declaration = bench.declare("exclaim", &example("exclamation"), "in", "out", "");
    let mut run = start(&bench, &declaration);
    bench.declare("exclaim", &example("exclamation"), "in", "elsewhere", "");
    let (status, printed, errors) = ask(&bench, &["update", "exclaim.yaml"]);
    assert_eq!(status, 0, "{errors}");
    assert!(printed.contains("restarted"), "{printed}");
    let (status, _, errors) = ask(&bench, &["produce", "in", "hello"]);
    assert_eq!(status, 0, "{errors}");
    let (_, answer, _) = ask(&bench, &["consume", "elsewhere", "--count", "1", "--follow"]);
    assert!(answer.contains("hello"), "{answer}");
    assert!(run.0.try_wait().unwrap().is_none());
}

#[test]
fn what_cannot_be_updated_is_refused_with_the_usual_status_and_goes_on() {
    let bench = Bench::new();
    let declaration = bench.declare("exclaim", &example("exclamation"), "in", "out", "");
    let _run = start(&bench, &declaration);
    let before = ps(&bench)[0]["digest"].clone();
    bench.write("nothing.wasm", "this is no component");
    bench.declare("exclaim", Path::new("nothing.wasm"), "in", "out", "");
    let (status, printed, errors) = ask(&bench, &["update", "exclaim.yaml"]);
    assert_eq!(status, 65, "{errors}");
    assert!(printed.contains("not changed: [E2010]"), "{printed}");
    bench.declare("exclaim", &example("exclamation"), "in", "in", "");
    let (status, _, errors) = ask(&bench, &["update", "exclaim.yaml"]);
    assert_eq!(status, 64, "{errors}");
    bench.declare("another", &example("exclamation"), "in", "out", "");
    let (status, printed, _) = ask(&bench, &["update", "another.yaml"]);
    assert!(status == 1 && printed.contains("`pulselet ps` prints those that do"), "{status} {printed}");
    let (status, _, errors) = ask(&bench, &["rollback", "exclaim"]);
    assert_eq!(status, 1, "{errors}");
    assert_eq!(ps(&bench)[0]["digest"], before);
}

#[test]
fn where_nothing_runs_that_is_said() {
    let bench = Bench::new();
    for command in [&["ps"][..], &["rollback", "exclaim"]] {
        let (status, _, errors) = ask(&bench, command);
        assert!(status == 1 && errors.contains("start it with `pulselet run`"), "{status} {errors}");
    }
}
