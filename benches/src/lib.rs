//! What the benches share. Each bench is a file beside `src`; its documentation says what it asks, what it compares with,
//! and what it leaves out.
//!
//! - [`Comparison`]: samples of several subjects, taken in interleaved rounds of one run
//! - [`Report`]: the table that is printed and the JSON that is kept in `target/bench`
//! - [`svg()`]: charts beside it
//! - [`Emptyhanded`]: a host for guests that ask for nothing
//! - [`Distinct`]: many components of different digests
//! - [`Fleet`]: many functions on a runner over a broker in memory
//! - [`Footprint`]: what the process takes of the system

#![forbid(unsafe_code)]

mod comparison;
mod conditions;
mod distinct;
mod emptyhanded;
mod fleet;
mod footprint;
mod report;
mod svg;

pub use comparison::{Comparison, OURS};
pub use conditions::Conditions;
pub use distinct::Distinct;
pub use emptyhanded::Emptyhanded;
pub use fleet::{Fleet, next_answers, publish};
pub use footprint::Footprint;
pub use report::{Ratio, Report, Row};
pub use svg::{Chart, svg};

/// True when the run is to end within two minutes (`QUICK=1`).
pub fn quick() -> bool {
    std::env::var_os("QUICK").is_some_and(|value| !value.is_empty() && value != "0")
}
