use bytes::{Buf, Bytes};

use super::metadata::Metadata;
use crate::{Error, Message, Result};

/// Takes an entry apart. Yields its messages by rising index, or one error and then nothing.
#[derive(Clone, Debug)]
pub struct Messages {
    rest: Bytes,
    next: u32,
    count: u32,
}

/// A message cannot be shorter: the size of its metadata, and in the metadata the size of its payload.
const SMALLEST_MESSAGE_BYTES: usize = 6;

impl Messages {
    /// Reads `count` messages from `encoded`. Nothing is read before the first one is asked for.
    pub fn new(encoded: Bytes, count: u32) -> Self {
        Self { rest: encoded, next: 0, count }
    }

    fn take(&mut self) -> Result<Message, &'static str> {
        if self.rest.len() < SMALLEST_MESSAGE_BYTES {
            return Err("it ends early");
        }
        let size = self.rest.get_u32() as usize;
        if size > self.rest.len() {
            return Err("its metadata is longer than what is left");
        }
        let (metadata, payload_bytes) =
            Metadata::parse(self.rest.split_to(size)).map_err(|_| "its metadata cannot be read")?;
        if payload_bytes > self.rest.len() {
            return Err("its payload is longer than what is left");
        }
        let payload = self.rest.split_to(payload_bytes);
        if self.next + 1 == self.count && !self.rest.is_empty() {
            return Err("bytes are left after it, the last one");
        }
        Ok(Message { index: self.next, metadata, payload })
    }
}

impl Iterator for Messages {
    type Item = Result<Message>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.count {
            return None;
        }
        let message = self.take();
        match message {
            Ok(message) => {
                self.next += 1;
                Some(Ok(message))
            }
            Err(detail) => {
                let what = format!("message {} of a batch of {}", self.next, self.count);
                self.next = self.count;
                Some(Err(Error::Corrupt { what, detail: detail.to_owned() }))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // What the count claims is not to be trusted with an allocation.
        let most = ((self.count - self.next) as usize).min(self.rest.len() / SMALLEST_MESSAGE_BYTES + 1);
        (0, Some(most))
    }
}
