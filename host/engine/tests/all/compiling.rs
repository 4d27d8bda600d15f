//! Compiling in a process of its own.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use pulselet_engine::{CompileError, CompileLimits, Compiler, Options, Tier};
use pulselet_test_support::{eventually_blocking, guest};

use crate::host::Recorder;
use crate::setup::{LONG, Setup, say};

/// The program beside this one that only compiles.
fn program() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.join("examples/compile")
}

fn child(options: &mut Options) {
    options.compiler = Compiler::Child { program: program(), args: Vec::new() };
}

/// A child that does this instead.
fn script(setup: &mut Options, dir: &tempfile::TempDir, text: &str) {
    let path = dir.path().join("compiler.sh");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    setup.compiler = Compiler::Child { program: path, args: Vec::new() };
}

fn failure(setup: &Setup, component: impl Into<PathBuf>) -> (String, String) {
    let Err(error) = setup.assign(component) else { panic!("it was taken") };
    (error.code().to_owned(), error.to_string())
}

/// A component that is valid, small, and takes long to compile: many large functions.
fn bomb(setup: &Setup) -> PathBuf {
    let body = "local.get 0 i64.const 7 i64.mul local.get 1 i64.rotl local.get 0 i64.xor local.set 0 ".repeat(20_000);
    let functions = format!("(func (param i64 i64) (result i64) {body} local.get 0)").repeat(20);
    let bytes = wat::parse_str(format!("(component (core module {functions}))")).unwrap();
    let mut whole = fs::read(guest("echo")).unwrap();
    whole.push(4);
    let mut size = bytes.len();
    while size >= 0x80 {
        whole.push((size & 0x7f) as u8 | 0x80);
        size >>= 7;
    }
    whole.push(size as u8);
    whole.extend(bytes);
    setup.write("bomb.wasm", &whole)
}

#[tokio::test]
async fn what_a_child_compiles_runs() {
    let setup = Setup::with(|options| {
        child(options);
        options.baseline = true;
    });
    let assigned = setup.assign(guest("probe-batch")).unwrap();
    eventually_blocking("both compilers are done", LONG, || assigned.residence().tier == Some(Tier::Cranelift));
    let mut instance = assigned.load().unwrap().instantiate(Recorder::new()).await.unwrap();
    assert_eq!(say(&mut instance, "a").await.unwrap(), "a");
    assert_eq!(setup.engine.stats().refused_files, 0);
}

#[test]
fn what_does_not_compile_is_refused_with_the_compilers_words() {
    let setup = Setup::with(child);
    let mut bytes = fs::read(guest("echo")).unwrap();
    let module = wat::parse_str("(module (func (result i32) i64.const 1))").unwrap_or_default();
    bytes.push(1);
    bytes.push(module.len() as u8);
    bytes.extend(module);
    setup.write("wrong.wasm", &bytes);
    let (code, text) = failure(&setup, "wrong.wasm");
    assert_eq!(code, "E2024", "{text}");
    assert!(setup.files("compiled").is_empty());
}

#[test]
fn a_component_that_takes_too_much_memory_to_compile_is_refused_with_the_limit() {
    let setup = Setup::with(|options| {
        child(options);
        options.compile_limits.memory_bytes = 48 << 20;
    });
    let bomb = bomb(&setup);
    let (code, text) = failure(&setup, bomb);
    assert_eq!(code, "E2030", "{text}");
    assert!(text.contains("more than 50331648 bytes"), "{text}");
    assert!(setup.files("compiled").is_empty(), "nothing is left behind");
    setup.assign(guest("echo")).unwrap();
}

#[test]
fn a_component_that_takes_too_long_to_compile_is_refused_with_the_limit() {
    let setup = Setup::with(|options| {
        child(options);
        options.compile_limits.cpu_time = Duration::from_secs(1);
    });
    let bomb = bomb(&setup);
    let (code, text) = failure(&setup, bomb);
    assert_eq!(code, "E2031", "{text}");
    assert!(text.contains("processor time"), "{text}");
    setup.assign(guest("echo")).unwrap();
}

