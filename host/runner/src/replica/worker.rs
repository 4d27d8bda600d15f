//! Takes messages, calls the guest, hands its outputs on. A worker owns at most one instance and runs one call at a
//! time; a replica has as many workers as it may make calls at once.

use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use pulselet_api::{Reuse, World};
use pulselet_broker::Error;
use pulselet_broker::batch::{Key, Outgoing};
use pulselet_engine::{Answer, Fault, GuestError, Instance, TopicNumber};

use super::Replica;
use super::instances::{Instances, Warmth};
use super::revision::Running;
use crate::fair;
use crate::host::{GuestHost, Published};
use crate::settlement::{Failure, Owner, Settle, Task, Verdict, Work};

/// A worker lets others on its thread go on after this many calls ...
const TURN_CALLS: u32 = 64;
/// ... or this much time.
const TURN_TIME: Duration = Duration::from_millis(1);

/// What a call said of each of its messages, or why it broke off as a whole.
type Answers = Result<Vec<Result<Answer, GuestError>>, Fault>;

struct Worker {
    replica: Rc<Replica>,
    /// Which worker of its replica.
    number: usize,
    instances: Instances,
    /// Messages of the next call; its buffer and the host's take turns.
    call: Vec<Work>,
}

/// Works until the replica stops.
pub(super) async fn run(replica: Rc<Replica>, number: usize) {
    let mut worker = Worker { replica, number, instances: Instances::new(), call: Vec::new() };
    let (mut turn_calls, mut turn_start) = (0, Instant::now());
    while !worker.replica.stopping.get() {
        let running = worker.replica.running();
        let most = match running.revision.assigned.world() {
            World::Function => 1,
            World::BatchFunction => running.revision.function.batch_messages.get() as usize,
        };
        worker.call.clear();
        if !worker.replica.outputs.is_full() {
            worker.replica.machine.borrow_mut().next_call(most, &mut worker.call);
        }
        if worker.call.is_empty() {
            match worker.instances.warmth(&running, Instant::now()) {
                Warmth::Missing => worker.instances.warm(&running).await,
                Warmth::Enough { until } => worker.rest(&running, until).await,
            }
            (turn_calls, turn_start) = (0, Instant::now());
            continue;
        }
        let ended = worker.call(&running).await;
        turn_calls += 1;
        if turn_calls >= TURN_CALLS || ended.duration_since(turn_start) >= TURN_TIME {
            worker.replica.todo.notify_one();
            fair::end_turn().await;
            // Others may have had the thread for long.
            (turn_calls, turn_start) = (0, Instant::now());
        }
    }
}

impl Worker {
    /// There is nothing to call: what was gathered goes out, and settled members of half-done entries are acked. Until
    /// there is, or until this time.
    async fn rest(&mut self, running: &Running, until: Option<Instant>) {
        self.replica.outputs.flush_all();
        self.replica.await_receipts();
        self.replica.machine.borrow_mut().ack_members();
        self.replica.todo.notify_one();
        let has_warm = running.revision.function.instances.warm > 0;
        let superseded = pin!(running.revision.assigned.superseded());
        self.instances.park(&self.replica.idle, running);
        let work = async {
            tokio::select! {
                () = self.replica.work.notified() => {}
                // A warm instance is to be one of the best code; others are made anew with their next message.
                () = superseded, if has_warm => self.replica.idle.clear(),
            }
        };
        match until {
            Some(at) => drop(tokio::time::timeout_at(at.into(), work).await),
            None => work.await,
        }
    }

