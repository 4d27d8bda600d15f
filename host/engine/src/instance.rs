use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant as Clock};

use bytes::Bytes;
use pulselet_api::Limits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};
use wasmtime::{Store, UpdateDeadline};

use crate::assigned::Loaded;
use crate::code::{Answered, Code, Process, ProcessBatch};
use crate::shared::Shared;
use crate::state::State;
use crate::{Answer, Fault, GuestError, HostCalls, fault};
use pulselet_api::World;

/// A live instance. It serves one call at a time, and none after a trap, a time-out, a host error, or a call whose future
/// was dropped: then it is poisoned.
pub struct Instance<H: 'static> {
    // Declared in the order they go: the store gives its memory back before the place is free for others.
    store: Store<State<H>>,
    handler: Handler,
    poisoned: bool,
    timeout: Duration,
    code: Arc<Code<H>>,
    /// Number of the newest code of its component.
    current: Arc<AtomicU32>,
    shared: Arc<Shared<H>>,
    _place: OwnedSemaphorePermit,
    /// In the smaller pool of baseline code.
    _baseline_place: Option<OwnedSemaphorePermit>,
}

#[derive(Clone, Copy)]
enum Handler {
    Process(Process),
    ProcessBatch(ProcessBatch),
}

/// A guest is looked at by the next tick after its start, so that at every tick all guests make way for who waits. Few
/// short calls meet one, and for them yielding is cheap beside the tick that nobody else has to wait.
const FIRST_LOOK_TICKS: u64 = 1;
/// Bytes a guest may hand over in one call to its host besides what it puts out: names, log lines, list heads.
const HOSTCALL_SLACK_BYTES: u64 = 1 << 20;

impl<H: HostCalls> Instance<H> {
    pub(crate) async fn new(loaded: &Loaded<H>, host: H) -> Result<Self, Fault> {
        let Loaded { shared, slot, code, limits } = loaded;
        let place = admit(shared, &shared.admission, code.places).await?;
        let tier = shared.tier(code.tier);
        let baseline_place = match &tier.places {
            Some(places) => Some(admit(shared, places, code.places).await?),
            None => None,
        };
        let mut store = new_store(&tier.wasmtime, host, limits);
        let deadline = Clock::now() + limits.timeout;
        store.data_mut().begin(deadline);
        let made = bounded(shared, deadline, code.pre.instantiate_async(&mut store)).await;
        let instance = made
            .ok_or(Fault::Timeout(limits.timeout))?
            .map_err(|error| fault::at_start(&error, limits.timeout, store.data_mut()))?;
        let handler = match code.world {
            World::Function => instance.get_typed_func(&mut store, code.export).map(Handler::Process),
            World::BatchFunction => instance.get_typed_func(&mut store, code.export).map(Handler::ProcessBatch),
        };
        Ok(Self {
            handler: handler.map_err(|error| Fault::Host(format!("{error:#}")))?,
            store,
            poisoned: false,
            timeout: limits.timeout,
            code: Arc::clone(code),
            current: Arc::clone(slot.current()),
            shared: Arc::clone(shared),
            _place: place,
            _baseline_place: baseline_place,
        })
    }

    /// Handles one message. A component of world `batch-function` is given a batch of one.
    ///
    /// # Errors
    /// The four kinds of [`Fault`]; after all but [`Fault::Guest`] the instance is poisoned.
    ///
    /// # Cancel safety
    /// Dropping the future breaks the call off and poisons the instance.
    pub async fn process(&mut self, payload: &[u8]) -> Result<Answer, Fault> {
        match self.handler {
            Handler::Process(process) => {
                let deadline = self.begin()?;
                let called = process.call_async(&mut self.store, (payload,));
                let called = bounded(&self.shared, deadline, called).await;
                let (answered,) = self.end(called)?;
                answer(answered).map_err(Fault::Guest)
            }
            Handler::ProcessBatch(_) => match self.call_batch(&[payload]).await?.pop() {
                Some(answered) => answered.map_err(Fault::Guest),
                None => Err(self.wrong_length(0, 1)),
            },
        }
    }

    /// Handles many messages in one call; the answers are in the order of the payloads.
    ///
    /// # Errors
    /// The kinds of [`Fault`] but [`Fault::Guest`]; the instance is then poisoned and nothing is answered. A list of
    /// another length than the payloads' is a [`Fault::Trap`].
    ///
    /// # Cancel safety
    /// Dropping the future breaks the call off and poisons the instance.
    pub async fn process_batch(&mut self, payloads: &[Bytes]) -> Result<Vec<Result<Answer, GuestError>>, Fault> {
        let slices: Vec<&[u8]> = payloads.iter().map(Bytes::as_ref).collect();
        self.call_batch(&slices).await
    }

