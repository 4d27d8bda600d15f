//! The messages of an entry in bytes, in Pulsar's batch format.
