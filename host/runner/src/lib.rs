//! pulselet-runner

#![forbid(unsafe_code)]

mod journal;
mod settlement;
