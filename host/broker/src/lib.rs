//! What Pulselet needs of a broker, and the types that travel between a broker and a runner.
//!
//! - [`Broker`], [`Consumer`], [`Producer`]: the seam; one crate implements it per broker
//! - [`entry`]: what is delivered: an [`Entry`] holds the messages that were stored together
//! - [`batch`]: how the messages of an entry are laid out in bytes (Pulsar's batch format), read without copies
//! - [`topic`]: topic names, partitions, patterns (of `pulselet-api`)
//! - [`routing`]: which partition a key belongs to
//! - [`error`]: what can go wrong, sorted by what the caller should do
//!
//! The words and rules are Apache Pulsar's. A broker here promises what [`Broker`] and its parts say, and the
//! conformance suite (feature `conformance`) checks it against each implementation.

#![forbid(unsafe_code)]

pub mod batch;
mod broker;
mod consumer;
pub mod entry;
pub mod error;
mod producer;
pub mod routing;

#[cfg(feature = "conformance")]
pub mod conformance;

pub use broker::{Broker, Changes, SubscriptionStats, Watched};
pub use consumer::{Consumer, ConsumerOptions, Event, InitialPosition, SeekTo, SubscriptionType};
pub use entry::{Entry, Message, MessageId, Position};
pub use error::Error;
pub use producer::{Producer, ProducerOptions, Receipt, Stored};
pub use pulselet_api::topic;

/// What every call to a broker returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A confirmation that is still under way. It may be awaited, or dropped where nobody needs to know.
pub type Confirmation = futures::future::BoxFuture<'static, Result<()>>;
