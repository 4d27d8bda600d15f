//! Tests a function like any other Rust code, with plain `cargo test` and without a broker.
//!
//! Add the SDK to the `dev-dependencies` with feature `testing`. A [`Harness`] calls the function with messages and shows
//! what it did: its answer, what it published, logged, counted and settled.
//!
//! ```
//! # #[pulselet::function]
//! # fn exclamation(line: String, ctx: &pulselet::Context) -> String { log::info!("seen"); line + "!" }
//! # fn main() -> Result<(), pulselet::testing::Failure> {
//! let mut f = pulselet::testing::harness!(exclamation);
//! let out = f.message("hello").key("k").call()?;
//! assert_eq!(out.text(), Some("hello!"));
//! assert!(out.published().is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! # The same test against the built component
//! With `PULSELET_COMPONENT` set to the path of a component, a harness calls that component through
//! `pulselet harness` (the program `pulselet`, or what `PULSELET_BIN` names) instead of the Rust function. Both ways
//! keep the rules of the contract: a call that fails publishes and settles nothing. Three things differ:
//! - natively, what the function keeps in statics lives on between harnesses; a component starts afresh with each
//! - natively, a panic is what a trap is to a component, but what was in memory before it stays
//! - limits of time and memory hold only for a component

#[cfg(all(feature = "testing", not(target_arch = "wasm32")))]
mod component;
#[cfg(all(feature = "testing", not(target_arch = "wasm32")))]
mod effects;
#[cfg(all(feature = "testing", not(target_arch = "wasm32")))]
mod harness;
#[cfg(all(feature = "testing", not(target_arch = "wasm32")))]
mod input;
#[cfg(all(feature = "testing", not(target_arch = "wasm32")))]
mod native;
#[cfg(all(feature = "testing", not(target_arch = "wasm32")))]
mod outcome;
#[doc(hidden)]
pub mod protocol;

#[cfg(all(feature = "testing", not(target_arch = "wasm32")))]
pub use self::{
    effects::{Effects, LogLine, Metric, MetricKind, Published, Settled, Settlement},
    harness::{Entry, EntryPoint, Harness},
    input::{Input, message},
    outcome::{BatchOutcome, Cause, Failure, Outcome},
};

/// A [`Harness`] for a function, by its name: `harness!(exclamation)`, `harness!(my_crate::exclamation)`.
#[cfg(all(feature = "testing", not(target_arch = "wasm32")))]
#[doc(inline)]
pub use crate::__harness as harness;

#[cfg(all(feature = "testing", not(target_arch = "wasm32")))]
#[doc(hidden)]
#[macro_export]
macro_rules! __harness {
    ($function:path) => {
        $crate::testing::Harness::new::<$function>()
    };
}
