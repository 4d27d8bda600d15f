use std::sync::atomic::AtomicU64;

use pulselet_test_support::eventually_blocking;

use super::*;

const LONG: Duration = Duration::from_secs(60);

fn start() -> (Ticker, Arc<AtomicU64>) {
    let ticks = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&ticks);
    let advance = move || {
        counted.fetch_add(1, SeqCst);
    };
    (Ticker::start(Duration::from_micros(100), advance).unwrap(), ticks)
}

/// Parked is the state just before the thread sleeps without a timer; nothing but a guest or the end gets it out of it.
fn is_parked(ticker: &Ticker) -> bool {
    ticker.shared.parked.load(SeqCst)
}

#[test]
fn it_ticks_while_a_guest_runs_and_sleeps_when_none_does() {
    let (ticker, ticks) = start();
    for _ in 0..100 {
        let before = ticks.load(SeqCst);
        let running = ticker.running();
        eventually_blocking("it ticks", LONG, || ticks.load(SeqCst) > before + 1);
        drop(running);
        eventually_blocking("it is parked", LONG, || is_parked(&ticker));
    }
    let parked_at = ticks.load(SeqCst);
    assert!(is_parked(&ticker));
    assert_eq!(ticks.load(SeqCst), parked_at);
}

#[test]
fn it_ticks_until_the_last_of_several_guests_is_done() {
    let (ticker, ticks) = start();
    let (first, second) = (ticker.running(), ticker.running());
    drop(first);
    let before = ticks.load(SeqCst);
    eventually_blocking("it goes on", LONG, || ticks.load(SeqCst) > before + 10);
    drop(second);
    eventually_blocking("it is parked", LONG, || is_parked(&ticker));
}

/// A wake-up that got lost would leave a guest uninterrupted for ever.
#[test]
fn no_start_of_a_guest_is_missed_whoever_starts_it() {
    let (ticker, ticks) = start();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let before = ticks.load(SeqCst);
                    let _running = ticker.running();
                    eventually_blocking("it ticks", LONG, || ticks.load(SeqCst) > before);
                }
            });
        }
    });
}

#[test]
fn dropping_it_ends_its_thread_in_either_state() {
    let (ticker, _) = start();
    eventually_blocking("it is parked", LONG, || is_parked(&ticker));
    drop(ticker);
    let (ticker, ticks) = start();
    std::mem::forget(ticker.running());
    eventually_blocking("it ticks", LONG, || ticks.load(SeqCst) > 0);
    drop(ticker);
}
