//! The embedded broker from outside.
mod first;
