//! Memory is counted for the whole process, so this test has one for itself.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(dead_code, reason = "of what tests share, little is needed here")]

#[path = "../all/host.rs"]
mod host;
#[path = "../all/setup.rs"]
mod setup;

use host::Recorder;
use pulselet_test_support::guest;
use setup::{Setup, say};

#[tokio::test]
async fn a_storm_of_traps_leaves_no_memory_and_no_place_taken() {
    let setup = Setup::with(|options| options.max_instances = 1);
    let loaded = setup.assign(guest("probe")).unwrap().load().unwrap();
    let storm = async |traps: usize| {
        for number in 0..traps {
            let mut instance = loaded.instantiate(Recorder::new()).await.unwrap();
            let command = if number % 2 == 0 { "trap" } else { "alloc 100000000" };
            assert_eq!(say(&mut instance, command).await.unwrap_err().kind(), "trap");
        }
        anonymous_kib()
    };
    let (before, after) = (storm(300).await, storm(2_000).await);
    // A page kept for each would be 8,000 KiB.
    assert!(after < before + 4_000, "{before} KiB, then {after} KiB");
}

fn anonymous_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
