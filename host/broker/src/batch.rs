//! The messages of an entry in bytes, in Pulsar's batch format: for each message
//! `[u32 big endian: size of metadata][SingleMessageMetadata in protobuf][payload]`.
//!
//! - [`Outgoing`] and [`BatchBuilder`] put messages into a [`Batch`], straight from borrowed data
//! - [`Messages`] takes an entry apart; its messages are slices of the entry's buffer
//! - [`Metadata`] is what came with one message, read when asked for
//!
//! The codec is written by hand because it runs once for every message in and once for every message out. It allocates
//! nothing per message, and the decoder accepts any bytes: it answers with messages or with
//! [`Error::Corrupt`](crate::Error::Corrupt).

mod builder;
mod decoder;
mod metadata;
mod outgoing;
mod properties;
#[cfg(test)]
mod tests;
mod wire;

pub use builder::{Batch, BatchBuilder};
pub use decoder::Messages;
pub use metadata::Metadata;
pub use outgoing::{Key, Outgoing, Pairs};
pub use properties::{Properties, RawProperties};