    async fn call_batch(&mut self, payloads: &[&[u8]]) -> Result<Vec<Result<Answer, GuestError>>, Fault> {
        let Handler::ProcessBatch(process_batch) = self.handler else {
            return Err(Fault::Host("the component takes messages one by one, not in batches".into()));
        };
        let deadline = self.begin()?;
        let called = process_batch.call_async(&mut self.store, (payloads,));
        let called = bounded(&self.shared, deadline, called).await;
        let (answered,) = self.end(called)?;
        if answered.len() != payloads.len() {
            return Err(self.wrong_length(answered.len(), payloads.len()));
        }
        Ok(answered.into_iter().map(answer).collect())
    }

    /// What the caller gave when it made the instance.
    pub fn host_mut(&mut self) -> &mut H {
        &mut self.store.data_mut().host
    }

    /// Ends the instance.
    pub fn into_host(self) -> H {
        self.store.into_data().host
    }

    /// True when it may not be called again.
    pub fn is_poisoned(&self) -> bool {
        self.poisoned
    }

    /// True when better code of its component has been loaded since it was made: it goes on answering calls, and whoever
    /// holds it had better make another one instead.
    pub fn is_outdated(&self) -> bool {
        self.current.load(Ordering::Relaxed) != self.code.number
    }

    /// Poisoned until the call has come to a good end, also if its future is dropped on the way.
    fn begin(&mut self) -> Result<Clock, Fault> {
        if self.poisoned {
            return Err(Fault::Host("the instance is poisoned by an earlier call".into()));
        }
        self.poisoned = true;
        self.store.set_epoch_deadline(FIRST_LOOK_TICKS);
        let deadline = Clock::now() + self.timeout;
        self.store.data_mut().begin(deadline);
        Ok(deadline)
    }

    fn end<T>(&mut self, called: Option<wasmtime::Result<T>>) -> Result<T, Fault> {
        let state = self.store.data_mut();
        state.finish_stdio();
        let value =
            called.ok_or(Fault::Timeout(self.timeout))?.map_err(|error| fault::in_call(&error, self.timeout, state))?;
        self.poisoned = false;
        Ok(value)
    }

    fn wrong_length(&mut self, found: usize, wanted: usize) -> Fault {
        self.poisoned = true;
        Fault::Trap(format!("process-batch answered {found} messages of {wanted}; it must answer each of them"))
    }
}

fn new_store<H: HostCalls>(engine: &wasmtime::Engine, host: H, limits: &Limits) -> Store<State<H>> {
    let mut store = Store::new(engine, State::new(host, limits));
    store.limiter(|state| &mut state.limiter);
    let most = limits.output_bytes.saturating_add(HOSTCALL_SLACK_BYTES);
    store.set_hostcall_fuel(usize::try_from(most).unwrap_or(usize::MAX));
    store.set_epoch_deadline(FIRST_LOOK_TICKS);
    store.epoch_deadline_callback(|mut store| {
        let state = store.data_mut();
        state.pass_on_stdio();
        if Clock::now() >= state.deadline {
            return Ok(UpdateDeadline::Interrupt);
        }
        Ok(UpdateDeadline::Yield(1))
    });
    store
}

async fn admit<H>(shared: &Shared<H>, admission: &Arc<Semaphore>, places: u32) -> Result<OwnedSemaphorePermit, Fault> {
    match Arc::clone(admission).try_acquire_many_owned(places) {
        Ok(place) => return Ok(place),
        Err(TryAcquireError::Closed) => return Err(Fault::Host("the engine is closed".into())),
        Err(TryAcquireError::NoPermits) => {}
    }
    let _waiting = shared.admissions.wait();
    let waited = Arc::clone(admission).acquire_many_owned(places);
    match tokio::time::timeout(shared.admission_timeout, waited).await {
        Ok(Ok(place)) => Ok(place),
        Ok(Err(_)) => Err(Fault::Host("the engine is closed".into())),
        Err(_) => {
            shared.admissions.timed_out();
            Err(Fault::Host(format!(
                "no instance ended within {:?} to make place for another; raise max instances",
                shared.admission_timeout
            )))
        }
    }
}

/// Runs guest code with a time limit. While the guest computes, the epoch sees to it; only when it waits for its host is
/// there a timer, so that a call which never waits pays for none. Nothing comes back when the time is up.
async fn bounded<H, F: Future>(shared: &Shared<H>, deadline: Clock, call: F) -> Option<F::Output> {
    let mut call = pin!(call);
    let mut timer = None;
    poll_fn(|context| {
        let polled = {
            let _running = shared.ticker.running();
            call.as_mut().poll(context)
        };
        if let Poll::Ready(output) = polled {
            return Poll::Ready(Some(output));
        }
        timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline.into())))
            .as_mut()
            .poll(context)
            .map(|()| None)
    })
    .await
}

fn answer(answered: Answered) -> Result<Answer, GuestError> {
    answered.map_err(GuestError::from)
}
