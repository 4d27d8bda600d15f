//! Standard output and error of a guest, as log lines.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::HostCalls;
use crate::contract::LogLevel;

/// A longer line is broken into several.
const MAX_LINE_BYTES: usize = 8 << 10;
/// What a guest may write before the engine gets to pass it on; the rest is dropped, and the log says how much.
const MAX_WAITING_BYTES: usize = 64 << 10;
/// How much of standard error is quoted when a guest breaks off: enough for a panic message.
const MAX_QUOTE_BYTES: usize = 1 << 10;
/// Most bytes of one write.
const WRITE_PERMIT: usize = 64 << 10;

/// What a guest has written and nobody has logged yet. The streams that the guest holds know nothing of the host's
/// state, so lines wait here until the engine passes by: at the end of the call, at a tick, at a line logged otherwise.
#[derive(Clone, Default)]
pub(crate) struct Stdio(Arc<Mutex<Written>>);

#[derive(Default)]
struct Written {
    out: Vec<u8>,
    err: Vec<u8>,
    lines: Vec<(Source, String)>,
    waiting_bytes: usize,
    dropped_bytes: usize,
    quote: String,
}

#[derive(Clone, Copy)]
enum Source {
    Out,
    Err,
}

impl Source {
    fn name(self) -> &'static str {
        match self {
            Self::Out => "stdout",
            Self::Err => "stderr",
        }
    }

    fn level(self) -> LogLevel {
        match self {
            Self::Out => LogLevel::Info,
            Self::Err => LogLevel::Warn,
        }
    }
}

impl Stdio {
    pub(crate) fn stdout(&self) -> impl StdoutStream + use<> {
        Stream { source: Source::Out, stdio: self.clone() }
    }

    pub(crate) fn stderr(&self) -> impl StdoutStream + use<> {
        Stream { source: Source::Err, stdio: self.clone() }
    }

    /// Logs the whole lines.
    pub(crate) fn pass_on(&self, host: &mut impl HostCalls) {
        self.written().pass_on(host);
    }

    /// A call begins: what was written before has nothing to do with how it ends.
    pub(crate) fn forget_quote(&self) {
        self.written().quote.clear();
    }

    /// Logs everything: the call is over, and nothing will complete a begun line.
    pub(crate) fn finish(&self, host: &mut impl HostCalls) {
        let mut written = self.written();
        written.end_line(Source::Out);
        written.end_line(Source::Err);
        written.pass_on(host);
    }

    /// The last of standard error, since the present call began.
    pub(crate) fn take_quote(&self) -> Option<String> {
        let quote = std::mem::take(&mut self.written().quote);
        (!quote.is_empty()).then_some(quote)
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Written {
    fn write(&mut self, source: Source, bytes: &[u8]) {
        let taken = bytes.len().min(MAX_WAITING_BYTES.saturating_sub(self.waiting_bytes));
        self.dropped_bytes += bytes.len() - taken;
        self.waiting_bytes += taken;
        for piece in bytes.get(..taken).unwrap_or_default().split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match piece.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (piece, false),
            };
            for part in text.chunks(MAX_LINE_BYTES) {
                if self.partial(source).len() + part.len() > MAX_LINE_BYTES {
                    self.end_line(source);
                }
                self.partial(source).extend_from_slice(part);
            }
            if ends {
                self.end_line(source);
            }
        }
    }

    fn partial(&mut self, source: Source) -> &mut Vec<u8> {
        match source {
            Source::Out => &mut self.out,
            Source::Err => &mut self.err,
        }
    }

    fn end_line(&mut self, source: Source) {
        let bytes = std::mem::take(self.partial(source));
        let line = String::from_utf8_lossy(&bytes);
        let line = line.trim_end();
        if line.is_empty() {
            return;
        }
        if matches!(source, Source::Err) {
            self.remember(line);
        }
        self.lines.push((source, line.to_owned()));
    }

    /// Keeps the newest lines that fit.
    fn remember(&mut self, line: &str) {
        let room = MAX_QUOTE_BYTES.min(line.len());
        let line = line.get(..line.floor_char_boundary(room)).unwrap_or_default();
        while !self.quote.is_empty() && self.quote.len() + line.len() > MAX_QUOTE_BYTES {
            let first = self.quote.find('\n').map_or(self.quote.len(), |end| end + 1);
            self.quote.drain(..first);
        }
        if !self.quote.is_empty() {
            self.quote.push('\n');
        }
        self.quote.push_str(line);
    }

    fn pass_on(&mut self, host: &mut impl HostCalls) {
        for (source, line) in self.lines.drain(..) {
            host.log(source.level(), source.name(), &line);
        }
        if self.dropped_bytes > 0 {
            let dropped = std::mem::take(&mut self.dropped_bytes);
            let text = format!("{dropped} bytes were dropped: the function writes faster than its log takes them");
            host.log(LogLevel::Warn, Source::Err.name(), &text);
        }
        self.waiting_bytes = self.out.len() + self.err.len();
    }
}

struct Stream {
    source: Source,
    stdio: Stdio,
}

impl Stream {
    fn again(&self) -> Self {
        Self { source: self.source, stdio: self.stdio.clone() }
    }
}

impl StdoutStream for Stream {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.again())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.again())
    }
}

impl IsTerminal for Stream {
    fn is_terminal(&self) -> bool {
        false
    }
}

#[async_trait::async_trait]
impl Pollable for Stream {
    async fn ready(&mut self) {}
}

impl OutputStream for Stream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.stdio.written().write(self.source, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_PERMIT)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stdio.written().write(self.source, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
