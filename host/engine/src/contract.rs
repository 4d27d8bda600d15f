//! Types of the contract that cross the seam to whoever implements [`HostCalls`](crate::HostCalls).

pub use crate::bindings::pulselet::function::context::FunctionIdentity as Identity;
pub use crate::bindings::pulselet::function::types::{Message, MessageId, PublishError};
pub use crate::bindings::wasi::logging::logging::Level as LogLevel;
