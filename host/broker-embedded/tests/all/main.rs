//! The embedded broker from outside.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "these are tests: a panic is how they fail"
)]

mod conformance;
mod failing;
mod kill;
mod limits;
mod opening;
mod retention;
mod words;
