//! Hands `log` records to the host, which decides what to keep.

use log::{LevelFilter, Log, Metadata, Record};

use crate::host;

struct HostLog;

impl Log for HostLog {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        // `tracing` reports entering and leaving every span under this target; they are no lines of the function's own.
        if record.target().starts_with("tracing::span") {
            return;
        }
        match record.args().as_str() {
            Some(text) => host::log(record.level(), record.target(), text),
            None => host::log(record.level(), record.target(), &record.args().to_string()),
        }
    }

    fn flush(&self) {}
}

/// Before every call; does something once. A logger that the function has set itself stays.
pub(crate) fn start() {
    if log::max_level() == LevelFilter::Off && log::set_logger(&HostLog).is_ok() {
        log::set_max_level(LevelFilter::Trace);
    }
}
