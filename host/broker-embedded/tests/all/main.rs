//! The embedded broker from outside.

mod conformance;
