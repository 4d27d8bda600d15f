use std::fmt;
use std::time::Duration;

/// How a message failed, and what is to become of it.
///
/// Any other error turns into a retry through `?`, with its whole chain of causes as the reason. What can never
/// succeed is said so with [`Error::reject`], what concerns every message with [`Error::fatal`].
///
/// ```
/// use pulselet::Error;
///
/// fn parse(input: &[u8]) -> Result<u64, Error> {
///     let text = std::str::from_utf8(input)?; // retried
///     text.parse().map_err(|_| Error::reject(format!("{text:?} is not a number"))) // not retried
/// }
/// ```
///
/// It does not implement [`std::error::Error`]: that is what lets `?` take every type that does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub(crate) verdict: Verdict,
    pub(crate) reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Retry { delay: Option<Duration> },
    Reject,
    Fatal,
}

impl Error {
    /// Try the message again, as the subscription allows; after the last attempt it goes to the dead-letter topic.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self { verdict: Verdict::Retry { delay: None }, reason: reason.into() }
    }

    /// The message can never be handled: it goes to the dead-letter topic now, or is acked and counted where there is
    /// none.
    pub fn reject(reason: impl Into<String>) -> Self {
        Self { verdict: Verdict::Reject, reason: reason.into() }
    }

    /// No message can be handled: the replica stops, the message stays unacked, the status shows the reason.
    pub fn fatal(reason: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fatal, reason: reason.into() }
    }

    /// Waits at least this long before the next attempt, in place of the host's backoff. What is not tried again has
    /// nothing to wait for, so a reject or a fatal error stays as it is.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        if let Verdict::Retry { delay: wait } = &mut self.verdict {
            *wait = Some(delay);
        }
        self
    }

    /// What the log, the status and the dead letter say.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.verdict {
            Verdict::Retry { delay: None } => write!(f, "retry: {}", self.reason),
            Verdict::Retry { delay: Some(delay) } => write!(f, "retry after {delay:?}: {}", self.reason),
            Verdict::Reject => write!(f, "rejected: {}", self.reason),
            Verdict::Fatal => write!(f, "fatal: {}", self.reason),
        }
    }
}

/// Every error type, `anyhow::Error`, and plain text: each becomes a retry.
impl<E: Into<Box<dyn std::error::Error + Send + Sync>>> From<E> for Error {
    fn from(error: E) -> Self {
        let error = error.into();
        let mut reason = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Many errors already end with the text of what caused them.
            if !reason.ends_with(&text) {
                reason = format!("{reason}: {text}");
            }
            cause = error.source();
        }
        Self::retry(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Outer(std::num::ParseIntError);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("read the total")
        }
    }

    impl std::error::Error for Outer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }

    fn fails() -> Result<(), Error> {
        Err("x".parse::<u8>().map_err(Outer).unwrap_err())?
    }

    #[test]
    fn an_error_passed_up_is_retried_and_names_its_causes() {
        assert_eq!(fails(), Err(Error::retry("read the total: invalid digit found in string")));
    }

    #[test]
    fn plain_text_passed_up_is_retried() {
        assert_eq!(Error::from("busy"), Error::retry("busy"));
    }

    #[test]
    fn only_a_retry_waits() {
        let wait = Duration::from_secs(3);
        assert_eq!(Error::retry("busy").after(wait).to_string(), "retry after 3s: busy");
        assert_eq!(Error::reject("bad").after(wait), Error::reject("bad"));
    }
}
