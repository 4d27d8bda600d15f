//! How far a filter has come, on one line of a terminal. Nothing is said where nobody looks: in pipes and files, or when
//! the messages themselves go to the terminal.

use std::convert::Infallible;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const EVERY: Duration = Duration::from_millis(250);

/// Counts that the parts of a filter keep.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    fed: AtomicU64,
    printed: AtomicU64,
}

impl Progress {
    /// Lines became messages.
    pub(crate) fn fed(&self, lines: u64) {
        self.counts.fed.fetch_add(lines, Ordering::Relaxed);
    }

    /// Lines were printed.
    pub(crate) fn printed(&self, lines: u64) {
        self.counts.printed.fetch_add(lines, Ordering::Relaxed);
    }

    /// Shows the counts until it is dropped, if somebody looks.
    pub(crate) async fn show(&self) -> Infallible {
        if !std::io::stderr().is_terminal() || std::io::stdout().is_terminal() {
            return std::future::pending().await;
        }
        let _clears_the_line = ClearLine;
        loop {
            tokio::time::sleep(EVERY).await;
            let (fed, printed) = (self.counts.fed.load(Ordering::Relaxed), self.counts.printed.load(Ordering::Relaxed));
            let _ = write!(std::io::stderr(), "\r{fed} lines in, {printed} lines out ");
        }
    }
}

/// What is said next begins on an empty line.
struct ClearLine;

impl Drop for ClearLine {
    fn drop(&mut self) {
        let _ = write!(std::io::stderr(), "\r\x1b[K");
    }
}