    /// One call; returns when it ended.
    async fn call(&mut self, running: &Running) -> Instant {
        let started = Instant::now();
        self.replica.calls.set(self.replica.calls.get() + 1);
        let tasks: Vec<Task> = self.call.iter().map(|work| work.task).collect();
        self.replica.flight.takes_off(self.number, &self.call);
        let taken = self.instances.take(&self.replica.idle, running);
        let is_cold = taken.is_none() && running.revision.function.component.reuse == Reuse::Instance;
        let instance = match taken {
            Some(instance) => Ok(instance),
            None => self.instances.make(running).await,
        };
        match instance {
            Ok(mut instance) => {
                let answers = call_guest(&mut instance, running.revision.assigned.world(), &mut self.call).await;
                let ended = self.ended(started, is_cold);
                running.try_out(&answers, tasks.len());
                self.settle(&mut instance, &tasks, answers, ended).await;
                self.instances.keep(instance, running);
                self.leave(ended)
            }
            Err(fault) => {
                let ended = self.ended(started, false);
                running.try_out(&Err(fault.clone()), tasks.len());
                self.not_made(fault, tasks, ended);
                self.leave(ended)
            }
        }
    }

    /// There is no instance: nothing was called.
    fn not_made(&self, fault: Fault, tasks: Vec<Task>, now: Instant) {
        self.replica.metrics.fault(&fault);
        let reason = fault.to_string();
        self.replica.status.change(|status| {
            status.failed += tasks.len() as u64;
            status.note(reason.clone());
        });
        let failed = |task| (task, Verdict::Failed(Failure::Host(reason.clone())));
        let verdicts: Vec<(Task, Verdict)> = tasks.into_iter().map(failed).collect();
        self.replica.tell_failures(&self.call, &verdicts, now);
        self.replica.machine.borrow_mut().call_ended(verdicts, Vec::new(), now);
    }

    fn leave(&self, ended: Instant) -> Instant {
        self.replica.flight.landed(self.number);
        self.replica.calls.set(self.replica.calls.get() - 1);
        ended
    }

    fn ended(&self, started: Instant, is_cold: bool) -> Instant {
        let ended = Instant::now();
        let took = ended.duration_since(started);
        let metrics = &self.replica.metrics;
        metrics.latency.observe(took);
        metrics.last_invocation.set(since_epoch().as_millis() as f64);
        if is_cold {
            metrics.cold_start.observe(took.as_secs_f64());
            self.replica.status.change(|status| {
                status.cold_starts += 1;
                status.last_cold_start = Some(took);
            });
        }
        ended
    }

    /// Turns what the guest said into verdicts, and hands on the outputs of what counts.
    async fn settle(&self, instance: &mut Instance<GuestHost>, tasks: &[Task], answers: Answers, now: Instant) {
        let host = instance.host_mut();
        let mut outcomes: Vec<Result<Answer, Failure>> = match answers {
            Ok(answers) => answers.into_iter().map(|answer| answer.map_err(Failure::from)).collect(),
            Err(fault) => {
                self.replica.metrics.fault(&fault);
                host.discard();
                let verdicts = broken_off(tasks, &fault);
                self.replica.tell_failures(host.end().0, &verdicts, now);
                self.count(&verdicts);
                self.replica.machine.borrow_mut().call_ended(verdicts, Vec::new(), now);
                return;
            }
        };
        if let Err(reason) = self.open_topics(host).await {
            let refuse = |outcome: &mut Result<Answer, Failure>| {
                if outcome.is_ok() {
                    *outcome = Err(Failure::Host(reason.clone()));
                }
            };
            outcomes.iter_mut().for_each(refuse);
        }
        if outcomes.iter().all(Result::is_err) {
            host.discard();
        }
        self.hand_on(host, tasks, outcomes, now);
        self.replica.await_receipts();
    }

    /// Opens what the call wants to publish to and is not open yet.
    async fn open_topics(&self, host: &mut GuestHost) -> Result<(), String> {
        let replica = &self.replica;
        let wanted = host.end().1.iter().map(|published| published.topic).chain(replica.output);
        let missing: Vec<TopicNumber> = wanted.filter(|topic| !replica.outputs.is_open(*topic)).collect();
        for topic in missing {
            replica.open(topic).await.map_err(|error| format!("output: {error}"))?;
        }
        Ok(())
    }

