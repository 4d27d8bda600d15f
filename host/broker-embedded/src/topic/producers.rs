use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Names that are remembered when nobody produces under them any more, as in Pulsar
/// (`brokerDeduplicationMaxNumberOfProducers`).
const MAX_REMEMBERED: usize = 10_000;

/// The producers of a topic, present and past.
#[derive(Debug, Default)]
pub(crate) struct Producers {
    by_name: HashMap<Arc<str>, Producer>,
    /// Names whose row is out of date.
    unsaved: BTreeMap<Arc<str>, Option<(u64, u64)>>,
}

/// What is known of one name.
#[derive(Debug, Default)]
pub(crate) struct Producer {
    /// Highest sequence id that was accepted.
    pub(crate) highest: Option<u64>,
    /// Number of the present producer of that name.
    pub(crate) connected: Option<u64>,
    /// The name was given, so it may come back.
    named: bool,
    /// Milliseconds since the epoch.
    used: u64,
    /// Bytes that wait to be saved.
    pub(crate) pending_bytes: usize,
}

impl Producers {
    /// As they were saved: name, highest sequence id, time of last use.
    pub(crate) fn load(rows: impl IntoIterator<Item = (String, u64, u64)>) -> Self {
        let by_name = rows.into_iter().map(|(name, highest, used)| {
            (Arc::from(name), Producer { highest: Some(highest), named: true, used, ..Producer::default() })
        });
        Self { by_name: by_name.collect(), unsaved: BTreeMap::new() }
    }

    /// Admits a producer. `None` if the name is taken.
    pub(crate) fn connect(&mut self, name: &Arc<str>, id: u64, named: bool) -> Option<&Producer> {
        let producer = self.by_name.entry(Arc::clone(name)).or_default();
        if producer.connected.is_some() {
            return None;
        }
        producer.connected = Some(id);
        producer.named = named;
        Some(producer)
    }

    /// The producer of that name, if it is the one that was admitted as `id`.
    pub(crate) fn get_mut(&mut self, name: &str, id: u64) -> Option<&mut Producer> {
        self.by_name.get_mut(name).filter(|producer| producer.connected == Some(id))
    }

    /// The producer leaves; a name that was made up for it is forgotten.
    pub(crate) fn disconnect(&mut self, name: &str, id: u64) {
        let Some(producer) = self.get_mut(name, id) else { return };
        producer.connected = None;
        if !producer.named || producer.highest.is_none() {
            self.by_name.remove(name);
        }
    }

    /// A sequence id was accepted.
    pub(crate) fn accepted(&mut self, name: &Arc<str>, highest: u64, now: u64) {
        let Some(producer) = self.by_name.get_mut(name) else { return };
        producer.highest = Some(highest);
        producer.used = now;
        if producer.named {
            self.unsaved.insert(Arc::clone(name), Some((highest, now)));
        }
        if self.by_name.len() > MAX_REMEMBERED {
            self.forget_oldest();
        }
    }

    /// Bytes of a producer are saved.
    pub(crate) fn written(&mut self, name: &str, bytes: usize) {
        if let Some(producer) = self.by_name.get_mut(name) {
            producer.pending_bytes = producer.pending_bytes.saturating_sub(bytes);
        }
    }

    /// Rows to write, or to remove; they count as saved from now on.
    pub(crate) fn take_changes(&mut self) -> BTreeMap<Arc<str>, Option<(u64, u64)>> {
        std::mem::take(&mut self.unsaved)
    }

    fn forget_oldest(&mut self) {
        let past = self.by_name.iter().filter(|(_, producer)| producer.connected.is_none());
        if let Some(name) = past.min_by_key(|(_, producer)| producer.used).map(|(name, _)| Arc::clone(name)) {
            self.by_name.remove(&name);
            self.unsaved.insert(name, None);
        }
    }
}
