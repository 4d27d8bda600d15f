//! What stays loaded, and what makes room.

use pulselet_engine::{LoadError, Options};
use pulselet_test_support::guest;

use crate::host::Recorder;
use crate::setup::{Setup, say};

fn one_at_a_time(options: &mut Options) {
    options.max_loaded = Some(1);
}

#[test]
fn a_component_stays_loaded_when_nobody_uses_it() {
    let setup = Setup::new();
    let assigned = setup.assign(guest("echo")).unwrap();
    assert!(assigned.residence().loaded, "loaded at assignment, since there is room");
    for _ in 0..3 {
        drop(assigned.load().unwrap());
    }
    assert_eq!(assigned.residence().loads, 1);
}

#[test]
fn the_longest_unused_component_makes_room() {
    let setup = Setup::with(|options| options.max_loaded = Some(2));
    let [a, b, c] = ["echo", "probe-batch", "probe-plain"].map(|name| setup.assign(guest(name)).unwrap());
    assert_eq!([&a, &b, &c].map(|assigned| assigned.residence().loaded), [false, true, true]);
    b.load().unwrap();
    a.load().unwrap();
    assert_eq!([&a, &b, &c].map(|assigned| assigned.residence().loaded), [true, true, false]);
    assert_eq!((setup.engine.stats().loaded, setup.engine.stats().kept), (2, 2));
}

#[test]
fn the_budget_of_memory_is_kept_by_unloading() {
    let setup = Setup::with(|options| options.loaded_bytes = 1);
    let assigned = setup.assign(guest("echo")).unwrap();
    assert!(!assigned.residence().loaded);
    let loaded = assigned.load().unwrap();
    assert!(assigned.residence().loaded, "as long as somebody uses it");
    drop(loaded);
    assert!(!assigned.residence().loaded);
    assert_eq!(setup.engine.stats().kept_bytes, 0);
}

#[tokio::test]
async fn what_is_used_is_never_unloaded_and_who_finds_no_room_is_told_and_gets_it_later() {
    let setup = Setup::with(one_at_a_time);
    let first = setup.assign(guest("echo")).unwrap();
    let second = setup.assign(guest("probe-batch")).unwrap();
    let mut instance = first.load().unwrap().instantiate(Recorder::new()).await.unwrap();
    assert!(matches!(second.load(), Err(LoadError::Full { budget: 1 })));
    assert!(matches!(second.load_or_restore().await, Err(LoadError::Full { .. })));
    assert_eq!(say(&mut instance, "a").await.unwrap(), "a");
    drop(instance);
    second.load().unwrap();
}

#[test]
fn a_component_that_nobody_assigns_is_forgotten() {
    let setup = Setup::new();
    let assigned = setup.assign(guest("echo")).unwrap();
    assert_eq!(setup.engine.stats().kept, 1);
    drop(assigned);
    pulselet_test_support::eventually_blocking("it is forgotten", crate::setup::LONG, || {
        let stats = setup.engine.stats();
        (stats.kept, stats.loaded, stats.kept_bytes) == (0, 0, 0)
    });
}
