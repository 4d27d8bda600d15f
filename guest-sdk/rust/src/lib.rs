//! Write functions for Apache Pulsar as WebAssembly components: a plain Rust function, one attribute, one file to deploy.
//!
//! ```
//! use pulselet::{Context, Error};
//!
//! #[pulselet::function]
//! fn greet(name: String, ctx: &Context) -> Result<String, Error> {
//!     let greeting: Option<String> = ctx.config_value("greeting")?;
//!     log::info!("{name} came by {}", ctx.topic());
//!     Ok(format!("{} {name}", greeting.as_deref().unwrap_or("hello")))
//! }
//! ```
//!
//! What a function does with a message:
//! - **takes** it as bytes, text or [`Json`], or as a type of its own ([`FromPayload`]); what does not decode is rejected
//! - **answers** with the same ([`IntoPayload`]), with nothing, or with an [`Error`] that says what becomes of the message
//! - **asks** about it, publishes, reads its configuration and secrets, counts: all through [`Context`]
//! - **settles** it by hand where the declaration says so: [`AckHandle`]
//! - takes **many at once**: [`batch_function`] and [`Record`]
//! - is **tested** by `cargo test`, natively and as the built component: `testing`, with the feature of that name
//!
//! It logs through `log`, or through `tracing` with the feature of that name.
//!
//! The crate of a function is a `cdylib`, built for `wasm32-wasip2`. The component imports what the function uses and
//! nothing else, so its declaration has to grant nothing else.
#![cfg_attr(not(target_arch = "wasm32"), forbid(unsafe_code))]

#[doc(hidden)]
#[path = "rt.rs"]
pub mod __rt;
// Their code is compiled and run with the other examples of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
#[doc = include_str!("../../../docs/guides/rust-functions.md")]
mod prose {}

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
