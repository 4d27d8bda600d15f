//! The engine as its callers see it, with real components.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic is how a test fails, also in what tests share"
)]

mod assign;
mod calls;
mod compiling;
mod faults;
mod host;
mod imports;
mod inspect;
mod places;
mod residency;
mod setup;
mod stdio;
mod store;
mod tiers;
