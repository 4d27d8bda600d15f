//! Calls the Rust function itself, with the rules of the contract around it.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::{BatchOutcome, Cause, Effects, EntryPoint, LogLine, Metric, MetricKind, Published, Settled, Settlement};
use crate::host::{self, Call, Incoming, Notes, Setting, SettledHow};
use crate::message::at_millis;
use crate::{Answer, MessageId, logging};

type Answers = Vec<Result<Option<Vec<u8>>, Cause>>;

#[derive(Debug)]
pub(super) struct Native {
    point: EntryPoint,
    /// Handles of messages that earlier calls left open.
    open: BTreeMap<u64, MessageId>,
    next_handle: u64,
}

impl Native {
    pub(super) fn new(point: EntryPoint) -> Self {
        logging::start();
        Self { point, open: BTreeMap::new(), next_handle: 0 }
    }

    pub(super) fn call(&mut self, setting: &Setting, messages: Vec<Incoming>) -> BatchOutcome {
        let mut whole = BatchOutcome { answers: Vec::new(), effects: Effects::default() };
        match self.point {
            EntryPoint::Function(function) => {
                for message in messages {
                    let one = |mut payloads: Vec<Vec<u8>>| vec![function(payloads.pop().unwrap_or_default())];
                    self.call_once(setting, vec![message], one, &mut whole);
                }
            }
            EntryPoint::BatchFunction(function) => self.call_once(setting, messages, function, &mut whole),
        }
        whole
    }

    fn call_once(
        &mut self,
        setting: &Setting,
        messages: Vec<Incoming>,
        function: impl FnOnce(Vec<Vec<u8>>) -> Vec<Answer>,
        whole: &mut BatchOutcome,
    ) {
        let payloads: Vec<Vec<u8>> = messages.iter().map(|message| message.payload.clone()).collect();
        let count = payloads.len();
        let call = Call {
            setting: setting.clone(),
            messages,
            open: self.open.clone(),
            next_handle: self.next_handle,
            ..Call::default()
        };
        let outer = host::enter(Some(call));
        let answers = catch_unwind(AssertUnwindSafe(|| function(payloads)));
        let Call { open, next_handle, mut notes, .. } = host::enter(outer).unwrap_or_default();
        self.next_handle = next_handle;

        let returned = answers.is_ok();
        let answers = match answers {
            Ok(answers) => answers.into_iter().map(|answer| answer.map_err(Cause::from)).collect(),
            Err(panic) => vec![Err(Cause::Trap(panic_text(panic.as_ref()))); count],
        };
        // A batch answers each message by itself, so what it settles holds as soon as it returns.
        let batch = matches!(self.point, EntryPoint::BatchFunction(_));
        if returned && (batch || answers.iter().all(Result::is_ok)) {
            self.open = open;
        } else {
            notes.settled.clear();
        }
        discard_of_failed(&answers, &mut notes);
        extend(whole, answers, notes);
    }
}

/// What a failed message has put out is not sent, unless it was sent at once.
fn discard_of_failed(answers: &Answers, notes: &mut Notes) {
    notes.published.retain(|note| note.now || answers.get(note.index as usize).is_some_and(Result::is_ok));
}

fn extend(whole: &mut BatchOutcome, answers: Answers, notes: Notes) {
    let before = whole.answers.len() as u32;
    let effects = &mut whole.effects;
    effects.published.extend(notes.published.into_iter().map(|note| Published {
        topic: note.topic,
        payload: note.message.payload,
        key: note.message.key,
        properties: note.message.properties,
        event_time: note.message.event_time.map(at_millis),
        delay: note.message.delay.map(Duration::from_millis),
        now: note.now,
        index: before + note.index,
    }));
    effects.logs.extend(notes.logs.into_iter().map(|(level, target, text)| LogLine { level, target, text }));
    effects.metrics.extend(notes.metrics.into_iter().map(|(kind, name, value)| {
        let kind = match kind {
            host::MetricKind::Count => MetricKind::Count,
            host::MetricKind::Gauge => MetricKind::Gauge,
            host::MetricKind::Observe => MetricKind::Observe,
        };
        Metric { kind, name, value }
    }));
    effects.settled.extend(notes.settled.into_iter().map(|(message_id, how)| {
        let how = match how {
            SettledHow::Acked => Settlement::Acked,
            SettledHow::Nacked(delay) => Settlement::Nacked(delay.map(Duration::from_millis)),
        };
        Settled { message_id, how }
    }));
    whole.answers.extend(answers);
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    text.unwrap_or("panic without text").to_owned()
}
