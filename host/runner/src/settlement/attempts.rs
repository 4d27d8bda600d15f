//! How often each failing message was tried.
//!
//! The broker's own count is 0 on single-active subscriptions and is lost when a consumer reconnects, so the runner
//! counts by message id. The greater of both counts. What fails is rare, so only failing messages are in memory; with
//! a [`Journal`] the count outlives the process.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use pulselet_api::topic::TopicName;
use pulselet_broker::{Entry, MessageId};

use crate::flight::Suspect;
use crate::journal::{Journal, Record};

/// A message across topics: ids alone are unique only within one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct MessageKey {
    /// Hash of the topic's full name.
    pub(crate) topic: u64,
    pub(crate) id: MessageId,
}

impl MessageKey {
    pub(crate) fn new(topic: &TopicName, id: MessageId) -> Self {
        Self { topic: BuildHasherDefault::<DefaultHasher>::default().hash_one(topic.as_str()), id }
    }

    pub(crate) fn of(entry: &Entry, at: usize) -> Option<Self> {
        Some(Self::new(&entry.topic, entry.id(entry.messages.get(at)?)))
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    counts: HashMap<MessageKey, u32>,
    /// Calls during which an earlier process died.
    suspects: Vec<Suspect>,
    /// Messages of those calls that were delivered again and counted.
    suspected: HashSet<MessageKey>,
    journal: Option<Journal>,
    retry_topic: Option<TopicName>,
}

/// Pulsar's name of the property that counts the attempts of a message of a retry or dead letter topic.
pub(crate) const RECONSUMETIMES: &str = "RECONSUMETIMES";

impl Attempts {
    /// Takes up where an earlier process stopped.
    pub(crate) fn resume(counts: HashMap<MessageKey, u32>, suspects: Vec<Suspect>, journal: Journal) -> Self {
        let mut attempts = Self { counts, journal: Some(journal), ..Self::default() };
        for suspect in suspects {
            match suspect.only() {
                Some(key) => attempts.set(key, attempts.counts.get(&key).map_or(1, |made| made.saturating_add(1))),
                None => attempts.suspects.push(suspect),
            }
        }
        attempts
    }

    /// Messages of this topic say themselves how often they were tried.
    pub(crate) fn with_retry_topic(mut self, topic: Option<TopicName>) -> Self {
        self.retry_topic = topic;
        self
    }

    /// Attempts made so far on a message of an entry.
    pub(crate) fn of(&self, entry: &Entry, at: usize) -> u32 {
        let own = if self.counts.is_empty() {
            None
        } else {
            MessageKey::of(entry, at).and_then(|key| self.counts.get(&key).copied())
        };
        own.unwrap_or(0).max(entry.redelivery_count).max(self.noted(entry, at))
    }

    /// A message of the retry topic carries its count.
    fn noted(&self, entry: &Entry, at: usize) -> u32 {
        if self.retry_topic.as_ref().is_none_or(|retry| *retry != entry.topic.without_partition()) {
            return 0;
        }
        let message = entry.messages.get(at);
        message.and_then(|m| m.metadata.property(RECONSUMETIMES)?.parse().ok()).unwrap_or(0)
    }

    /// Counts one more attempt; returns how many were made.
    pub(super) fn failed(&mut self, entry: &Entry, at: usize) -> u32 {
        let made = self.of(entry, at).saturating_add(1);
        if let Some(key) = MessageKey::of(entry, at) {
            self.set(key, made);
        }
        made
    }

    /// A message is delivered: true if it may be the one that an earlier process died of, among others of its call. That
    /// counts as an attempt.
    pub(super) fn was_suspect(&mut self, entry: &Entry, at: usize) -> bool {
        if self.suspects.is_empty() {
            return false;
        }
        let Some(key) = MessageKey::of(entry, at) else { return false };
        let suspect = self.suspects.iter().any(|suspect| suspect.contains(&key));
        if suspect && self.suspected.insert(key) {
            self.set(key, self.of(entry, at).saturating_add(1));
        }
        suspect
    }

    /// The message is settled.
    pub(super) fn forget(&mut self, entry: &Entry, at: usize) {
        if self.counts.is_empty() {
            return;
        }
        if let Some(key) = MessageKey::of(entry, at)
            && self.counts.remove(&key).is_some()
            && let Some(journal) = &mut self.journal
        {
            journal.append(Record { key, attempts: 0 }, &self.counts);
        }
    }

    fn set(&mut self, key: MessageKey, attempts: u32) {
        self.counts.insert(key, attempts);
        if let Some(journal) = &mut self.journal {
            journal.append(Record { key, attempts }, &self.counts);
        }
    }
}
