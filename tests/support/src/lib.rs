//! What tests of several crates share.
//!
//! - [`guest`], [`example`]: a component built from this repository, brought up to date on first use
//! - [`eventually`], [`eventually_blocking`]: wait for a condition, bounded, and say what was seen last
//!
//! Everything here panics on failure: a panic is how a test fails.

#![forbid(unsafe_code)]
#![allow(clippy::panic, reason = "a panic is how a test fails")]

mod components;
mod eventually;

pub use components::{example, guest};
pub use eventually::{Observation, eventually, eventually_blocking};
