use std::cell::RefCell;
use std::time::Duration;

use pulselet::testing::{Failure, Settled, Settlement, harness};
use pulselet::{AckHandle, Context, Error};

thread_local! {
    static OPEN: RefCell<Vec<AckHandle>> = const { RefCell::new(Vec::new()) };
}

/// Keeps a message for later, settles the one kept last, or fails after settling it.
#[pulselet::function]
fn by_hand(what: &str, ctx: &Context) -> Result<(), Error> {
    let last = || OPEN.with_borrow_mut(Vec::pop).ok_or_else(|| Error::fatal("nothing is open"));
    match what {
        "keep" => OPEN.with_borrow_mut(|open| open.push(ctx.ack_handle())),
        "ack" => last()?.ack()?,
        "nack" => last()?.nack(Duration::from_secs(2))?,
        "nack soon" => last()?.nack(None)?,
        _ => {
            last()?.ack()?;
            return Err(Error::retry("after the ack"));
        }
    }
    Ok(())
}

fn entries(settled: &[Settled]) -> Vec<(u64, Settlement)> {
    settled.iter().map(|it| (it.message_id.entry, it.how)).collect()
}

#[test]
fn a_handle_settles_its_message_in_a_later_call() -> Result<(), Failure> {
    let mut f = harness!(by_hand);
    for _ in 0..3 {
        assert!(f.message("keep").call()?.settled().is_empty());
    }
    assert_eq!(entries(f.message("ack").call()?.settled()), [(2, Settlement::Acked)]);
    assert_eq!(entries(f.message("nack").call()?.settled()), [(1, Settlement::Nacked(Some(Duration::from_secs(2))))]);
    assert_eq!(entries(f.message("nack soon").call()?.settled()), [(0, Settlement::Nacked(None))]);
    Ok(())
}

#[test]
fn a_call_that_fails_settles_nothing() -> Result<(), Failure> {
    let mut f = harness!(by_hand);
    f.message("keep").call()?;
    assert!(f.message("fail").call().unwrap_err().settled().is_empty());
    Ok(())
}
