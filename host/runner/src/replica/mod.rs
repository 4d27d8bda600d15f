//! One replica: a loop that settles, and workers that call, all on one thread, sharing the state machine of
//! [`crate::settlement`].
//!
//! - [`worker`]: takes messages, calls the guest, hands its outputs on; [`workers`]: all of a replica
//! - [`instances`]: a worker's instance, in hand, parked or made anew
//! - [`revision`]: what runs, until an update replaces it
//! - [`orders`]: carries out what the state machine asks for
//! - [`letter`]: messages that leave for the retry topic or the dead letter topic
//! - [`failures`]: failed calls and dropped messages, in the log of the process
//! - [`status`]: what others may know of a replica

mod drain;
mod failures;
mod instances;
mod letter;
mod orders;
mod publish_now;
pub(crate) mod revision;
pub(crate) mod status;
mod worker;
mod workers;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::channel::mpsc;
use pulselet_broker::{Consumer, Event};
use pulselet_engine::TopicNumber;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use crate::flight::Flight;
use crate::host::{PublishNow, Shared};
use crate::inputs::Arrival;
use crate::metrics::ReplicaMetrics;
use crate::outputs::Outputs;
use crate::settlement::{Settlement, Source};
use failures::Pace;
use instances::Idle;
use revision::{Revision, Running};
use status::{Phase, StatusWriter};
use workers::Workers;

/// Arrivals taken in at one go.
const ARRIVALS: usize = 32;

/// How long a replica that stops by itself waits for calls that are under way.
const GRACE: Duration = Duration::from_secs(5);

/// What a replica is told.
pub(crate) enum Command {
    /// Run this from the next call on. Answered when no further call begins on what ran before.
    Swap { revision: Revision, done: oneshot::Sender<()> },
    /// Finish what is being called, settle it, close everything. What takes longer than this is broken off.
    Drain { grace: Duration },
}

/// The queues a replica listens to.
pub(crate) struct Inbox {
    pub(crate) arrivals: mpsc::Receiver<Arrival>,
    pub(crate) publish_now: mpsc::Receiver<PublishNow>,
    pub(crate) commands: mpsc::Receiver<Command>,
}

/// See the module.
pub(crate) struct Replica {
    pub(crate) shared: Rc<Shared>,
    running: RefCell<Rc<Running>>,
    pub(crate) machine: RefCell<Settlement>,
    pub(crate) outputs: Outputs,
    pub(crate) flight: Flight,
    pub(crate) metrics: ReplicaMetrics,
    pub(crate) status: StatusWriter,
    /// Stops the consumers' tasks.
    pub(crate) inputs: CancellationToken,
    /// The declared output, if there is one.
    pub(crate) output: Option<TopicNumber>,
    /// Instances that no worker has in its hand.
    idle: Idle,
    consumers: RefCell<HashMap<Source, Arc<dyn Consumer>>>,
    /// Wakes workers: there is something to call.
    work: Notify,
    /// Wakes the loop: there are orders.
    todo: Notify,
    calls: Cell<u32>,
    /// Confirmations that are awaited: outputs, acks, dead letters.
    awaited: Cell<u32>,
    stopping: Cell<bool>,
    failures: Pace,
    drops: Pace,
}

impl Replica {
    #[expect(clippy::too_many_arguments, reason = "the parts of a replica, put together in one place")]
    pub(crate) fn new(
        shared: Shared,
        revision: Revision,
        machine: Settlement,
        outputs: Outputs,
        flight: Flight,
        metrics: ReplicaMetrics,
        status: StatusWriter,
        inputs: CancellationToken,
    ) -> Self {
        let shared = Rc::new(shared);
        let declared = shared.facts.function.output.as_ref();
        let output = declared.and_then(|output| shared.topics.number(output.topic.clone()));
        Self {
            running: RefCell::new(Rc::new(Running::new(revision, &shared))),
            shared,
            machine: RefCell::new(machine),
            outputs,
            flight,
            metrics,
            status,
            inputs,
            output,
            idle: Idle::default(),
            consumers: RefCell::default(),
            work: Notify::new(),
            todo: Notify::new(),
            calls: Cell::new(0),
            awaited: Cell::new(0),
            stopping: Cell::new(false),
            failures: Pace::default(),
            drops: Pace::default(),
        }
    }

