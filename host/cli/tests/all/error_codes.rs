//! Codes of errors: printed, and explained.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::Bench;

#[test]
fn every_code_of_engine_and_broker_is_explained_in_the_docs_and_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut used = BTreeSet::new();
    for folder in ["host/engine/src", "host/broker-embedded/src"] {
        for path in sources(&root.join(folder)) {
            let text = std::fs::read_to_string(path).unwrap();
            used.extend(text.split('"').filter(|word| is_code(word)).map(str::to_owned));
        }
    }
    let page = std::fs::read_to_string(root.join("docs/errors-host.md")).unwrap();
    let explained: BTreeSet<String> = page.split('`').filter(|word| is_code(word)).map(str::to_owned).collect();
    assert_eq!(used, explained);
}

/// The Rust files of a folder and of those in it, but for tests.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let below = |path: PathBuf| if path.is_dir() { sources(&path) } else { vec![path] };
    let is_source =
        |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs");
    entries.flat_map(below).filter(is_source).collect()
}

fn is_code(word: &str) -> bool {
    word.len() == 5 && word.starts_with('E') && word[1..].bytes().all(|byte| byte.is_ascii_digit())
}

#[test]
fn a_component_that_cannot_run_ends_the_command_with_its_code_and_status() {
    let bench = Bench::new();
    let function = bench.declare("f", Path::new("missing.wasm"), "in", "out", "");
    let ended = bench.pulselet(&["run", "--ephemeral", function.to_str().unwrap()]);
    assert_eq!(ended.status(), 65);
    assert!(ended.errors().starts_with("error[E2001]: function public/default/f: "), "{}", ended.errors());
    let ended = bench.pulselet(&["run", "--ephemeral", "--output", "json", function.to_str().unwrap()]);
    let error: serde_json::Value = serde_json::from_str(&ended.errors()).unwrap();
    assert_eq!(error["code"], "E2001");
}
