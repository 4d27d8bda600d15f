use pulselet_test_support::example;
use serde_json::Value;

use crate::Bench;

const COMMANDS: [&str; 15] = [
    "run",
    "validate",
    "new",
    "build",
    "test",
    "inspect",
    "produce",
    "consume",
    "topics",
    "subscriptions",
    "ps",
    "update",
    "rollback",
    "schema",
    "completions",
];

#[test]
fn help_teaches_by_example_and_names_the_exit_statuses() {
    let bench = Bench::new();
    let general = bench.prints(&["--help"]);
    for words in ["pulselet new shout", "64  a declaration is wrong", "65  a component"] {
        assert!(general.contains(words), "{words}\n{general}");
    }
    for command in COMMANDS {
        let help = bench.prints(&[command, "--help"]);
        assert!(help.contains("Example"), "{command} has no example\n{help}");
        assert!(help.contains(&format!("pulselet {command}")), "{help}");
        assert!(general.contains(command), "{command} is not listed");
    }
}

#[test]
fn a_wrong_command_line_ends_with_2_and_a_proposal() {
    let bench = Bench::new();
    bench.pulselet(&["cosume", "out"]).failed(2, "consume");
    bench.pulselet(&["produce"]).failed(2, "<TOPIC>");
    bench.pulselet(&[]).failed(2, "Usage: pulselet");
    for partitions in ["0", "10001", "99999999"] {
        bench.pulselet(&["topics", "create", "t", "--partitions", partitions]).failed(2, "1..=10000");
    }
}

#[test]
fn completions_know_every_command() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = bench.prints(&["completions", shell]);
        assert!(COMMANDS.iter().all(|command| script.contains(command)), "{shell}");
        assert!(!script.contains("harness"), "{shell} proposes what the help hides");
    }
}

#[test]
fn a_wrong_use_is_told_what_to_do_instead() {
    let bench = Bench::new();
    bench.declare("good", &example("exclamation"), "in", "out", "");
    bench.write("file", "");
    std::fs::create_dir(bench.dir.path().join("folder")).unwrap();
    bench.prints(&["produce", "there", "hello", "--data", "used"]);
    for (args, status, words) in [
        ("run folder", 1, "for example folder/function.yaml"),
        ("run good.yaml --data file", 1, "file is not a data folder"),
        ("run good.yaml --secrets nowhere", 1, "--secrets: there is no folder nowhere"),
        ("run good.yaml --filter --feed other", 1, "name an input topic"),
        ("run good.yaml --engine-dir file", 1, "this user owns the folder"),
        ("run good.yaml --metrics-addr 9094", 2, "for example 127.0.0.1:9094"),
        ("run good.yaml --ephemeral --data used", 2, "cannot be used with"),
        ("inspect folder", 1, "name the .wasm file"),
        ("build file", 1, "`pulselet new`"),
        ("produce there hello --data file", 1, "file is not a data folder"),
        ("produce there hello --property colour", 2, "NAME=VALUE"),
        ("consume missing --data used", 1, "`pulselet topics list`"),
        ("topics create there --partitions 2 --data used", 1, "delete it first"),
        ("subscriptions delete there nobody --data used", 1, "`pulselet subscriptions list"),
        ("subscriptions seek there nobody --to yesterday --data used", 2, "`earliest`, `latest`"),
        ("completions tcsh", 2, "bash"),
    ] {
        bench.pulselet(&args.split(' ').collect::<Vec<_>>()).failed(status, words);
    }
    assert!(!bench.dir.path().join("pulselet-data").exists(), "a wrong use makes no data folder");
}

#[test]
fn the_schema_is_printed_as_it_is_checked() {
    let schema: Value = serde_json::from_str(&Bench::new().prints(&["schema"])).unwrap();
    assert_eq!(schema, pulselet_api::schema());
}

#[test]
fn errors_have_a_form_for_programs() {
    let bench = Bench::new();
    for (args, status) in [
        (vec!["topics", "list"], 1),
        (vec!["inspect", "missing.wasm"], 1),
        (vec!["run", "--ephemeral", "bad.yaml"], 64),
    ] {
        bench.write("bad.yaml", "kind: Function\n");
        let ended = bench.pulselet(&[args.as_slice(), &["--output", "json"]].concat());
        assert_eq!(ended.status(), status);
        let error: Value = serde_json::from_str(&ended.errors()).unwrap();
        assert_eq!(error["status"], status);
        assert!(error["error"].as_str().is_some_and(|text| !text.is_empty()));
        assert_eq!(error["problems"].is_array(), status == 64);
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    use std::io::Read;
    use std::process::Stdio;
    let bench = Bench::new();
    bench.prints(&["inspect", example("exclamation").to_str().unwrap()]);
    let mut child = bench.command().arg("schema").stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert!(child.wait().unwrap().success(), "{errors}");
    assert_eq!(errors, "");
}
