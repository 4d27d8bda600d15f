//! What the benches share. Each bench is a file beside `src`; its documentation says what it asks, what it compares with,
//! and what it leaves out.
//!
//! - [`Comparison`]: samples of several subjects, taken in interleaved rounds of one run
//! - [`Report`]: the table that is printed and the JSON that is kept in `target/bench`
//! - [`Emptyhanded`]: a host for guests that ask for nothing

#![forbid(unsafe_code)]

mod comparison;
mod conditions;
mod emptyhanded;
mod report;

pub use comparison::{Comparison, OURS};
pub use conditions::Conditions;
pub use emptyhanded::Emptyhanded;
pub use report::{Ratio, Report, Row};

/// True when the run is to end within two minutes (`QUICK=1`).
pub fn quick() -> bool {
    std::env::var_os("QUICK").is_some_and(|value| !value.is_empty() && value != "0")
}
