use std::fmt;
use std::time::Duration;

use crate::host;
use crate::message::millis;

/// The right to settle one message, from [`Context::ack_handle`](crate::Context::ack_handle).
///
/// It may be kept for a later call, and settles once: using it consumes it. What it does takes effect when the call has
/// returned without an error and its outputs are confirmed. A message whose handle is dropped unused stays open until
/// the replica ends, and is then delivered again.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a message that is neither acked nor nacked stays open until the replica ends"]
pub struct AckHandle(pub(crate) u64);

impl AckHandle {
    /// The message is done.
    ///
    /// # Errors
    /// The host no longer knows the message.
    pub fn ack(self) -> Result<(), SettleError> {
        host::ack(self.0)
    }

    /// Gives the message back for another attempt after `delay`, or after the host's backoff when that is `None`.
    ///
    /// # Errors
    /// The host no longer knows the message.
    pub fn nack(self, delay: impl Into<Option<Duration>>) -> Result<(), SettleError> {
        host::nack(self.0, delay.into().map(millis))
    }
}

/// The host does not know the message: it is settled already, or the handle was never given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettleError {
    pub(crate) handle: u64,
}

impl fmt::Display for SettleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "settle: message with handle {} is not open", self.handle)
    }
}

impl std::error::Error for SettleError {}
