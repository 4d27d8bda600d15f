use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Moves the epoch on while guests run, on one thread for the whole engine; the thread sleeps without a timer when none
/// does, so that an idle process is not woken.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    running: AtomicU32,
    /// Whether a guest has started since the last tick.
    ran: AtomicBool,
    parked: AtomicBool,
    stopping: AtomicBool,
}

impl Ticker {
    pub(crate) fn start(tick: Duration, advance: impl Fn() + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let thread = thread::Builder::new().name("pulselet-epoch".into()).spawn({
            let shared = Arc::clone(&shared);
            move || shared.tick_while_running(tick, advance)
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Guest code runs until the guard is dropped.
    pub(crate) fn running(&self) -> Running<'_> {
        if self.shared.running.fetch_add(1, SeqCst) == 0 && self.shared.parked.load(SeqCst) {
            self.wake();
        }
        self.shared.ran.store(true, Relaxed);
        Running(&self.shared.running)
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stopping.store(true, SeqCst);
        self.wake();
        if let Some(thread) = self.thread.take() {
            // Its only way to fail is a panic, which has been reported already.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn tick_while_running(&self, tick: Duration, advance: impl Fn()) {
        loop {
            // A tick without a guest ends it, not a moment without one: waking the thread costs more than a short call.
            if !self.ran.swap(false, Relaxed) {
                self.wait_for_a_guest();
            }
            if self.stopping.load(SeqCst) {
                return;
            }
            // May return early after a late wake-up; an early tick only makes a guest yield once more.
            thread::park_timeout(tick);
            advance();
        }
    }

    /// The flag is raised before the count is read: whoever starts to run after the reading sees the flag and wakes us.
    fn wait_for_a_guest(&self) {
        self.parked.store(true, SeqCst);
        while self.running.load(SeqCst) == 0 && !self.stopping.load(SeqCst) {
            thread::park();
        }
        self.parked.store(false, SeqCst);
    }
}

pub(crate) struct Running<'a>(&'a AtomicU32);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

#[cfg(test)]
mod tests;
