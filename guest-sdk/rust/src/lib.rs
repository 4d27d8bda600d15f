//! Write functions for Apache Pulsar as WebAssembly components.
#![cfg_attr(not(target_arch = "wasm32"), forbid(unsafe_code))]

mod answer;
#[cfg(target_arch = "wasm32")]
mod bindings;
mod config;
mod context;
mod error;
mod host;
#[cfg(feature = "log")]
mod logging;
mod message;
mod payload;
mod record;
#[doc(hidden)]
#[path = "rt.rs"]
pub mod __rt;
mod settle;

pub use answer::{Answer, IntoAnswer, IntoAnswers};
pub use context::{Context, FunctionContext, Identity, Metrics, TopicProducer};
pub use error::Error;
pub use message::{Message, MessageId, PublishError};
pub use payload::{FromPayload, IntoPayload, Json};
pub use pulselet_macro::{batch_function, function};
pub use record::{FromMessage, Record};
pub use settle::{AckHandle, SettleError};
