//! What is kept, and how: one redb database, written by one thread.
//!
//! - [`open`]: from options to an open database, with an error that says what to do
//! - [`tables`]: the tables, and the layout of their values
//! - [`commit`]: one transaction: what changed in all topics since the last one

pub(crate) mod backend;
pub(crate) mod commit;
pub(crate) mod load;
pub(crate) mod open;
pub(crate) mod tables;

pub(crate) use open::Store;
