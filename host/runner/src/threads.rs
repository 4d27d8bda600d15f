//! The threads that guests run on: each has a runtime of its own, and a replica stays on the thread it was given to.

use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use tokio::sync::mpsc;
use tokio::task::LocalSet;

type Job = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// Jobs that wait for a thread to take them up; one is taken up within a turn of a worker.
const WAITING_JOBS: usize = 64;

/// See the module. Dropping it ends the threads when their jobs are done.
pub(crate) struct GuestThreads {
    queues: Vec<mpsc::Sender<Job>>,
    handles: Vec<JoinHandle<()>>,
    next: AtomicUsize,
}

impl GuestThreads {
    pub(crate) fn start(count: NonZeroUsize) -> std::io::Result<Self> {
        let mut threads = Self { queues: Vec::new(), handles: Vec::new(), next: AtomicUsize::new(0) };
        for number in 0..count.get() {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
            let (queue, mut jobs) = mpsc::channel::<Job>(WAITING_JOBS);
            let handle = std::thread::Builder::new().name(format!("guest-{number}")).spawn(move || {
                let local = LocalSet::new();
                local.spawn_local(async move {
                    while let Some(job) = jobs.recv().await {
                        tokio::task::spawn_local(job());
                    }
                });
                // Ends when the queue is closed and every job on this thread has ended.
                runtime.block_on(local);
            })?;
            threads.queues.push(queue);
            threads.handles.push(handle);
        }
        Ok(threads)
    }

    /// Starts a job on the next thread in turn. False if the threads are gone.
    pub(crate) async fn spawn<F, Fut>(&self, job: F) -> bool
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let Some(queue) = self.queues.get(turn % self.queues.len().max(1)) else { return false };
        queue.send(Box::new(move || Box::pin(job()))).await.is_ok()
    }
}

impl Drop for GuestThreads {
    fn drop(&mut self) {
        self.queues.clear();
        for handle in self.handles.drain(..) {
            if handle.join().is_err() {
                tracing::error!("a guest thread panicked");
            }
        }
    }
}
