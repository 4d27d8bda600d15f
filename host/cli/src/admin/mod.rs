//! Topics, messages and subscriptions of a data folder, from another process.
//!
//! Only one process can have a data folder open. Whoever has it (`pulselet run`, or another of these commands) serves it
//! on a socket in the folder, to this user only; the others are clients.
//!
//! - [`Served`]: a folder's socket, with a broker behind it
//! - [`Access`]: a client, and the broker too if nobody else has the folder open
//! - [`wire`]: what travels; `routes`, `produce`, `consume`: the server's side

mod access;
mod client;
mod consume;
mod lines;
mod produce;
mod routes;
mod served;
mod socket;
pub(crate) mod wire;

pub(crate) use access::Access;
pub(crate) use client::{Client, Producing};
pub(crate) use served::Served;
