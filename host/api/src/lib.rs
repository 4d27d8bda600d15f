//! What a user declares: kinds, defaults, validation. No I/O.
//!
//! - [`topic`]: topic names and patterns
//! - [`Resolved`]: a declaration that has been checked

#![forbid(unsafe_code)]

mod resolved;
pub mod topic;

pub use resolved::*;
