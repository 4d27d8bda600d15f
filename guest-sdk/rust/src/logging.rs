//! Hands the function's log to the host, which decides what to keep.

#[cfg(feature = "tracing")]
mod events;

use std::sync::Once;

use log::{LevelFilter, Log, Metadata, Record};

use crate::host;

struct HostLog;

impl Log for HostLog {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        match record.args().as_str() {
            Some(text) => host::log(record.level(), record.target(), text),
            None => host::log(record.level(), record.target(), &record.args().to_string()),
        }
    }

    fn flush(&self) {}
}

/// Before every call; does something once. What the function has set up by itself stays.
pub(crate) fn start() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if log::set_logger(&HostLog).is_ok() {
            log::set_max_level(LevelFilter::Trace);
        }
        #[cfg(feature = "tracing")]
        events::start();
    });
}
