//! `pulselet run`, the real binary: as a filter, as a service, killed, and given bad input.

mod crash;
mod filter;
mod pulselet;
mod service;
