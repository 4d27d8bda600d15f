//! Runs components: bytes in, answers out. Knows neither brokers nor Kubernetes.
//!
//! A component has three states, and each costs more than the one before:
//!
//! - [`Assigned`]: obtained, looked at, compiled; its code is on disk. [`Engine::assign`] does all that is slow and finds
//!   all that is wrong.
//! - [`Loaded`]: mapped and linked. [`Assigned::load`]
//! - live, an [`Instance`]: has memory and a stack, answers calls. [`Loaded::instantiate`]
//!
//! What a guest may ask during a call is [`HostCalls`], implemented by whoever runs functions; what comes of a call is an
//! [`Answer`] or a [`Fault`]. [`inspect`] looks at a component without an engine.
//!
//! Inside: `artifacts` and `compiled` keep files, `compile` makes code, `preparing` gets it into memory, `slots` and
//! `residency` say what is there, `imports` is the host's side of the contract, `ticker` interrupts, `budgets` says how
//! much fits. [`flight`] notes what a process was doing when it died.

mod admissions;
mod artifacts;
mod assigned;
mod bindings;
mod budgets;
mod code;
mod compile;
mod compiled;
pub mod contract;
mod engine;
mod error;
mod fault;
mod files;
pub mod flight;
mod host_calls;
mod import_class;
mod imports;
mod inspect;
mod instance;
mod limiter;
mod options;
mod outcome;
mod preparing;
mod residency;
mod settings;
mod shared;
mod slots;
mod state;
mod stats;
mod stdio;
mod ticker;
mod tier;

pub use artifacts::ArtifactError;
pub use assigned::{Assigned, Loaded, Residence, Trouble};
pub use budgets::Budgets;
pub use compile::{CompileError, CompileLimits, CompileRequest, Compiler, RequestError};
pub use engine::{Engine, Grants};
pub use error::{AssignError, LoadError, StartError};
pub use host_calls::{HostCalls, NoSuchMessage, TopicNumber};
pub use import_class::{Import, ImportClass};
pub use inspect::{FirstBytes, InspectError, Inspection, inspect};
pub use instance::Instance;
pub use options::Options;
pub use outcome::{Answer, Fault, GuestError};
pub use stats::Stats;
pub use tier::{Cpu, NameError, Tier};
