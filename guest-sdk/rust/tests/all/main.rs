//! The SDK as its users meet it: functions by attribute, called by the test kit, and built into components.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests")]

mod batches;
mod config;
mod contexts;
mod failures;
mod imports;
mod logs;
mod settling;
mod signatures;
mod wire;
