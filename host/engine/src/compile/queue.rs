//! What is compiled next: the most urgent first, each once for all who ask for it, and after a failure not before some
//! time has passed. The threads sleep without a timer unless a failed compilation is due again.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use pulselet_api::Digest;
use tokio::sync::oneshot;

use super::CompileError;
use crate::Tier;

const MAX_BACKOFF: Duration = Duration::from_secs(3_600);
/// Failures that are remembered; beyond that, those whose time has passed are forgotten.
const MAX_FAILURES: usize = 10_000;

/// How urgent a compilation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Priority {
    /// Better code for what runs already.
    TierUp,
    /// Code of a function that is being deployed.
    Deploy,
    /// A message waits for it.
    Message,
}

/// One component by one compiler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Job {
    pub(crate) digest: Digest,
    pub(crate) tier: Tier,
}

/// What came of it.
pub(crate) type Built = Result<(), CompileError>;

type Work = dyn Fn(Job, Priority) -> Built + Send + Sync;

/// See the module. Dropping it lets the threads end after what they are doing.
pub(crate) struct Queue {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    work: Box<Work>,
    backoff: Duration,
}

#[derive(Default)]
struct State {
    waiting: HashMap<Job, Waiting>,
    running: HashMap<Job, Vec<oneshot::Sender<Built>>>,
    failures: HashMap<Job, Failure>,
    asked: u64,
    ending: bool,
}

struct Waiting {
    priority: Priority,
    /// Of equally urgent ones the first comes first.
    number: u64,
    askers: Vec<oneshot::Sender<Built>>,
}

/// A compilation that failed, and is not tried again before some time has passed.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) error: CompileError,
    /// When it failed last.
    pub(crate) at: SystemTime,
    /// When it may be tried again.
    until: Instant,
    count: u32,
    /// Tried again without being asked.
    retried: bool,
}

impl Queue {
    /// Starts one thread for what is urgent, and one for everything.
    pub(crate) fn start(
        backoff: Duration,
        work: impl Fn(Job, Priority) -> Built + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let shared =
            Arc::new(Shared { state: Mutex::default(), changed: Condvar::new(), work: Box::new(work), backoff });
        for least in [Priority::Deploy, Priority::TierUp] {
            let shared = Arc::clone(&shared);
            thread::Builder::new().name("pulselet-compile".into()).spawn(move || shared.serve(least))?;
        }
        Ok(Self { shared })
    }

    /// One that takes nothing.
    pub(crate) fn ended() -> Self {
        let state = Mutex::new(State { ending: true, ..State::default() });
        let work = |_, _| Err(CompileError::Ending);
        Self { shared: Arc::new(Shared { state, changed: Condvar::new(), work: Box::new(work), backoff: MAX_BACKOFF }) }
    }

    /// Asks for a compilation. What failed not long ago fails again at once.
    pub(crate) fn ask(&self, job: Job, priority: Priority) -> oneshot::Receiver<Built> {
        let (asker, answer) = oneshot::channel();
        let mut state = self.shared.held();
        if let Some(askers) = state.running.get_mut(&job) {
            askers.push(asker);
        } else if let Some(failure) = state.failures.get(&job).filter(|failure| failure.until > Instant::now()) {
            // Whoever asked may have gone.
            let _ = asker.send(Err(failure.error.clone()));
        } else {
            state.wait(job, priority, Some(asker));
            self.shared.changed.notify_all();
        }
        answer
    }

    /// How a compilation failed last, if it did not end well since.
    pub(crate) fn failure(&self, job: Job) -> Option<Failure> {
        self.shared.held().failures.get(&job).cloned()
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let mut state = self.shared.held();
        state.ending = true;
        // Those who wait see that nobody will answer.
        state.waiting.clear();
        self.shared.changed.notify_all();
    }
}

impl State {
    fn wait(&mut self, job: Job, priority: Priority, asker: Option<oneshot::Sender<Built>>) {
        self.asked += 1;
        let number = self.asked;
        let waiting = self.waiting.entry(job).or_insert(Waiting { priority, number, askers: Vec::new() });
        waiting.priority = waiting.priority.max(priority);
        waiting.askers.extend(asker);
    }

    /// Takes what is most urgent, if it is as urgent as this.
    fn take(&mut self, least: Priority) -> Option<(Job, Priority)> {
        let most = |(_, waiting): &(&Job, &Waiting)| (waiting.priority, std::cmp::Reverse(waiting.number));
        let (job, _) = self.waiting.iter().filter(|(_, waiting)| waiting.priority >= least).max_by_key(most)?;
        let job = *job;
        let Waiting { priority, askers, .. } = self.waiting.remove(&job)?;
        self.running.insert(job, askers);
        Some((job, priority))
    }

    /// Puts back in line what failed and is due again; says when the next will be.
    fn retry(&mut self, now: Instant) -> Option<Instant> {
        let due = |failure: &Failure| failure.retried && failure.until <= now;
        let jobs: Vec<Job> = self.failures.iter().filter(|(_, failure)| due(failure)).map(|(job, _)| *job).collect();
        for job in jobs {
            if let Some(failure) = self.failures.get_mut(&job) {
                failure.retried = false;
            }
            if !self.running.contains_key(&job) {
                self.wait(job, Priority::TierUp, None);
            }
        }
        self.failures.values().filter(|failure| failure.retried).map(|failure| failure.until).min()
    }
}

impl Shared {
    fn held(&self) -> MutexGuard<'_, State> {
        // What it guards is whole at any moment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, least: Priority) {
        let mut state = self.held();
        while !state.ending {
            let retry_at = if least == Priority::TierUp { state.retry(Instant::now()) } else { None };
            let Some((job, priority)) = state.take(least) else {
                state = match retry_at {
                    Some(at) => {
                        let pause = at.saturating_duration_since(Instant::now());
                        self.changed.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner).0
                    }
                    None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                };
                continue;
            };
            drop(state);
            let built = (self.work)(job, priority);
            state = self.held();
            self.ended(&mut state, job, priority, built);
        }
    }

    fn ended(&self, state: &mut State, job: Job, priority: Priority, built: Built) {
        match &built {
            Ok(()) => drop(state.failures.remove(&job)),
            Err(error) => {
                let count = state.failures.get(&job).map_or(0, |failure| failure.count);
                let pause = self.backoff.saturating_mul(1 << count.min(20)).min(MAX_BACKOFF);
                let failure = Failure {
                    error: error.clone(),
                    at: SystemTime::now(),
                    until: Instant::now() + pause,
                    count: count + 1,
                    // Whoever waits for code asks again; better code is nobody's to ask for.
                    retried: priority == Priority::TierUp && error.may_pass(),
                };
                tracing::warn!(component = %job.digest, compiler = %job.tier, %error, ?pause, "compilation failed");
                if state.failures.len() >= MAX_FAILURES {
                    let now = Instant::now();
                    state.failures.retain(|_, failure| failure.until > now);
                }
                state.failures.insert(job, failure);
                self.changed.notify_all();
            }
        }
        for asker in state.running.remove(&job).into_iter().flatten() {
            // Whoever asked may have gone.
            let _ = asker.send(built.clone());
        }
    }
}

#[cfg(test)]
mod tests;