    /// Runs until drained or stopped by the function itself.
    pub(crate) async fn run(self: Rc<Self>, mut inbox: Inbox) {
        let mut workers = Workers::new(self.metrics.clone());
        workers.start_if_needed(&self);
        let mut grace = GRACE;
        while !self.stopping.get() {
            let timer = [self.machine.borrow().next_timer(), self.outputs.due()].into_iter().flatten().min();
            let wake = async {
                match timer {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                arrival = inbox.arrivals.next() => {
                    let Some(arrival) = arrival else { break };
                    self.arrived(arrival);
                    let others = (1..ARRIVALS).map_while(|_| inbox.arrivals.try_recv().ok());
                    others.for_each(|arrival| self.arrived(arrival));
                }
                () = self.todo.notified() => {}
                () = wake => self.machine.borrow_mut().tick(Instant::now()),
                Some(request) = inbox.publish_now.next() => {
                    tokio::task::spawn_local(publish_now::serve(Rc::clone(&self), request));
                }
                command = inbox.commands.next() => match command {
                    Some(Command::Swap { revision, done }) => self.swap(revision, done),
                    Some(Command::Drain { grace: given }) => {
                        grace = given;
                        break;
                    }
                    None => {
                        // Nobody is left who could command: nobody waits for the end of a call either.
                        grace = Duration::ZERO;
                        break;
                    }
                },
            }
            self.carry_out();
            workers.start_if_needed(&self);
        }
        // Boxed, so that a replica that runs keeps no room for its end.
        Box::pin(self.drain(inbox, workers, grace)).await;
    }

    /// What runs now; stays what it is for whoever holds it.
    fn running(&self) -> Rc<Running> {
        Rc::clone(&self.running.borrow())
    }

    fn swap(&self, revision: Revision, done: oneshot::Sender<()>) {
        *self.running.borrow_mut() = Rc::new(Running::new(revision, &self.shared));
        self.idle.clear();
        // Workers that rest make warm ones again.
        self.work.notify_waiters();
        // Whoever asked may have gone.
        done.send(()).ok();
    }

    fn arrived(&self, arrival: Arrival) {
        let mut machine = self.machine.borrow_mut();
        match arrival {
            Arrival::Opened { source, consumer } => {
                self.consumers.borrow_mut().insert(source, consumer);
                machine.opened(source);
            }
            Arrival::Closed { source, error } => {
                self.consumers.borrow_mut().remove(&source);
                machine.closed(source);
                self.status.change(|status| status.note(format!("input: {error}")));
            }
            Arrival::AllOpen => self.status.change(|status| status.enter(Phase::Ready)),
            Arrival::Event { source, event } => match event {
                Event::Entries(entries) => {
                    let count: usize = entries.iter().map(|entry| entry.messages.len()).sum();
                    self.metrics.received.inc_by(count as u64);
                    entries.into_iter().for_each(|entry| machine.deliver(source, entry));
                }
                Event::Reset => machine.reset(source),
                Event::Active(false) => machine.forget_uncalled(source),
                _ => {}
            },
        }
    }

    /// Awaits something on the side; it counts as work in hand until it is done.
    fn await_aside(self: &Rc<Self>, work: impl Future<Output = ()> + 'static) {
        self.awaited.set(self.awaited.get() + 1);
        let replica = Rc::clone(self);
        tokio::task::spawn_local(async move {
            work.await;
            replica.awaited.set(replica.awaited.get() - 1);
            replica.todo.notify_one();
        });
    }

    /// True when nothing is called, sent or about to be settled.
    fn is_idle(&self) -> bool {
        self.calls.get() == 0 && self.awaited.get() == 0 && self.outputs.is_idle()
    }
}
