//! How functions hang together by their topics.

use std::collections::BTreeSet;

use pulselet_api::topic::TopicName;
use pulselet_api::{Inputs, Resolved};

/// The topics of a set of functions.
pub(crate) struct Graph {
    /// Read by a function and written by none: lines go there.
    pub(crate) sources: BTreeSet<TopicName>,
    /// Written by a function and read by none: they are printed.
    pub(crate) sinks: BTreeSet<TopicName>,
    read: Vec<Inputs>,
}

impl Graph {
    pub(crate) fn new<'a>(functions: impl Iterator<Item = &'a Resolved>) -> Self {
        let functions: Vec<&Resolved> = functions.collect();
        let inputs: BTreeSet<TopicName> = functions
            .iter()
            .flat_map(|function| match &function.inputs {
                Inputs::Topics(topics) => topics.clone(),
                Inputs::Pattern(_) => Vec::new(),
            })
            .collect();
        // A pattern may stand for any number of topics; only those that are plain names can be known here.
        let published = functions.iter().flat_map(|function| &function.publish).filter_map(|pattern| {
            let topic: TopicName = pattern.as_str().parse().ok()?;
            topic.local_name().chars().all(|c| c.is_alphanumeric() || "-_.".contains(c)).then_some(topic)
        });
        let outputs: BTreeSet<TopicName> = functions
            .iter()
            .filter_map(|function| Some(function.output.as_ref()?.topic.clone()))
            .chain(published)
            .collect();
        let is_read = |topic: &TopicName| {
            inputs.contains(topic)
                || functions.iter().any(|f| matches!(&f.inputs, Inputs::Pattern(pattern) if pattern.matches(topic)))
        };
        let is_written = |topic: &TopicName| {
            outputs.contains(topic) || functions.iter().flat_map(|f| &f.publish).any(|pattern| pattern.matches(topic))
        };
        Self {
            sources: inputs.iter().filter(|topic| !is_written(topic)).cloned().collect(),
            sinks: outputs.iter().filter(|topic| !is_read(topic)).cloned().collect(),
            read: functions.iter().map(|function| function.inputs.clone()).collect(),
        }
    }

    /// Whether a function reads this topic, or the topic of which this is a partition.
    pub(crate) fn is_read(&self, topic: &TopicName) -> bool {
        let topic = topic.without_partition();
        self.read.iter().any(|inputs| match inputs {
            Inputs::Topics(topics) => topics.contains(&topic),
            Inputs::Pattern(pattern) => pattern.matches(&topic),
        })
    }
}
