//! The attributes that make a Rust function a Pulselet function. Use them through the crate `pulselet`, which documents
//! them.
//!
//! - `signature`: checks what was written, and says what to write instead
//! - `expand`: the glue between the function and its host
#![forbid(unsafe_code)]

mod expand;
mod signature;

use proc_macro::TokenStream;

use crate::signature::Form;

/// Makes a plain function the function of this component.
///
/// The function takes the payload as `&[u8]`, `Vec<u8>`, `&str`, `String` or `Json<T>`, and a `&Context` where it wants
/// one. It returns `Vec<u8>`, `String`, `Json<T>`, `()`, an `Option` of these, or a `Result` of any of these. Payloads
/// that do not decode are rejected before the function sees them.
///
/// `#[pulselet::function(batch)]` is the same as `#[pulselet::batch_function]`.
#[proc_macro_attribute]
pub fn function(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let form = signature::form(arguments.into());
    expand::expand(form, item.into()).into()
}

/// Makes a plain function the function of this component, called with many messages at once.
///
/// The function takes `Vec<T>` or `&[T]`, where `T` is what a plain function takes or a `Record` of it, and a
/// `&FunctionContext` where it wants one. It returns a `Vec` with one answer for each message, in their order. Messages
/// that do not decode are rejected one by one, and the function sees the others.
#[proc_macro_attribute]
pub fn batch_function(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let form = signature::no_arguments(arguments.into()).map(|()| Form::Batch);
    expand::expand(form, item.into()).into()
}
