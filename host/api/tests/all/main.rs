//! The declaration, from outside.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by a panic")]

mod bounds;
mod documents;
mod generated;
mod resolution;
mod rules;

use pulselet_api::{Declared, Errors, parse};

/// The smallest declaration there is, with more fields of `spec` behind it.
fn with(more: &str) -> String {
    format!(
        "apiVersion: pulselet.dev/v1alpha1\n\
         kind: Function\n\
         metadata:\n  name: exclaim\n\
         spec:\n  wasm:\n    location: exclaim.wasm\n  input:\n    topics: [in]\n{}",
        more.lines().map(|line| format!("  {line}\n")).collect::<String>()
    )
}

fn one(text: &str) -> Result<Declared, Errors> {
    parse(text, "f.yaml").map(|mut all| all.remove(0))
}

/// The problems as lines.
fn problems(text: &str) -> Vec<String> {
    match parse(text, "f.yaml") {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}
