//! `pulselet run`, the real binary: as a filter, as a service, killed, and given bad input.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod bad_input;
mod crash;
mod filter;
mod pulselet;
mod service;
mod update;
