//! One file for each command.

pub(crate) mod build;
pub(crate) mod compile;
pub(crate) mod completions;
pub(crate) mod consume;
pub(crate) mod harness;
pub(crate) mod inspect;
pub(crate) mod new;
pub(crate) mod produce;
pub(crate) mod ps;
pub(crate) mod schema;
pub(crate) mod subscriptions;
pub(crate) mod test;
pub(crate) mod topics;
pub(crate) mod update;
pub(crate) mod validate;
