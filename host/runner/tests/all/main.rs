//! Functions on a broker: real components, the embedded broker in memory or in a folder.

mod batching;
mod context;
mod failing;
mod guarantees;
mod life;
mod numbers;
mod ordering;
mod rig;
