//! Messages that leave their topic, for the retry topic or the dead letter topic, with the property names that Pulsar's
//! clients use.

use std::rc::Rc;
use std::time::{Duration, Instant};

use pulselet_api::topic::TopicName;
use pulselet_broker::batch::Outgoing;
use pulselet_broker::{Error, Message, Stored};

use super::Replica;
use super::worker::deliver_at;
use crate::settlement::Letter;
use crate::settlement::attempts::RECONSUMETIMES;

/// Topic and id that a message had at first; kept when it goes on from the retry topic.
const REAL_TOPIC: &str = "REAL_TOPIC";
const ORIGIN_MESSAGE_ID: &str = "ORIGIN_MESSAGE_ID";
const REAL_SUBSCRIPTION: &str = "REAL_SUBSCRIPTION";
/// Milliseconds a message waits in the retry topic.
const DELAY_TIME: &str = "DELAY_TIME";
/// Ours: who could not handle it, and why.
const FUNCTION: &str = "PULSELET_FUNCTION";
const REASON: &str = "PULSELET_REASON";
/// Replaced each time a message leaves, so that there is one of each.
const CHANGING: [&str; 5] = [RECONSUMETIMES, REAL_SUBSCRIPTION, DELAY_TIME, FUNCTION, REASON];

/// Longest reason stored with a message, in characters.
const MAX_REASON: usize = 1_000;

impl Replica {
    /// Stores a letter; its message is acked only after that.
    pub(super) async fn post(self: Rc<Self>, letter: Letter) {
        let result = self.send_letter(&letter).await;
        match &result {
            Ok(_) if letter.again_after.is_none() => {
                self.metrics.dead_letters.inc();
                self.status.change(|status| status.dead_letters += 1);
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(function = %self.shared.facts.function.name, %error, "letter refused; trying again");
                self.status.change(|status| status.note(format!("retry or dead letter topic: {error}")));
            }
        }
        self.machine.borrow_mut().letter_answered(letter, result.is_ok(), Instant::now());
    }

    async fn send_letter(&self, letter: &Letter) -> Result<Stored, Error> {
        let subscription = &self.shared.facts.function.subscription.name;
        let message = letter.entry.messages.get(letter.at).ok_or(Error::Closed)?;
        let topic = self.destination(letter, message);
        let number = self.shared.topics.number(topic.clone()).ok_or(Error::Closed)?;
        // A subscription from the start keeps the letters until somebody reads them.
        self.outputs.open(number, &topic, Some(subscription)).await?;
        let properties = self.properties(letter, message);
        let outgoing = Outgoing {
            payload: &message.payload,
            key: message.metadata.raw_key(),
            ordering_key: message.metadata.ordering_key(),
            properties: properties.as_slice().into(),
            event_time: message.metadata.event_time(),
            null_value: message.metadata.is_null(),
            ..Outgoing::default()
        };
        let delay = letter.again_after.map(|delay| delay.as_millis() as u64);
        let (receipt, _) = self.outputs.send(number, &outgoing, deliver_at(delay))?;
        receipt.await
    }

    fn destination(&self, letter: &Letter, message: &Message) -> TopicName {
        let function = &self.shared.facts.function;
        let retry = letter.again_after.and(function.retry.retry_topic.clone());
        retry.or_else(|| function.retry.dead_letter_topic.clone()).unwrap_or_else(|| {
            let real = message.metadata.property(REAL_TOPIC).and_then(|topic| topic.parse().ok());
            dead_letter_topic(real.as_ref().unwrap_or(&letter.entry.topic), &function.subscription.name)
        })
    }

    fn properties(&self, letter: &Letter, message: &Message) -> Vec<(String, String)> {
        let function = &self.shared.facts.function;
        let own = message.metadata.properties().filter(|(name, _)| !CHANGING.contains(name));
        let mut properties: Vec<(String, String)> = own.map(|(name, value)| (name.into(), value.into())).collect();
        let mut add = |name: &str, value: String| properties.push((name.to_owned(), value));
        if message.metadata.property(REAL_TOPIC).is_none() {
            add(REAL_TOPIC, letter.entry.topic.to_string());
            add(ORIGIN_MESSAGE_ID, letter.entry.id(message).to_string());
        }
        add(REAL_SUBSCRIPTION, function.subscription.name.clone());
        add(RECONSUMETIMES, letter.attempts.to_string());
        if let Some(delay) = letter.again_after {
            add(DELAY_TIME, milliseconds(delay));
        }
        add(FUNCTION, function.name.to_string());
        add(REASON, letter.reason.chars().take(MAX_REASON).collect());
        properties
    }
}

fn milliseconds(delay: Duration) -> String {
    delay.as_millis().to_string()
}

/// `<topic>-<subscription>-DLQ`, as Pulsar's clients name it; slashes of the subscription cannot be part of a topic.
fn dead_letter_topic(input: &TopicName, subscription: &str) -> TopicName {
    input.with_suffix(&format!("-{}-DLQ", subscription.replace('/', "-")))
}
