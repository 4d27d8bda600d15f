//! Write functions for Apache Pulsar as WebAssembly components.
#![cfg_attr(not(target_arch = "wasm32"), forbid(unsafe_code))]

#[doc(hidden)]
#[path = "rt.rs"]
pub mod __rt;
mod answer;
#[cfg(target_arch = "wasm32")]
mod bindings;
mod config;
mod context;
mod error;
#[cfg_attr(
    not(any(target_arch = "wasm32", feature = "testing")),
    expect(dead_code, reason = "outside components and tests a function is only compiled, never called")
)]
mod host;
#[cfg(all(feature = "log", any(target_arch = "wasm32", feature = "testing")))]
mod logging;
mod message;
mod payload;
mod record;
mod settle;
#[cfg(feature = "testing-protocol")]
pub mod testing;

pub use answer::{Answer, IntoAnswer, IntoAnswers};
pub use context::{Context, FunctionContext, Identity, Metrics, TopicProducer};
pub use error::Error;
pub use message::{Message, MessageId, PublishError};
pub use payload::{FromPayload, IntoPayload, Json};
pub use pulselet_macro::{batch_function, function};
pub use record::{FromMessage, Record};
pub use settle::{AckHandle, SettleError};
