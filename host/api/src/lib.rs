//! What a user declares: kinds, defaults, rules. No I/O.
//!
//! - [`parse`]: text (YAML or JSON) to [`Declared`] functions, or to everything that is wrong with it
//! - [`Function`], [`spec`]: a declaration as it is written; [`schema`]: its JSON Schema, [`reference()`] its handbook page
//! - [`Rule`], [`Problem`], [`Errors`]: what can be wrong, with codes that never change
//! - [`Resolved`]: a declaration that has been checked
//! - [`topic`]: topic names and patterns
//!
//! Start at [`parse`].

#![forbid(unsafe_code)]

mod document;
mod foreign;
mod function;
mod parse;
mod problem;
mod quantity;
mod reference;
mod resolve;
mod resolved;
mod rule;
mod schema;
mod shape;
pub mod spec;
mod suggestion;
pub mod topic;

pub use function::{ApiVersion, Function, Kind, Metadata};
pub use parse::{Declared, parse, parse_all};
pub use problem::{Errors, Place, Problem};
pub use quantity::Quantity;
pub use reference::reference;
pub use resolved::*;
pub use rule::{Rule, Severity};
pub use schema::schema;
