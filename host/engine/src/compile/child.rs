//! A compilation in a process of its own: it may take all the memory and time it likes up to its limits, and whatever
//! becomes of it, this process is none the worse.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use rustix::process::Signal;

use super::{CompileError, CompileLimits, CompileRequest};

/// How much of what it says is read.
const MAX_TEXT_BYTES: u64 = 4 << 10;
/// What Rust and C++ print when they are out of memory, before they abort.
const OUT_OF_MEMORY: [&str; 3] = ["memory allocation of", "Cannot allocate memory", "out of memory"];

/// Runs one compilation to its end.
pub(super) fn run(
    program: &Path,
    args: &[OsString],
    request: &CompileRequest,
    limits: &CompileLimits,
) -> Result<(), CompileError> {
    let start = |source: io::Error| CompileError::Start { program: program.to_owned(), source: Arc::new(source) };
    let mut child = Command::new(program)
        .args(args)
        .args(request.to_args())
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(start)?;
    let ended = wait(&mut child, limits.wall_time).map_err(start);
    // Also after an error: nothing that was started is left behind. It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
    let (status, text) = ended?.ok_or(CompileError::Time { limit: limits.wall_time, clock: "time" })?;
    verdict(request, limits, status, text)
}

/// The end of the process and what it said; nothing if it took too long. Its stderr ends when it does, so that waiting
/// for the one is waiting for the other.
fn wait(child: &mut Child, at_most: Duration) -> io::Result<Option<(ExitStatus, String)>> {
    let Some(mut stderr) = child.stderr.take() else { return Err(io::Error::other("stderr is not open")) };
    let (said, heard) = sync_channel(1);
    std::thread::Builder::new().name("pulselet-stderr".into()).spawn(move || {
        let mut text = Vec::new();
        let read = stderr.by_ref().take(MAX_TEXT_BYTES).read_to_end(&mut text);
        // Read on, so that it does not wait for somebody who listens.
        let read = read.and_then(|_| io::copy(&mut stderr, &mut io::sink()));
        // Nobody waits any more if it took too long.
        let _ = said.send(read.map(|_| String::from_utf8_lossy(&text).trim().to_owned()));
    })?;
    match heard.recv_timeout(at_most) {
        Ok(text) => Ok(Some((child.wait()?, text?))),
        Err(RecvTimeoutError::Timeout) => Ok(None),
        Err(RecvTimeoutError::Disconnected) => Err(io::Error::other("reading its stderr broke off")),
    }
}

fn verdict(
    request: &CompileRequest,
    limits: &CompileLimits,
    status: ExitStatus,
    text: String,
) -> Result<(), CompileError> {
    if status.success() {
        return Ok(());
    }
    let is = |signal: Signal| status.signal() == Some(signal.as_raw());
    if is(Signal::XCPU) {
        return Err(CompileError::Time { limit: limits.cpu_time, clock: "processor time" });
    }
    if OUT_OF_MEMORY.iter().any(|sign| text.contains(sign)) {
        return Err(CompileError::Memory { limit: limits.memory_bytes });
    }
    match status.code().and_then(|code| u8::try_from(code).ok()) {
        Some(code) => Err(request.outcome(code, text)),
        None => Err(CompileError::Died(format!("{status}{}{text}", if text.is_empty() { "" } else { ": " }))),
    }
}
