use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use pulselet_broker::topic::{Pattern, TopicName};
use pulselet_broker::{Error, Result};

use crate::core::Core;
use crate::store::tables::Place;
use crate::topic::Topic;
use crate::topic::log::Log;
use crate::topic::producers::Producers;
use crate::topic::progress::Progress;
use crate::watch::Watches;

/// Which topics there are.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    pub(crate) topics: HashMap<TopicName, Arc<Topic>>,
    pub(crate) partitioned: BTreeMap<TopicName, u32>,
    /// Numbers of partitions that are not saved; `None` for a topic that is gone.
    unsaved: BTreeMap<TopicName, Option<u32>>,
    pub(crate) progress: Progress,
    pub(crate) watches: Watches,
    /// Why nothing can be done any more.
    pub(crate) ended: Option<Error>,
}

/// Partitions of a topic after some were added.
pub(crate) struct Partitions {
    pub(crate) new: Vec<Arc<Topic>>,
    /// The first one, if there was one before.
    pub(crate) old: Option<Arc<Topic>>,
}

impl Registry {
    /// A topic or partition that exists.
    pub(crate) fn get(&self, name: &TopicName) -> Result<Arc<Topic>> {
        self.topics.get(name).cloned().ok_or_else(|| Error::TopicNotFound(name.clone()))
    }

    /// A topic or partition, made if it does not exist; `true` with a new one.
    pub(crate) fn get_or_create(&mut self, core: &Core, name: &TopicName) -> Result<(Arc<Topic>, bool)> {
        if let Some(topic) = self.topics.get(name) {
            return Ok((Arc::clone(topic), false));
        }
        if !name.is_persistent() {
            return Err(Error::Name {
                what: "topic",
                name: name.to_string(),
                rule: "is non-persistent, which this broker does not have: use persistent://".to_owned(),
            });
        }
        if let Some(partitions) = self.partitioned.get(name) {
            let rule = format!("it has {partitions} partitions: name one of them ({})", name.with_partition(0));
            return Err(Error::Partitions { topic: name.clone(), rule });
        }
        if name.partition().is_some() && self.partitioned.contains_key(&name.without_partition()) {
            // All partitions exist from the start, so this one is beyond the last.
            return Err(Error::TopicNotFound(name.clone()));
        }
        let topic = self.create(core, name);
        self.watches.came_or_went(&name.without_partition());
        Ok((topic, true))
    }

    fn create(&mut self, core: &Core, name: &TopicName) -> Arc<Topic> {
        let log = Log::new(Place::default(), Place::default(), Arc::clone(&core.cache));
        let topic = Arc::new(Topic::new(core.new_id(), name.clone(), log, Producers::default(), true));
        topic.changed(&mut topic.lock(), core);
        self.topics.insert(name.clone(), Arc::clone(&topic));
        topic
    }

    /// Makes a partitioned topic or adds partitions.
    pub(crate) fn create_partitions(&mut self, core: &Core, name: &TopicName, partitions: u32) -> Result<Partitions> {
        let refuse = |rule: String| Err(Error::Partitions { topic: name.clone(), rule });
        let present = self.partitioned.get(name).copied().unwrap_or(0);
        if name.partition().is_some() {
            return refuse("it is a partition itself".to_owned());
        }
        if partitions == 0 {
            return refuse("the number of partitions must be at least 1".to_owned());
        }
        if self.topics.contains_key(name) {
            return refuse("it exists without partitions; delete it first, or choose another name".to_owned());
        }
        if partitions < present {
            return refuse(format!("it has {present} partitions already, and they can only become more"));
        }
        let mut new = Vec::new();
        for number in present..partitions {
            let partition = name.with_partition(number);
            let topic = match self.topics.get(&partition) {
                Some(topic) => Arc::clone(topic),
                None => self.create(core, &partition),
            };
            new.push(topic);
        }
        if !new.is_empty() {
            self.partitioned.insert(name.clone(), partitions);
            self.change(core, name, Some(partitions));
            self.watches.repartitioned(name);
        }
        let old = if present > 0 { self.topics.get(&name.with_partition(0)).cloned() } else { None };
        Ok(Partitions { new, old })
    }

    /// The topic itself, or all its partitions.
    pub(crate) fn all_of(&self, name: &TopicName) -> Result<Vec<Arc<Topic>>> {
        match self.partitioned.get(name) {
            Some(partitions) => (0..*partitions).map(|number| self.get(&name.with_partition(number))).collect(),
            None => self.get(name).map(|topic| vec![topic]),
        }
    }

    /// Removes a topic and its partitions; gives them.
    pub(crate) fn remove(&mut self, core: &Core, name: &TopicName) -> Result<Vec<Arc<Topic>>> {
        let topics = self.all_of(name)?;
        for topic in &topics {
            self.topics.remove(&*topic.name);
        }
        if self.partitioned.remove(name).is_some() {
            self.change(core, name, None);
            self.watches.repartitioned(name);
        } else {
            self.watches.came_or_went(&name.without_partition());
        }
        Ok(topics)
    }

    /// Topics that match, without partition suffixes, sorted.
    pub(crate) fn matching(&self, pattern: &Pattern) -> Vec<TopicName> {
        let mut names: Vec<_> = self.topics.keys().map(TopicName::without_partition).collect();
        names.extend(self.partitioned.keys().cloned());
        names.retain(|name| pattern.matches(name));
        names.sort();
        names.dedup();
        names
    }

    /// What is not saved, and the version that saving it brings.
    pub(crate) fn take_changes(&mut self) -> (BTreeMap<TopicName, Option<u32>>, u64) {
        (std::mem::take(&mut self.unsaved), self.progress.version())
    }

    fn change(&mut self, core: &Core, name: &TopicName, partitions: Option<u32>) {
        self.unsaved.insert(name.clone(), partitions);
        self.progress.change();
        core.writer.registry();
    }
}
