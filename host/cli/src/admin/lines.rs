use std::collections::VecDeque;

use axum::body::{Body, BodyDataStream};
use bytes::BytesMut;
use futures::StreamExt;
use serde::de::DeserializeOwned;

use super::wire::MAX_LINE_BYTES;

/// The lines of a body, each a JSON value, as they arrive.
pub(crate) struct Lines {
    body: BodyDataStream,
    rest: BytesMut,
    complete: VecDeque<BytesMut>,
}

impl Lines {
    pub(crate) fn new(body: Body) -> Self {
        Self { body: body.into_data_stream(), rest: BytesMut::new(), complete: VecDeque::new() }
    }

    /// The next value; `None` when the body has ended. Cancel safe.
    pub(crate) async fn next<T: DeserializeOwned>(&mut self) -> anyhow::Result<Option<T>> {
        while self.complete.is_empty() {
            let Some(chunk) = self.body.next().await else {
                anyhow::ensure!(self.rest.is_empty(), "the connection was lost in the middle of a line");
                return Ok(None);
            };
            self.rest.extend_from_slice(&chunk?);
            while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line = self.rest.split_to(end + 1);
                self.complete.push_back(line);
            }
            anyhow::ensure!(self.rest.len() <= MAX_LINE_BYTES, "a line is longer than {MAX_LINE_BYTES} bytes");
        }
        self.complete.pop_front().map(|line| Ok(serde_json::from_slice(&line)?)).transpose()
    }

    /// True when [`Lines::next`] has a value at hand and will not wait.
    pub(crate) fn has_more_at_hand(&self) -> bool {
        !self.complete.is_empty()
    }
}
