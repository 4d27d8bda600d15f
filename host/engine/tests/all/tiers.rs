//! Baseline code first, optimised code after it.

use std::fs;

use pulselet_engine::{Engine, Options, Tier};
use pulselet_test_support::{eventually_blocking, guest};

use crate::host::Recorder;
use crate::setup::{LONG, Setup, say};

fn both(options: &mut Options) {
    options.baseline = true;
}

/// A component that the baseline compiler refuses: it uses tail calls.
fn refused_by_the_baseline() -> Vec<u8> {
    let echo = fs::read(guest("echo")).unwrap();
    let tail = wat::parse_str(
        "(component (core module $m (func $f (result i32) i32.const 1) (func (result i32) return_call $f)))",
    )
    .unwrap();
    // A nested component that nothing uses is compiled all the same.
    let mut bytes = echo;
    bytes.push(4);
    let mut size = tail.len();
    while size >= 0x80 {
        bytes.push((size & 0x7f) as u8 | 0x80);
        size >>= 7;
    }
    bytes.push(size as u8);
    bytes.extend(tail);
    bytes
}

#[tokio::test]
async fn a_component_starts_with_baseline_code_and_goes_on_with_optimised_code() {
    let setup = Setup::with(both);
    let assigned = setup.assign(guest("probe-batch")).unwrap();
    let loaded = assigned.load().unwrap();
    let mut instance = loaded.instantiate(Recorder::new()).await.unwrap();
    assert_eq!(say(&mut instance, "a").await.unwrap(), "a");
    eventually_blocking("optimised code is there", LONG, || assigned.residence().tier == Some(Tier::Cranelift));
    if loaded.tier() == Tier::Winch {
        eventually_blocking("it is told", LONG, || instance.is_outdated());
        // It still answers: the swap is for whoever holds it, between two calls.
        assert_eq!(say(&mut instance, "b").await.unwrap(), "b");
    }
    let next = assigned.load().unwrap();
    assert_eq!(next.tier(), Tier::Cranelift);
    let mut instance = next.instantiate(Recorder::new()).await.unwrap();
    assert!(!instance.is_outdated());
    assert_eq!(say(&mut instance, "c").await.unwrap(), "c");
    assert_eq!(setup.engine.stats().compiled_by_winch, 1);
}

#[test]
fn the_next_process_uses_the_best_code_there_is() {
    let setup = Setup::with(both);
    let assigned = setup.assign(guest("probe-batch")).unwrap();
    eventually_blocking("optimised code is there", LONG, || assigned.residence().tier == Some(Tier::Cranelift));
    drop(assigned);
    let Setup { engine, dir } = setup;
    drop(engine);
    let next = Setup { engine: Engine::new(Options::new(dir.path().join("store"))).unwrap(), dir };
    assert_eq!(next.assign(guest("probe-batch")).unwrap().load().unwrap().tier(), Tier::Cranelift);
    let stats = next.engine.stats();
    assert_eq!((stats.compiled_by_winch, stats.compiled_by_cranelift), (0, 0));
}

#[test]
fn where_only_baseline_code_is_left_it_is_used_and_better_code_is_made() {
    let setup = Setup::with(both);
    let assigned = setup.assign(guest("probe-batch")).unwrap();
    eventually_blocking("optimised code is there", LONG, || assigned.residence().tier == Some(Tier::Cranelift));
    drop(assigned);
    let newest = |setup: &Setup| {
        let made = |path: &std::path::PathBuf| fs::metadata(path).unwrap().modified().unwrap();
        setup.files("compiled").into_iter().max_by_key(made).unwrap()
    };
    fs::remove_file(newest(&setup)).unwrap();
    let next = Setup { engine: Engine::new(Options::new(setup.dir.path().join("store"))).unwrap(), dir: setup.dir };
    let assigned = next.assign(guest("probe-batch")).unwrap();
    assigned.load().unwrap();
    assert_eq!(next.engine.stats().compiled_by_winch, 0);
    eventually_blocking("optimised code is made again", LONG, || next.engine.stats().compiled_by_cranelift == 1);
}

#[tokio::test]
async fn what_the_baseline_refuses_starts_with_optimised_code() {
    let setup = Setup::with(both);
    setup.write("tail.wasm", &refused_by_the_baseline());
    let loaded = setup.assign("tail.wasm").unwrap().load().unwrap();
    assert_eq!(loaded.tier(), Tier::Cranelift);
    assert!(loaded.instantiate(Recorder::new()).await.unwrap().process(b"a").await.is_ok());
    assert_eq!(setup.engine.stats().compiled_by_winch, 0);
}

#[tokio::test]
async fn baseline_code_is_interrupted_and_limited_like_any_other() {
    let setup = Setup::with(both);
    // Kept from getting better code, so that what runs is the baseline's.
    let assigned = setup.assign_with(guest("probe"), crate::setup::ALL, &crate::setup::quick()).unwrap();
    let loaded = assigned.load().unwrap();
    let mut spinning = loaded.instantiate(Recorder::new()).await.unwrap();
    let fault = say(&mut spinning, "loop").await.unwrap_err();
    assert_eq!(fault.kind(), "timeout", "{fault} ({})", loaded.tier());
    let mut growing = loaded.instantiate(Recorder::new()).await.unwrap();
    let fault = say(&mut growing, "panic").await.unwrap_err();
    assert_eq!(fault.kind(), "trap", "{fault}");
}

#[test]
fn baseline_code_can_be_done_without() {
    let setup = Setup::new();
    assert_eq!(setup.assign(guest("echo")).unwrap().load().unwrap().tier(), Tier::Cranelift);
    assert_eq!(setup.engine.stats().compiled_by_winch, 0);
    assert_eq!(setup.engine.budgets().baseline_instances, 0);
}

#[tokio::test]
async fn code_can_be_put_in_place_for_a_component_that_differs_in_nothing_that_is_compiled() {
    let setup = Setup::new();
    let mut bytes = fs::read(guest("echo")).unwrap();
    let assigned = setup.assign(guest("echo")).unwrap();
    // An empty custom section.
    bytes.extend([0, 2, 1, b'n']);
    let twin = setup.write("twin.wasm", &bytes);
    assigned.copy_code_for(crate::assign::digest_of(&twin)).unwrap();
    let mut instance = setup.assign(twin).unwrap().load().unwrap().instantiate(Recorder::new()).await.unwrap();
    assert_eq!(say(&mut instance, "a").await.unwrap(), "a");
    assert_eq!(setup.engine.stats().compiled_by_cranelift, 1);
}
