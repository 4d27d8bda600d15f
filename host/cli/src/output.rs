//! Data to stdout, talk to stderr.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use serde::Serialize;
use tracing_subscriber::filter::LevelFilter;

use crate::args::{Format, LogLevel};

/// How results are shown.
pub(crate) struct Output {
    format: Format,
    has_color: bool,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        // https://no-color.org
        let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { format, has_color: format == Format::Text && io::stderr().is_terminal() && !is_plain }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Shows log lines from now on.
    pub(crate) fn start_log(&self, level: LogLevel) {
        let level = match level {
            LogLevel::Error => LevelFilter::ERROR,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Debug => LevelFilter::DEBUG,
            LogLevel::Trace => LevelFilter::TRACE,
        };
        let log = tracing_subscriber::fmt().with_max_level(level).with_writer(io::stderr).with_target(false);
        // It would complain on stderr that stderr is closed, and panic.
        let log = log.log_internal_errors(false);
        if self.is_json() { log.json().init() } else { log.with_ansi(self.has_color).init() }
    }

    /// The result of a command: a value for programs, or text for people.
    pub(crate) fn show<T: Serialize>(&self, value: &T, text: impl FnOnce(&T) -> String) -> anyhow::Result<()> {
        let text = if self.is_json() { format!("{}\n", serde_json::to_string_pretty(value)?) } else { text(value) };
        print(&text)
    }

    /// Text in bold red, on terminals.
    pub(crate) fn red(&self, text: &str) -> String {
        self.colored("1;31", text)
    }

    /// Text in bold yellow, on terminals.
    pub(crate) fn yellow(&self, text: &str) -> String {
        self.colored("1;33", text)
    }

    /// Text in bold blue, on terminals.
    pub(crate) fn blue(&self, text: &str) -> String {
        self.colored("1;34", text)
    }

    fn colored(&self, code: &str, text: &str) -> String {
        if self.has_color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Says something on stderr, as `eprintln!` does, but goes on if stderr is closed: a host must not die because nobody
/// listens.
macro_rules! say {
    ($($arg:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($arg)*);
    }};
}
pub(crate) use say;

/// Writes text to stdout.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Text in columns.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.len()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    let mut text = line(&mut head.iter().copied());
    for row in rows {
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text
}

/// A time for people.
pub(crate) fn seconds(seconds: f64) -> String {
    if seconds < 0.01 { format!("{:.3} ms", seconds * 1e3) } else { format!("{seconds:.2} s") }
}

/// The end of a command of which nothing needs to be said.
pub(crate) fn done() -> anyhow::Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
