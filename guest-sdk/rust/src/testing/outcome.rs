use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::Effects;
use crate::Error;
use crate::error::Verdict;

/// What came of a call that succeeded; derefs to its [`Effects`].
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub(super) answer: Option<Vec<u8>>,
    pub(super) effects: Effects,
}

impl Outcome {
    /// The bytes for the output topic, if the function answered.
    pub fn answer(&self) -> Option<&[u8]> {
        self.answer.as_deref()
    }

    /// The answer as text, if there is one and it is UTF-8.
    pub fn text(&self) -> Option<&str> {
        text(self.answer())
    }

    /// The answer read as JSON, if there is one and it is of this type.
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(self.answer()?).ok()
    }
}

impl Deref for Outcome {
    type Target = Effects;

    fn deref(&self) -> &Effects {
        &self.effects
    }
}

/// What came of a call with many messages; derefs to its [`Effects`].
#[derive(Clone, Debug, PartialEq)]
pub struct BatchOutcome {
    pub(super) answers: Vec<Result<Option<Vec<u8>>, Cause>>,
    pub(super) effects: Effects,
}

impl BatchOutcome {
    /// One for each message, in their order.
    pub fn answers(&self) -> &[Result<Option<Vec<u8>>, Cause>] {
        &self.answers
    }

    /// The answer to message `index` as text, if there is one and it is UTF-8.
    pub fn text(&self, index: usize) -> Option<&str> {
        text(self.answers.get(index)?.as_ref().ok()?.as_deref())
    }

    /// Why message `index` failed, if it did.
    pub fn cause(&self, index: usize) -> Option<&Cause> {
        self.answers.get(index)?.as_ref().err()
    }
}

impl Deref for BatchOutcome {
    type Target = Effects;

    fn deref(&self) -> &Effects {
        &self.effects
    }
}

fn text(answer: Option<&[u8]>) -> Option<&str> {
    std::str::from_utf8(answer?).ok()
}

/// A call that failed, with its [`Effects`], to which it derefs.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    pub(super) cause: Cause,
    pub(super) effects: Box<Effects>,
}

impl Failure {
    /// Why it failed.
    pub fn cause(&self) -> &Cause {
        &self.cause
    }
}

impl Deref for Failure {
    type Target = Effects;

    fn deref(&self) -> &Effects {
        &self.effects
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl std::error::Error for Failure {}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The function asked for another attempt.
    Retry {
        /// Why.
        reason: String,
        /// How long it wants to wait.
        delay: Option<Duration>,
    },
    /// The function, or the decoding of its input, found the message impossible.
    Reject(String),
    /// The function can handle no message at all.
    Fatal(String),
    /// The function broke off: it panicked, or did what a component may not.
    Trap(String),
    /// The function took longer than it may.
    Timeout(String),
    /// The function could not be called: the test's setting is wrong, not the function.
    Harness(String),
}

impl From<Error> for Cause {
    fn from(Error { verdict, reason }: Error) -> Self {
        match verdict {
            Verdict::Retry { delay } => Self::Retry { reason, delay },
            Verdict::Reject => Self::Reject(reason),
            Verdict::Fatal => Self::Fatal(reason),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retry { reason, delay: None } => write!(f, "retry: {reason}"),
            Self::Retry { reason, delay: Some(delay) } => write!(f, "retry after {delay:?}: {reason}"),
            Self::Reject(reason) => write!(f, "rejected: {reason}"),
            Self::Fatal(reason) => write!(f, "fatal: {reason}"),
            Self::Trap(text) => write!(f, "trap: {text}"),
            Self::Timeout(text) => write!(f, "timeout: {text}"),
            Self::Harness(text) => write!(f, "the function was not called: {text}"),
        }
    }
}
