//! The topics a replica has put something out to, numbered, so that a topic is checked once and found by index after
//! that.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pulselet_api::Resolved;
use pulselet_api::topic::TopicName;
use pulselet_engine::TopicNumber;
use pulselet_engine::contract::PublishError;

/// Most topics a replica may publish to in its life: each keeps a producer open.
const MAX_TOPICS: usize = 1_000;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    names: Vec<Arc<TopicName>>,
    /// By full name, whoever writes there.
    numbers: HashMap<Arc<TopicName>, TopicNumber>,
    /// What guests may write to, by the text they used.
    admitted: HashMap<String, TopicNumber>,
}

impl Topics {
    /// Admits a topic that a guest names. The declared output may always be published to.
    pub(crate) fn open(&self, text: &str, function: &Resolved) -> Result<TopicNumber, PublishError> {
        if let Some(number) = self.lock().admitted.get(text) {
            return Ok(*number);
        }
        let topic = TopicName::parse_in(text, &function.name.tenant, &function.name.namespace)
            .map_err(|error| PublishError::InvalidTopic(error.to_string()))?;
        let is_output = function.output.as_ref().is_some_and(|output| output.topic == topic);
        if !is_output && !function.publish.iter().any(|pattern| pattern.matches(&topic)) {
            return Err(PublishError::Denied(format!("{topic} is not among the topics of spec.publish")));
        }
        let number = self.number(topic).ok_or_else(|| {
            PublishError::TooMany(format!("the replica publishes to {MAX_TOPICS} topics already, which is the limit"))
        })?;
        self.lock().admitted.insert(text.to_owned(), number);
        Ok(number)
    }

    /// The number of a topic; `None` when there are too many.
    pub(crate) fn number(&self, topic: TopicName) -> Option<TopicNumber> {
        let mut table = self.lock();
        if let Some(number) = table.numbers.get(&topic) {
            return Some(*number);
        }
        if table.names.len() >= MAX_TOPICS {
            return None;
        }
        let number = TopicNumber(table.names.len() as u32);
        let topic = Arc::new(topic);
        table.numbers.insert(Arc::clone(&topic), number);
        table.names.push(topic);
        Some(number)
    }

    pub(crate) fn name(&self, number: TopicNumber) -> Option<Arc<TopicName>> {
        self.lock().names.get(number.0 as usize).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
