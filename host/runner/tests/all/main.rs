//! Functions on a broker: real components, the embedded broker in memory or in a folder.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod batching;
mod context;
mod failing;
mod fair;
mod guarantees;
mod instances;
mod life;
mod limits;
mod numbers;
mod ordering;
mod rig;
mod swap;