#[test]
fn a_child_that_does_nothing_is_ended_when_its_time_is_up() {
    let dir = tempfile::tempdir().unwrap();
    let setup = Setup::with(|options| {
        script(options, &dir, "exec sleep 1000");
        options.compile_limits.wall_time = Duration::from_millis(200);
    });
    let (code, text) = failure(&setup, guest("echo"));
    assert_eq!(code, "E2031", "{text}");
}

#[test]
fn a_child_that_is_killed_says_how_and_the_component_is_taken_later() {
    let dir = tempfile::tempdir().unwrap();
    let marker = dir.path().join("killed");
    let script_text = format!(
        "if [ ! -e {0} ]; then : > {0}; kill -9 $$; fi\nexec {1} \"$@\"",
        marker.display(),
        program().display()
    );
    let setup = Setup::with(|options| {
        script(options, &dir, &script_text);
        options.compile_limits = CompileLimits { backoff: Duration::from_millis(10), ..CompileLimits::default() };
    });
    let (code, text) = failure(&setup, guest("echo"));
    assert_eq!(code, "E2032", "{text}");
    assert!(text.contains("signal: 9"), "{text}");
    eventually_blocking("it is taken", LONG, || setup.assign(guest("echo")).is_ok());
}

#[test]
fn a_failed_compilation_is_not_repeated_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let count = dir.path().join("count");
    let setup = Setup::with(|options| script(options, &dir, &format!("echo x >> {}; exit 70", count.display())));
    for _ in 0..5 {
        assert_eq!(failure(&setup, guest("echo")).0, "E2032");
    }
    assert_eq!(fs::read_to_string(&count).unwrap().lines().count(), 1);
}

#[test]
fn a_compiler_that_is_not_there_is_named() {
    let setup = Setup::with(|options| {
        options.compiler =
            Compiler::Child { program: "/nonexistent/pulselet".into(), args: vec![OsString::from("compile")] };
    });
    let (code, text) = failure(&setup, guest("echo"));
    assert_eq!(code, "E2033");
    assert!(text.contains("/nonexistent/pulselet"), "{text}");
}

#[test]
fn code_that_a_child_did_not_finish_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let setup = Setup::with(|options| script(options, &dir, "for out; do :; done; printf half > \"$out\""));
    let Err(error) = setup.assign(guest("echo")) else { panic!("it was taken") };
    assert_eq!(error.code(), "E2041", "{error}");
}

#[tokio::test]
async fn better_code_that_cannot_be_had_is_told_and_the_function_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let text = format!("[ \"$1\" = winch ] || exit 70\nexec {} \"$@\"", program().display());
    let setup = Setup::with(|options| {
        script(options, &dir, &text);
        options.baseline = true;
    });
    let assigned = setup.assign(guest("probe-batch")).unwrap();
    eventually_blocking("it is told", LONG, || assigned.trouble().is_some());
    let trouble = assigned.trouble().unwrap();
    assert_eq!((trouble.tier, trouble.error.code()), (Tier::Cranelift, "E2032"));
    assert!(matches!(trouble.error, CompileError::Died(_)));
    let mut instance = assigned.load().unwrap().instantiate(Recorder::new()).await.unwrap();
    assert_eq!(say(&mut instance, "a").await.unwrap(), "a");
}

#[test]
fn children_that_are_killed_at_random_leave_nothing_wrong_behind() {
    let dir = tempfile::tempdir().unwrap();
    // In turn: some die before, some while, some after they have written, some not.
    let text = format!(
        "echo x >> {0}; n=$(($(wc -l < {0}) % 4)); [ $n = 0 ] && kill -9 $$\n{1} \"$@\" & pid=$!\n[ $n = 1 ] && {{ sleep 0.02; kill -9 $pid; }}\nwait $pid; s=$?; [ $n = 2 ] && kill -9 $$; exit $s",
        dir.path().join("count").display(),
        program().display()
    );
    let setup = Setup::with(|options| {
        script(options, &dir, &text);
        options.baseline = true;
        options.compile_limits.backoff = Duration::from_millis(1);
    });
    thread::scope(|scope| {
        for name in ["echo", "probe-batch", "probe-plain"] {
            let setup = &setup;
            scope.spawn(move || {
                eventually_blocking("it is taken", LONG, || {
                    setup.assign(guest(name)).is_ok_and(|assigned| assigned.load().is_ok())
                });
            });
        }
    });
    assert_eq!(setup.engine.stats().refused_files, 0);
}
