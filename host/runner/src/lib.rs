//! Runs functions: a replica's life from subscribing to settling.
//!
//! - [`Runner`]: hosts replicas; [`Runner::deploy`] starts a function and gives a [`Deployment`]
//! - `replica`: one replica: a loop that settles, workers that call
//! - `settlement`: what happens to each message, as a state machine without I/O
//! - `inputs`, `outputs`: its consumers and producers
//! - `host`: what a guest may ask for ([`GuestHost`])
//! - `journal`, `flight`: attempts, and calls under way, that outlive the process
//! - `metrics`, `log`: what goes out about a function
//! - `threads`: where guests run; `parking`: where instances wait for work
//! - `fair`: which of them runs next
//!
//! Start at `replica::Replica::run`. Does not know which broker it is given, nor Kubernetes.

#![forbid(unsafe_code)]

mod deployment;
mod fair;
mod flight;
mod function;
mod host;
mod inputs;
mod journal;
mod log;
mod metrics;
mod outputs;
mod parking;
mod replica;
mod runner;
mod settlement;
mod threads;
mod topics;

pub use deployment::{Condition, ConditionKind, Deployment, Updated};
pub use function::{NoSecrets, Secrets};
pub use host::GuestHost;
pub use replica::status::{Phase, ReplicaStatus};
pub use runner::{DeployError, Options, Runner, StartError};
