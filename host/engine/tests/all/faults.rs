use std::time::{Duration, Instant};

use futures::FutureExt;
use pulselet_api::Limits;
use pulselet_engine::{Fault, Instance};
use pulselet_test_support::{eventually, guest};

use crate::host::Recorder;
use crate::setup::{LONG, Setup, limits, probe, probe_batch, probe_with, quick, say};

async fn broken_by(limits: &Limits, command: &str) -> (Fault, Instance<Recorder>) {
    let mut instance = probe_with(limits).instantiate(Recorder::new()).await.unwrap();
    let fault = say(&mut instance, command).await.unwrap_err();
    assert!(instance.is_poisoned(), "{command}: {fault}");
    (fault, instance)
}

fn trap_text(fault: Fault) -> String {
    let Fault::Trap(text) = fault else { panic!("no trap: {fault:?}") };
    text
}

#[tokio::test]
async fn a_trap_poisons_its_instance_and_no_other() {
    let mut neighbour = probe().await;
    let (fault, mut instance) = broken_by(&limits(), "trap").await;
    let text = trap_text(fault);
    assert!(text.starts_with("wasm `unreachable` instruction executed"), "{text}");
    assert!(text.contains("\n  at ") && text.contains("process"), "{text}");
    assert_eq!(say(&mut instance, "a").await.unwrap_err().kind(), "host_error");
    assert_eq!(say(&mut neighbour, "a").await.unwrap(), "a");
    assert_eq!(say(&mut probe().await, "a").await.unwrap(), "a");
}

#[tokio::test]
async fn a_panic_says_its_message_in_the_trap_and_in_the_log() {
    let (fault, instance) = broken_by(&limits(), "panic no such colour").await;
    let text = trap_text(fault);
    assert!(text.contains("no such colour") && text.contains("src/lib.rs"), "{text}");
    assert!(instance.into_host().lines("stderr").contains(&"no such colour"));
}

#[tokio::test]
async fn a_trap_quotes_only_what_its_own_call_wrote() {
    let mut instance = probe().await;
    say(&mut instance, "stderr earlier").await.unwrap();
    let text = trap_text(say(&mut instance, "trap").await.unwrap_err());
    assert!(!text.contains("earlier"), "{text}");
}

#[tokio::test]
async fn a_panic_quotes_a_bounded_part_of_what_was_written() {
    let (fault, _) = broken_by(&limits(), &format!("panic {}", "long ".repeat(10_000))).await;
    assert!(trap_text(fault).len() <= 4 << 10);
}

#[tokio::test]
async fn ending_the_process_is_a_trap() {
    let text = trap_text(broken_by(&limits(), "exit").await.0);
    assert!(text.starts_with("Exited with i32 exit status"), "{text}");
}

#[tokio::test]
async fn endless_recursion_is_a_trap() {
    let text = trap_text(broken_by(&limits(), "recurse").await.0);
    assert!(text.contains("call stack exhausted"), "{text}");
}

#[tokio::test]
async fn a_message_the_call_does_not_hold_is_a_trap() {
    let text = trap_text(broken_by(&limits(), "meta 1").await.0);
    assert!(text.contains("message 1 was asked for, but this call holds 1"), "{text}");
}

#[tokio::test]
async fn memory_over_the_limit_is_a_trap_that_names_the_limit() {
    assert_eq!(say(&mut probe().await, "alloc 30000000").await.unwrap(), "ok");
    let text = trap_text(broken_by(&limits(), "alloc 100000000").await.0);
    assert!(text.contains("of 67108864 allowed; raise spec.limits.memory"), "{text}");
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_a_trap_that_names_the_limit() {
    let limits = Limits { memory_bytes: 500 << 20, ..limits() };
    let text = trap_text(broken_by(&limits, "return 100000000").await.0);
    assert!(text.contains("spec.limits.outputBytes"), "{text}");
}

#[tokio::test]
async fn a_guest_that_computes_for_ever_is_interrupted() {
    let (fault, _) = broken_by(&quick(), "loop").await;
    assert_eq!(fault, Fault::Timeout(quick().timeout));
    let mut neighbour = probe().await;
    assert_eq!(say(&mut neighbour, "a").await.unwrap(), "a");
}

#[tokio::test]
async fn a_guest_that_waits_for_ever_is_interrupted() {
    for command in ["sleep 10000000", "publish-now nowhere x"] {
        assert_eq!(broken_by(&quick(), command).await.0, Fault::Timeout(quick().timeout), "{command}");
    }
}

#[tokio::test]
async fn a_guest_that_writes_for_ever_is_interrupted() {
    let (fault, instance) = broken_by(&quick(), "flood").await;
    assert_eq!(fault, Fault::Timeout(quick().timeout));
    assert!(!instance.into_host().lines("stdout").is_empty());
}

#[tokio::test]
async fn a_guest_that_waits_is_given_its_time() {
    assert_eq!(say(&mut probe().await, "sleep 20").await.unwrap(), "slept");
}

#[tokio::test]
async fn a_busy_guest_lets_others_have_the_thread() {
    let mut busy = probe().await;
    let mut call = Box::pin(say(&mut busy, "loop"));
    let mut other = probe().await;
    let answer = tokio::select! {
        ended = &mut call => panic!("{ended:?}"),
        answer = say(&mut other, "a") => answer,
    };
    assert_eq!(answer.unwrap(), "a");
    // It yields again and again, not once only.
    for _ in 0..3 {
        assert!((&mut call).now_or_never().is_none());
    }
}

#[tokio::test]
async fn a_call_that_is_dropped_poisons_its_instance() {
    let mut instance = probe().await;
    assert!(tokio::time::timeout(Duration::from_millis(10), say(&mut instance, "loop")).await.is_err());
    assert!(instance.is_poisoned());
    assert_eq!(say(&mut instance, "a").await.unwrap_err().kind(), "host_error");
    // What it had is free for others.
    drop(instance);
    eventually("another instance works", LONG, || async { say(&mut probe().await, "a").await }).await;
}

#[tokio::test]
async fn one_bad_message_breaks_its_whole_batch_off() {
    for (bad, kind) in [("trap", "trap"), ("key", "trap")] {
        let mut instance = probe_batch().await;
        let batch: Vec<_> = ["a", bad].iter().map(|text| bytes::Bytes::from(*text)).collect();
        // Only one message is held, so the key of the second cannot be asked for.
        assert_eq!(instance.process_batch(&batch).await.unwrap_err().kind(), kind);
        assert!(instance.is_poisoned());
    }
}

/// The ticker sleeps while no guest runs, so a first turn that ended at the second tick would last twice as long as the
/// turn after it.
#[tokio::test]
async fn a_busy_guest_yields_at_the_first_tick_as_at_every_other() {
    let setup = Setup::with(|options| options.epoch_tick = Duration::from_millis(20));
    let loaded = setup.assign(guest("probe")).unwrap().load().unwrap();
    // Whoever else has the processor meanwhile may make any turn longer, so once is enough.
    let mut seen = Vec::new();
    for _ in 0..20 {
        let mut busy = loaded.instantiate(Recorder::new()).await.unwrap();
        let mut call = Box::pin(say(&mut busy, "loop"));
        let turns = [(); 2].map(|()| {
            let start = Instant::now();
            assert!((&mut call).now_or_never().is_none());
            start.elapsed()
        });
        seen.push(turns);
        if turns[0] < turns[1].mul_f64(1.5) {
            return;
        }
    }
    panic!("{seen:?}");
}
