//! The other side of every call a function makes: the real host in a component, a recording one everywhere else.
//!
//! Both offer the same functions. `index` is the message's place in the present call.

#[cfg(target_arch = "wasm32")]
mod component;
#[cfg(target_arch = "wasm32")]
pub(crate) use component::*;

#[cfg(not(target_arch = "wasm32"))]
mod native;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use native::*;
