//! What functions without traffic cost: memory and wake-ups. Both are counted for the whole process, so nothing else
//! runs in it, and the tests take turns.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a panic is how a test fails")]
#![allow(clippy::print_stderr, reason = "says what was measured")]

mod heap;
mod rig;
mod wakes;

use std::time::Duration;

use pulselet_test_support::eventually_blocking;
use rig::{Rig, SOON};

/// The tasks, queues, consumer, metrics and declaration of a replica.
const MOST_BYTES: usize = 8 * 1024;
const FEW: usize = 100;
const MANY: usize = 1_100;

#[test]
fn an_idle_replica_takes_at_most_8_kib_besides_what_its_broker_keeps() {
    let of_broker = bytes_of_each(Rig::subscribe);
    let all_in = bytes_of_each(Rig::deploy);
    eprintln!("{all_in} bytes for each function, of which {of_broker} are the embedded broker's");
    assert!(all_in - of_broker <= MOST_BYTES, "{all_in} bytes for each function, {of_broker} without a runner");
}

fn bytes_of_each(make: impl Fn(&Rig, std::ops::Range<usize>)) -> usize {
    let rig = Rig::new();
    make(&rig, 0..FEW);
    let few = heap::held_bytes();
    make(&rig, FEW..MANY);
    (heap::held_bytes() - few) / (MANY - FEW)
}

#[test]
fn idle_functions_are_not_woken_and_a_topic_that_is_made_does_not_concern_them() {
    const FUNCTIONS: usize = 200;
    let rig = Rig::new();
    rig.deploy(0..FUNCTIONS);
    let woken = quiet_wakes();
    assert_eq!(woken, 0, "woken while idle");
    let before = wakes::so_far();
    rig.create_partitioned("another", 2);
    quiet_wakes();
    let woken = wakes::so_far() - before;
    // The writer of the broker, and those who asked for it.
    assert!(woken < FUNCTIONS as u64 / 4, "{woken} times woken by a topic that nobody reads");
}

#[test]
fn a_new_topic_of_a_pattern_is_read_without_being_looked_for() {
    let rig = Rig::new();
    rig.deploy_one(0, "topicPattern: 'persistent://public/default/seen-.*'");
    quiet_wakes();
    for topic in ["seen-1", "seen-2"] {
        rig.make(topic);
        eventually_blocking("the topic is read", SOON, || rig.readers(topic) == 1);
    }
}

#[test]
fn new_partitions_are_read_without_being_looked_for() {
    let rig = Rig::new();
    rig.create_partitioned("in-0", 1);
    rig.deploy(0..1);
    quiet_wakes();
    rig.create_partitioned("in-0", 3);
    eventually_blocking("all partitions are read", SOON, || rig.readers("in-0") == 3);
}

/// How often threads are woken in a while, once the work of the start is over.
fn quiet_wakes() -> u64 {
    let mut last = u64::MAX;
    eventually_blocking("the process is quiet", SOON, || {
        let before = wakes::so_far();
        #[expect(clippy::disallowed_methods, reason = "that nothing happens in a while takes that while to see")]
        std::thread::sleep(Duration::from_millis(500));
        last = wakes::so_far() - before;
        if last == 0 { Ok(()) } else { Err(last) }
    });
    last
}