    /// Without a pause from here to the end, so that nothing comes between the outputs and the verdicts.
    fn hand_on(&self, host: &mut GuestHost, tasks: &[Task], outcomes: Vec<Result<Answer, Failure>>, now: Instant) {
        let replica = &self.replica;
        let (mut put_out, most) = (host.put_out_bytes(), host.limits().output_bytes);
        let (works, published, settle) = host.end();
        let verdict = |(index, outcome): (usize, &Result<Answer, Failure>)| match outcome {
            Ok(answer) => {
                if let Err(reason) = count_answer(answer, &mut put_out, most) {
                    return Verdict::Failed(Failure::Retry { reason, delay: None });
                }
                if let Some(reason) = replica.too_large(works.get(index), answer, index, published) {
                    return Verdict::Failed(Failure::Retry { reason, delay: None });
                }
                let own = published.iter().filter(|p| p.index as usize == index).count() as u32;
                let answers = u32::from(answer.is_some() && replica.output.is_some());
                Verdict::Done { outputs: own + answers }
            }
            Err(failure) => Verdict::Failed(failure.clone()),
        };
        let verdicts = outcomes.iter().enumerate().map(verdict);
        let verdicts: Vec<(Task, Verdict)> = tasks.iter().copied().zip(verdicts).collect();
        replica.tell_failures(works, &verdicts, now);
        self.count(&verdicts);
        let keeps = replica.machine.borrow().keeps_outputs(&verdicts);
        for (index, (outcome, _)) in outcomes.iter().zip(&keeps).enumerate().filter(|(_, (_, keeps))| **keeps) {
            let (Some(work), Ok(answer)) = (works.get(index), outcome) else { continue };
            for published in published.iter().filter(|p| p.index as usize == index) {
                replica.push_published(published, work.owner(), now);
            }
            if let Some(answer) = answer {
                replica.push_answer(answer, work, now);
            }
        }
        published.clear();
        let settle: Vec<Settle> = std::mem::take(settle);
        replica.machine.borrow_mut().call_ended(verdicts, settle, now);
    }

    fn count(&self, verdicts: &[(Task, Verdict)]) {
        let done = verdicts.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Done { .. })).count() as u64;
        let failed = verdicts.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Failed(_))).count() as u64;
        self.replica.metrics.processed.inc_by(done);
        self.replica.status.change_if(|status| {
            status.processed += done;
            status.failed += failed;
            false
        });
    }
}

impl Running {
    /// Counts towards the trial of new code. What the host could not do says nothing about it.
    fn try_out(&self, answers: &Answers, messages: usize) {
        let Some(trial) = &self.revision.trial else { return };
        match answers {
            Ok(answers) => trial.record(messages, answers.iter().filter(|answer| answer.is_err()).count()),
            Err(Fault::Host(_)) => {}
            Err(_) => trial.record(messages, 1),
        }
    }
}

async fn call_guest(instance: &mut Instance<GuestHost>, world: World, call: &mut Vec<Work>) -> Answers {
    let payload = |work: &Work| work.entry.messages.get(work.at).map(|m| m.payload.clone()).unwrap_or_default();
    match call.as_slice() {
        [work] if world == World::Function => {
            let payload = payload(work);
            instance.host_mut().begin(call);
            match instance.process(&payload).await {
                Ok(answer) => Ok(vec![Ok(answer)]),
                Err(Fault::Guest(error)) => Ok(vec![Err(error)]),
                Err(fault) => Err(fault),
            }
        }
        works => {
            let payloads: Vec<Bytes> = works.iter().map(payload).collect();
            instance.host_mut().begin(call);
            instance.process_batch(&payloads).await
        }
    }
}

/// Counts an answer towards what its call has put out, unless it is too much.
fn count_answer(answer: &Answer, put_out: &mut u64, most: u64) -> Result<(), String> {
    let bytes = *put_out + answer.as_ref().map_or(0, Vec::len) as u64;
    if bytes > most {
        return Err(format!(
            "with its answer the call put out {bytes} bytes, of {most} allowed; raise spec.limits.outputBytes"
        ));
    }
    *put_out = bytes;
    Ok(())
}

