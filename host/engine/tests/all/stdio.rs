use std::time::Duration;

use pulselet_engine::contract::LogLevel;
use pulselet_test_support::guest;

use crate::host::Recorder;
use crate::setup::{Setup, probe, say};

#[tokio::test]
async fn standard_output_and_error_become_log_lines() {
    let mut instance = probe().await;
    say(&mut instance, "stdout one two").await.unwrap();
    say(&mut instance, "stderr three").await.unwrap();
    let logged = instance.into_host().logged;
    assert_eq!(
        logged,
        [(LogLevel::Info, "stdout".into(), "one two".into()), (LogLevel::Warn, "stderr".into(), "three".into())]
    );
}

#[tokio::test]
async fn an_unfinished_line_is_logged_when_the_call_ends() {
    let mut instance = probe().await;
    say(&mut instance, "print begun").await.unwrap();
    assert_eq!(instance.host_mut().lines("stdout"), ["begun"]);
    say(&mut instance, "stdout anew").await.unwrap();
    assert_eq!(instance.host_mut().lines("stdout"), ["begun", "anew"]);
}

#[tokio::test]
async fn a_line_that_is_too_long_is_broken() {
    let mut instance = probe().await;
    say(&mut instance, &format!("stdout {}", "x".repeat(20_000))).await.unwrap();
    let host = instance.into_host();
    let lengths: Vec<usize> = host.lines("stdout").iter().map(|line| line.len()).collect();
    assert_eq!(lengths.iter().sum::<usize>(), 20_000);
    assert!(lengths.iter().all(|length| *length <= 8 << 10), "{lengths:?}");
}

#[tokio::test]
async fn what_is_written_faster_than_it_can_be_passed_on_is_dropped_and_counted() {
    // No tick comes by to pass on what was written.
    let setup = Setup::with(|options| options.epoch_tick = Duration::from_secs(3_600));
    let loaded = setup.assign(guest("probe")).unwrap().load().unwrap();
    let mut instance = loaded.instantiate(Recorder::new()).await.unwrap();
    say(&mut instance, &format!("stdout {}", "x".repeat(100_000))).await.unwrap();
    let host = instance.host_mut();
    assert_eq!(host.lines("stdout").concat().len(), 64 << 10);
    assert!(host.lines("stderr")[0].starts_with("34465 bytes were dropped"), "{:?}", host.lines("stderr"));
    host.logged.clear();
    say(&mut instance, "stdout after").await.unwrap();
    assert_eq!(instance.host_mut().lines("stdout"), ["after"]);
}
