use std::env;
use std::path::PathBuf;

use serde::Serialize;

use super::component::Component;
use super::native::Native;
use super::{BatchOutcome, Cause, Effects, Failure, Input, Outcome};
use crate::host::{Incoming, Setting};
use crate::{Answer, Identity};

/// What the attributes make of a function besides a component: something a test can call.
pub trait Entry {
    /// The function's glue.
    const POINT: EntryPoint;
}

/// The glue of a function.
#[derive(Clone, Copy, Debug)]
pub enum EntryPoint {
    /// Takes one message a call.
    Function(fn(Vec<u8>) -> Answer),
    /// Takes many messages a call.
    BatchFunction(fn(Vec<Vec<u8>>) -> Vec<Answer>),
}

/// Calls one function, natively or as the component that `PULSELET_COMPONENT` names.
///
/// What is set holds for the calls that follow. Messages that a function settles by hand stay open from call to call.
#[derive(Debug)]
pub struct Harness {
    setting: Setting,
    sent: u64,
    runs: Runs,
}

#[derive(Debug)]
enum Runs {
    Native(Native),
    Component(Component),
}

impl Harness {
    /// A harness for a function, by the type that its attribute made; [`harness!`](super::harness) reads better.
    pub fn new<F: Entry>() -> Self {
        let runs = match env::var_os("PULSELET_COMPONENT") {
            Some(path) => Runs::Component(Component::new(PathBuf::from(path), F::POINT)),
            None => Runs::Native(Native::new(F::POINT)),
        };
        Self { setting: Setting::default(), sent: 0, runs }
    }

    /// Sets an entry of the user configuration, as `spec.funcConfig` would.
    ///
    /// # Panics
    /// The value is not one that JSON can hold.
    #[expect(clippy::expect_used, reason = "a test that cannot be set up fails")]
    pub fn config(&mut self, name: impl Into<String>, value: impl Serialize) -> &mut Self {
        let text = match serde_json::to_value(value).expect("a configuration value is JSON") {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        self.setting.config.insert(name.into(), text);
        self
    }

    /// Sets a secret, as `spec.secretsMap` would.
    pub fn secret(&mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> &mut Self {
        self.setting.secrets.insert(name.into(), value.into());
        self
    }

    /// Who the function is; `public/default/function`, the only replica, unless set.
    pub fn identity(&mut self, identity: Identity) -> &mut Self {
        self.setting.identity = identity;
        self
    }

    /// Topics the function was declared to read; none unless set.
    pub fn inputs<T: Into<String>>(&mut self, topics: impl IntoIterator<Item = T>) -> &mut Self {
        self.setting.inputs = topics.into_iter().map(T::into).collect();
        self
    }

    /// Topic that answers go to; none unless set.
    pub fn output(&mut self, topic: impl Into<String>) -> &mut Self {
        self.setting.output = Some(topic.into());
        self
    }

    /// A message to set up and [`call`](Input::call) the function with.
    pub fn message(&mut self, payload: impl Into<Vec<u8>>) -> Input<&mut Self> {
        Input::new(self, payload.into())
    }

    /// Gives the function many messages: all in one call if it takes batches, one by one otherwise.
    ///
    /// ```
    /// # #[pulselet::batch_function]
    /// # fn upper(lines: Vec<String>) -> Vec<String> { lines.iter().map(|line| line.to_uppercase()).collect() }
    /// # fn main() -> Result<(), pulselet::testing::Failure> {
    /// use pulselet::testing::{harness, message};
    ///
    /// let out = harness!(upper).batch(["a".into(), message("b").key("k")])?;
    /// assert_eq!(out.text(1), Some("B"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The function could not be called. What the function itself makes of each message is in the outcome.
    pub fn batch<M: Into<Input>>(&mut self, messages: impl IntoIterator<Item = M>) -> Result<BatchOutcome, Failure> {
        let messages: Vec<Incoming> = messages.into_iter().map(|message| self.incoming(message.into())).collect();
        if messages.is_empty() {
            return Ok(BatchOutcome { answers: Vec::new(), effects: Effects::default() });
        }
        let outcome = match &mut self.runs {
            Runs::Native(native) => Ok(native.call(&self.setting, messages)),
            Runs::Component(component) => component.call(&self.setting, messages),
        };
        outcome.map_err(|text| Failure { cause: Cause::Harness(text), effects: Box::default() })
    }

    pub(super) fn call_one(&mut self, message: Input) -> Result<Outcome, Failure> {
        let BatchOutcome { mut answers, effects } = self.batch([message])?;
        match answers.pop() {
            Some(Ok(answer)) => Ok(Outcome { answer, effects }),
            Some(Err(cause)) => Err(Failure { cause, effects: effects.into() }),
            None => Err(Failure { cause: Cause::Harness("no answer to the message".into()), effects: effects.into() }),
        }
    }

    fn incoming(&mut self, message: Input) -> Incoming {
        let Input { message_id, sequence_id, mut incoming, .. } = message;
        incoming.message_id.entry = self.sent;
        incoming.message_id = message_id.unwrap_or(incoming.message_id);
        incoming.sequence_id = sequence_id.unwrap_or(self.sent);
        self.sent += 1;
        incoming
    }
}