/// A call that broke off as a whole: one message is to blame if it was alone, otherwise each is tried by itself.
fn broken_off(tasks: &[Task], fault: &Fault) -> Vec<(Task, Verdict)> {
    match tasks {
        [task] => {
            let reason = fault.to_string();
            let failure = match fault {
                Fault::Host(_) => Failure::Host(reason),
                _ => Failure::Retry { reason, delay: None },
            };
            vec![(*task, Verdict::Failed(failure))]
        }
        tasks => tasks.iter().map(|task| (*task, Verdict::Replay)).collect(),
    }
}

impl From<GuestError> for Failure {
    fn from(error: GuestError) -> Self {
        match error {
            GuestError::Retry { reason, delay } => Self::Retry { reason, delay },
            GuestError::Reject(reason) => Self::Reject(reason),
            GuestError::Fatal(reason) => Self::Fatal(reason),
        }
    }
}

impl Replica {
    pub(super) async fn open(&self, number: TopicNumber) -> Result<(), Error> {
        if self.outputs.is_open(number) {
            return Ok(());
        }
        let topic = self.shared.topics.name(number).ok_or(Error::Closed)?;
        self.outputs.open(number, &topic, None).await
    }

    fn push_published(&self, published: &Published, owner: Owner, now: Instant) {
        let message = published_message(published);
        self.push(published.topic, &message, deliver_at(published.message.delay), owner, now);
    }

    fn push_answer(&self, answer: &[u8], work: &Work, now: Instant) {
        let (Some(topic), Some(message)) = (self.output, self.answer_message(answer, work)) else {
            self.metrics.output_discarded.inc();
            return;
        };
        self.push(topic, &message, None, work.owner(), now);
    }

    fn push(&self, topic: TopicNumber, message: &Outgoing<'_>, at: Option<u64>, owner: Owner, now: Instant) {
        if let Err(error) = self.outputs.push(topic, message, at, owner, now) {
            // Topics are opened before outputs are handed on and closed only after the last call.
            tracing::error!(%error, "an output was pushed to a topic that is not open");
        }
    }

    /// An answer carries the key, the event time and, unless declared otherwise, the properties of its message.
    fn answer_message<'a>(&self, answer: &'a [u8], work: &'a Work) -> Option<Outgoing<'a>> {
        let metadata = &work.entry.messages.get(work.at)?.metadata;
        let forwards = self.shared.facts.function.forward_properties;
        Some(Outgoing {
            payload: answer,
            key: metadata.raw_key(),
            forwarded: if forwards { metadata.raw_properties() } else { Default::default() },
            event_time: metadata.event_time(),
            ..Outgoing::default()
        })
    }

    /// Why an output of a message cannot be sent, if one is larger than its topic takes.
    fn too_large(&self, work: Option<&Work>, answer: &Answer, index: usize, published: &[Published]) -> Option<String> {
        let answer = answer.as_ref().zip(work).and_then(|(answer, work)| self.answer_message(answer, work));
        let answer = answer.zip(self.output).map(|(message, topic)| (message.encoded_len(), topic));
        let own = published.iter().filter(|p| p.index as usize == index);
        let own = own.map(|p| (published_message(p).encoded_len(), p.topic));
        let sizes = own.chain(answer).find(|(bytes, topic)| *bytes > self.outputs.max_message_bytes(*topic));
        sizes.map(|(bytes, topic)| {
            let limit = self.outputs.max_message_bytes(topic);
            format!("an output of {bytes} bytes is larger than the {limit} that its topic takes")
        })
    }
}

fn published_message(published: &Published) -> Outgoing<'_> {
    let message = &published.message;
    Outgoing {
        payload: &message.payload,
        key: message.key.as_deref().map(Key::Text),
        properties: message.properties.as_slice().into(),
        event_time: message.event_time,
        ..Outgoing::default()
    }
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// When a message with this delay is due, in milliseconds since the epoch.
pub(super) fn deliver_at(delay: Option<u64>) -> Option<u64> {
    delay.map(|delay| (since_epoch().as_millis() as u64).saturating_add(delay))
}
