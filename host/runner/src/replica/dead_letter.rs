//! Messages that failed for good, stored with the property names that Pulsar's clients use.

use std::rc::Rc;
use std::time::Instant;

use pulselet_api::topic::TopicName;
use pulselet_broker::batch::Outgoing;
use pulselet_broker::{Error, Stored};

use super::Replica;
use crate::settlement::DeadLetter;

/// Longest reason stored with a message, in characters.
const MAX_REASON: usize = 1_000;

impl Replica {
    pub(super) async fn store_dead_letter(self: Rc<Self>, letter: DeadLetter) {
        let result = self.send_dead_letter(&letter).await;
        let is_stored = match &result {
            Ok(_) => {
                self.metrics.dead_letters.inc();
                self.status.send_modify(|status| status.dead_letters += 1);
                true
            }
            Err(error) => {
                tracing::warn!(function = %self.shared.facts.function.name, %error, "dead letter refused; trying again");
                self.status.send_modify(|status| status.note(format!("dead letter topic: {error}")));
                false
            }
        };
        self.machine.borrow_mut().dead_lettered(letter, is_stored, Instant::now());
    }

    async fn send_dead_letter(&self, letter: &DeadLetter) -> Result<Stored, Error> {
        let function = &self.shared.facts.function;
        let topic = function
            .retry
            .dead_letter_topic
            .clone()
            .unwrap_or_else(|| default_topic(&letter.entry.topic, &function.subscription.name));
        let number = self.shared.topics.number(topic.clone()).ok_or(Error::Closed)?;
        // A subscription from the start keeps the letters until somebody reads them.
        self.outputs.open(number, &topic, Some(&function.subscription.name)).await?;
        let message = letter.entry.messages.get(letter.at).ok_or(Error::Closed)?;
        let id = letter.entry.id(message).to_string();
        let attempts = letter.attempts.to_string();
        let reason: String = letter.reason.chars().take(MAX_REASON).collect();
        let name = function.name.to_string();
        let properties = [
            ("REAL_TOPIC", letter.entry.topic.as_str()),
            ("REAL_SUBSCRIPTION", &function.subscription.name),
            ("ORIGIN_MESSAGE_ID", &id),
            ("RECONSUMETIMES", &attempts),
            ("PULSELET_FUNCTION", &name),
            ("PULSELET_REASON", &reason),
        ];
        let outgoing = Outgoing {
            payload: &message.payload,
            key: message.metadata.raw_key(),
            ordering_key: message.metadata.ordering_key(),
            forwarded: message.metadata.raw_properties(),
            properties: properties.as_slice().into(),
            event_time: message.metadata.event_time(),
            null_value: message.metadata.is_null(),
            ..Outgoing::default()
        };
        let (receipt, _) = self.outputs.send(number, &outgoing, None)?;
        receipt.await
    }
}

/// `<topic>-<subscription>-DLQ`, as Pulsar's clients name it; slashes of the subscription cannot be part of a topic.
fn default_topic(input: &TopicName, subscription: &str) -> TopicName {
    input.with_suffix(&format!("-{}-DLQ", subscription.replace('/', "-")))
}
