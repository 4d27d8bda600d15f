//! A broker in the process, with everything in one folder or in memory: Pulsar's topics, subscriptions and rules without
//! a Pulsar.
//!
//! - `broker`: [`EmbeddedBroker`], the handle; with `consumer` and `producer`, the handles it gives out
//! - `options`: [`Options`], [`Storage`], [`Retention`]; `error`: [`OpenError`]
//! - `registry`: which topics there are; `watch`: who is told when that changes
//! - `topic`: one of them; `subscription`: who reads it and how far
//! - `writer`: the thread that saves what changed, in group commits; `store`: what it writes
//! - `reader`: the thread that reads for consumers that have fallen behind, and keeps time for delays
//! - `core`: what all of them share
//!
//! # What a crash leaves
//!
//! Everything that promises something rests on one commit of the store, which is there whole or not at all. In memory
//! things take effect at once; promises are given only after the commit that holds what they stand for:
//!
//! | the process dies | and afterwards |
//! |---|---|
//! | while a batch is being sent, before its commit | it is not there, no receipt was given, nobody was sent it; its place may go to another one |
//! | after the commit, before the receipt | it is there; the sender sends it again, and its sequence ids drop it |
//! | between an ack and its commit | the message comes again; the confirmation was not given |
//! | after the commit of an ack | it does not come again |
//! | with members of a batch acknowledged, with batch-index acks | as for an ack, member by member |
//! | the same without batch-index acks | the entry comes again whole; no confirmation was given |
//! | between a nack and the redelivery | the message comes again at once: delays and redelivery counts are memory |
//! | between a seek and its commit | the cursor is where it was; the caller was not told otherwise |
//! | between the commit that removes entries and anything else | they are gone; all subscriptions had acknowledged them in the same commit or before |
//! | while a topic is deleted | each of its partitions is there or gone; deleting again removes the rest |
//! | while the folder is made for the first time | there is no database yet, or an empty one |
//!
//! When a commit fails, nobody can tell whether it will be there. So everything ends with
//! [`Error::Storage`](pulselet_broker::Error::Storage), nothing more is accepted, and opening again finds out.

#![forbid(unsafe_code)]

mod broker;
mod consumer;
mod core;
#[cfg(test)]
mod crash;
mod error;
mod inbox;
mod options;
mod producer;
mod reader;
mod registry;
mod store;
mod subscription;
mod topic;
mod watch;
mod writer;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use self::broker::EmbeddedBroker;
pub use self::error::OpenError;
pub use self::options::{Options, Retention, Storage};

/// Locks. A panic elsewhere under the lock has been seen by the thread that it ended; what it guards is not left half
/// changed in a way that loses messages, since only commits count.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
