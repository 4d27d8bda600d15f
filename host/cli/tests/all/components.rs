use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use pulselet_test_support::{example, guest};

use crate::{Bench, Ended};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn inspect_tells_what_a_component_is_and_what_it_asks_for() {
    let bench = Bench::new();
    let path = guest("probe-publish");
    let text = bench.prints(&["inspect", path.to_str().unwrap()]);
    for words in
        ["digest   sha256:", "world    function", "imports granted by spec.publish\n    pulselet:function/publish@"]
    {
        assert!(text.contains(words), "{words}\n{text}");
    }
    let json = bench.prints_json(&["inspect", path.to_str().unwrap()]);
    assert_eq!(json["needs"], serde_json::json!(["spec.publish"]));
    assert_eq!(json["sizeBytes"], fs::metadata(&path).unwrap().len());
    let batch = bench.prints_json(&["inspect", guest("probe-batch").to_str().unwrap()]);
    assert_eq!(batch["world"], "batch-function");
}

#[test]
fn what_is_no_component_of_ours_is_refused_with_the_way_out() {
    let bench = Bench::new();
    let component = fs::read(example("exclamation")).unwrap();
    bench.write("text.wasm", "hello");
    bench.write("empty.wasm", "");
    fs::write(bench.dir.path().join("core.wasm"), b"\0asm\x01\0\0\0").unwrap();
    fs::write(bench.dir.path().join("cut.wasm"), &component[..component.len() / 2]).unwrap();
    for (file, message) in [
        ("text.wasm", "not WebAssembly"),
        ("empty.wasm", "it is empty"),
        ("core.wasm", "wasm32-wasip2"),
        ("cut.wasm", "cut off"),
    ] {
        bench.pulselet(&["inspect", file]).failed(65, message);
    }
    bench.pulselet(&["inspect", "missing.wasm"]).failed(1, "read missing.wasm: No such file");
}

#[test]
fn build_prints_what_cargo_wrote() {
    let bench = Bench::new();
    let built = example("exclamation");
    let folder = repository().join("examples/exclamation");
    let components = bench.prints_json(&["build", folder.to_str().unwrap()]);
    let inspected = bench.prints_json(&["inspect", built.to_str().unwrap()]);
    assert_eq!(components[0]["digest"], inspected["digest"]);
    let text = bench.prints(&["build", folder.to_str().unwrap()]);
    assert!(text.contains("exclamation.wasm  sha256:") && text.ends_with("function\n"), "{text}");
}

#[test]
fn build_says_what_is_missing() {
    let bench = Bench::new();
    bench.pulselet(&["build", "."]).failed(1, "it has no Cargo.toml");
    bench.write("Cargo.toml", "[package]\nname = \"x\"\nedition = \"2024\"\n[lib]\npath = \"lib.rs\"\n[workspace]\n");
    bench.write("lib.rs", "");
    bench.pulselet(&["build", "."]).failed(1, "crate-type = [\"cdylib\"]");
    bench.write("lib.rs", "this is no Rust");
    bench.pulselet(&["build", "."]).failed(1, "cargo did not build the function");

    let no_cargo =
        bench.command().env("PATH", "/nowhere").env_remove("CARGO").env_remove("RUSTC").arg("build").output();
    Ended(no_cargo.unwrap()).failed(1, "https://rustup.rs");
    // A compiler that does not have the target says where it would be.
    let rustc = bench.write("rustc", "#!/bin/sh\necho /nowhere/lib\n");
    fs::set_permissions(&rustc, fs::Permissions::from_mode(0o755)).unwrap();
    let no_target = bench.command().env("RUSTC", rustc).arg("build").output();
    Ended(no_target.unwrap()).failed(1, "rustup target add wasm32-wasip2");
}

#[test]
fn a_new_function_is_tested_built_and_run() {
    let bench = Bench::new();
    // What the examples are built of serves here too, so that only the new function itself is compiled.
    let target = example("exclamation").ancestors().nth(3).unwrap().to_owned();
    bench.prints(&["new", "shout-it"]);
    let folder = bench.dir.path().join("shout-it");
    fs::copy(repository().join("examples/Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let tested = bench.command().env("CARGO_TARGET_DIR", &target).args(["test", "shout-it"]).output().unwrap();
    let tested = Ended(tested);
    assert_eq!(tested.status(), 0, "{}{}", tested.printed(), tested.errors());
    assert_eq!(tested.printed().matches("test tests::text_comes_back_in_capitals ... ok").count(), 2);

    let built = folder.join("target/wasm32-wasip2/release");
    fs::create_dir_all(&built).unwrap();
    fs::copy(target.join("wasm32-wasip2/release/shout_it.wasm"), built.join("shout_it.wasm")).unwrap();
    bench.prints(&["validate", "shout-it/function.yaml"]);
    let output = bench.filter(&["--ephemeral", "shout-it/function.yaml"], b"hello\n");
    assert_eq!(Ended(output).printed(), "HELLO\n");
}

#[test]
fn new_refuses_bad_names_and_what_is_there_already() {
    let bench = Bench::new();
    for name in ["Shout", "1st", "a_b", "../x", "", "shout-"] {
        bench.pulselet(&["new", name]).failed(1, "is not a name for a function");
    }
    bench.pulselet(&["new", "std"]).failed(1, "name of another crate");
    bench.write("taken", "");
    bench.pulselet(&["new", "taken"]).failed(1, "taken exists already");
    bench.pulselet(&["new", "fine", "--sdk", "nowhere"]).failed(1, "not the folder of the SDK");
    assert!(!bench.dir.path().join("fine").exists());
}
