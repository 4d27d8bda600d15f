//! The threads that guests run on: each has a runtime of its own, and a replica stays on the thread it was given to.

use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinSet, LocalSet};

use crate::parking::Parking;

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
    /// `waiting`: how many wait for the place of an instance.
    pub(crate) fn start(count: NonZeroUsize, waiting: &watch::Receiver<u32>) -> std::io::Result<Self> {
        let mut threads = Self { queues: Vec::new(), handles: Vec::new(), next: AtomicUsize::new(0) };
        for number in 0..count.get() {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
            let (queue, jobs) = mpsc::channel::<Job>(WAITING_JOBS);
            let waiting = waiting.clone();
            let handle = std::thread::Builder::new().name(format!("guest-{number}")).spawn(move || {
                let local = LocalSet::new();
                local.spawn_local(serve(jobs, waiting));
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

async fn serve(mut jobs: mpsc::Receiver<Job>, waiting: watch::Receiver<u32>) {
    let looked_after = tokio::task::spawn_local(Parking::here().look_after(waiting));
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            job = jobs.recv() => match job {
                Some(job) => drop(running.spawn_local(job())),
                None => break,
            },
            Some(_) = running.join_next() => {}
        }
    }
    while running.join_next().await.is_some() {}
    looked_after.abort();
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
