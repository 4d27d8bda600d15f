//! What a failed call is called.

use std::fmt::Write;
use std::time::Duration;

use wasmtime::{Trap, WasmBacktrace};

use crate::bindings::pulselet::function::outcome;
use crate::state::State;
use crate::{Fault, GuestError};

/// Longest text of a trap.
const MAX_TEXT_BYTES: usize = 4 << 10;

impl From<outcome::Error> for GuestError {
    fn from(error: outcome::Error) -> Self {
        match error {
            outcome::Error::Retry(retry) => {
                Self::Retry { reason: retry.reason, delay: retry.delay.map(Duration::from_millis) }
            }
            outcome::Error::Reject(reason) => Self::Reject(reason),
            outcome::Error::Fatal(reason) => Self::Fatal(reason),
        }
    }
}

/// A call that ended in an error. Whatever the guest did wrong is a trap, also when it is the host that noticed: a list
/// that points outside its memory, a message it was not given.
pub(crate) fn in_call<H>(error: &wasmtime::Error, timeout: Duration, state: &mut State<H>) -> Fault {
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => Fault::Timeout(timeout),
        _ if is_ours(error) => Fault::Host(format!("{error:#}")),
        _ => Fault::Trap(text(error, state)),
    }
}

/// An instance that was not made. Here the host is at fault unless the guest has run, or wanted too much.
pub(crate) fn at_start<H>(error: &wasmtime::Error, timeout: Duration, state: &mut State<H>) -> Fault {
    let by_guest = error.is::<Trap>() || error.is::<WasmBacktrace>() || state.limiter.has_refused();
    if by_guest { in_call(error, timeout, state) } else { Fault::Host(format!("{error:#}")) }
}

fn is_ours(error: &wasmtime::Error) -> bool {
    error.is::<wasmtime::PoolConcurrencyLimitError>() || error.is::<wasmtime::OutOfMemory>()
}

/// What broke, what the guest had to say of it, what it was refused before, and where it was.
fn text<H>(error: &wasmtime::Error, state: &mut State<H>) -> String {
    let cause = error.root_cause().to_string();
    // Wasmtime has no type for it that could be asked for.
    let mut text = if cause.contains("fuel allocated for hostcalls") {
        "it handed over more bytes at once than spec.limits.outputBytes allows".to_owned()
    } else {
        cause.trim_start_matches("wasm trap: ").to_owned()
    };
    // Writing to a string does not fail.
    if let Some(refusal) = state.limiter.take_refusal() {
        let _ = write!(text, "; {refusal}");
    }
    if let Some(quote) = state.stdio.take_quote() {
        let _ = write!(text, "; stderr: {quote}");
    }
    if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() {
        for frame in backtrace.frames() {
            let name = frame.func_name().map_or_else(|| format!("function {}", frame.func_index()), str::to_owned);
            let _ = write!(text, "\n  at {name}");
        }
    }
    text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
    text
}
