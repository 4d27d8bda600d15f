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
            // A long line comes in many pieces; each is looked through once.
            let mut from = self.rest.len();
            self.rest.extend_from_slice(&chunk?);
            while let Some(end) = self.rest.iter().skip(from).position(|byte| *byte == b'\n') {
                self.complete.push_back(self.rest.split_to(from + end + 1));
                from = 0;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines over a body that comes in these pieces.
    fn lines(pieces: &[&str]) -> Lines {
        let pieces: Vec<_> = pieces.iter().map(|piece| anyhow::Ok((*piece).to_owned())).collect();
        Lines::new(Body::from_stream(futures::stream::iter(pieces)))
    }

    #[tokio::test]
    async fn lines_are_whole_wherever_the_pieces_end() {
        let text = "[1]\n[22]\n[333]\n";
        for first in 0..text.len() {
            for second in first..text.len() {
                let mut lines = lines(&[&text[..first], &text[first..second], &text[second..]]);
                for expected in [1, 22, 333] {
                    assert_eq!(lines.next::<Vec<u64>>().await.unwrap(), Some(vec![expected]));
                }
                assert_eq!(lines.next::<Vec<u64>>().await.unwrap(), None);
            }
        }
    }

    #[tokio::test]
    async fn a_body_that_ends_inside_a_line_or_never_ends_one_is_an_error() {
        let mut cut = lines(&["1\n2"]);
        assert_eq!(cut.next::<u64>().await.unwrap(), Some(1));
        assert!(cut.next::<u64>().await.unwrap_err().to_string().contains("in the middle of a line"));
        let long = "x".repeat(MAX_LINE_BYTES + 1);
        assert!(lines(&[&long]).next::<u64>().await.unwrap_err().to_string().contains("longer than"));
    }
}
