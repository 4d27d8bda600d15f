//! Adds up numbers, three at a time. Until their sum is on its way the three stay unacknowledged: if the function goes
//! down before, they are delivered again and none is missing from a sum.

use std::cell::RefCell;
use std::mem::take;

use pulselet::{AckHandle, Context, Json, SettleError};

const GROUP: usize = 3;

thread_local! {
    static OPEN: RefCell<Vec<(u32, AckHandle)>> = const { RefCell::new(Vec::new()) };
}

#[pulselet::function]
fn sum(Json(number): Json<u32>, ctx: &Context) -> Result<Option<Json<u64>>, SettleError> {
    let group = OPEN.with_borrow_mut(|open| {
        open.push((number, ctx.ack_handle()));
        if open.len() == GROUP { take(open) } else { Vec::new() }
    });
    if group.is_empty() {
        return Ok(None);
    }
    let mut sum = 0;
    for (number, handle) in group {
        sum += u64::from(number);
        handle.ack()?;
    }
    Ok(Some(Json(sum)))
}

#[cfg(test)]
mod tests {
    use pulselet::testing::{Failure, Settlement, harness};

    use super::*;

    #[test]
    fn three_numbers_are_acked_together_with_their_sum() -> Result<(), Failure> {
        let mut f = harness!(sum);
        for number in ["1", "20"] {
            let out = f.message(number).call()?;
            assert_eq!(out.answer(), None);
            assert!(out.settled().is_empty());
        }
        let out = f.message("300").call()?;
        assert_eq!(out.text(), Some("321"));

        let acked: Vec<_> = out.settled().iter().map(|it| (it.message_id.entry, it.how)).collect();
        assert_eq!(acked, [(0, Settlement::Acked), (1, Settlement::Acked), (2, Settlement::Acked)]);
        Ok(())
    }
}
