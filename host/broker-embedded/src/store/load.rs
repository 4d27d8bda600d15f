use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;
use std::sync::Arc;

use pulselet_broker::topic::TopicName;
use redb::{ReadOnlyTable, ReadableDatabase, ReadableTable};

use super::Store;
use super::open::database_error;
use super::tables::{
    ACKS, AckRow, CURSORS, CursorRow, ENTRIES, META, PARTITIONED, PRODUCERS, Place, TOPICS, TopicRow, get_entry,
};
use crate::error::OpenError;
use crate::registry::Registry;
use crate::subscription::Subscription;
use crate::subscription::cursor::Cursor;
use crate::topic::Topic;
use crate::topic::log::{CacheBudget, Log};
use crate::topic::producers::Producers;

/// Everything but the entries, as it was saved.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) registry: Registry,
    pub(crate) next_id: u64,
}

enum LoadError {
    Database(redb::Error),
    Row(String),
}

impl<E: Into<redb::Error>> From<E> for LoadError {
    fn from(error: E) -> Self {
        Self::Database(error.into())
    }
}

impl Store {
    /// Loads what the broker keeps in memory.
    pub(crate) fn load(&self, cache: &Arc<CacheBudget>) -> Result<Loaded, OpenError> {
        let location = "the data folder's database";
        let damaged = |detail: String| OpenError::Damaged { location: location.to_owned(), detail };
        match catch_unwind(AssertUnwindSafe(|| self.try_load(cache))) {
            Ok(Ok(loaded)) => Ok(loaded),
            Ok(Err(LoadError::Database(error))) => Err(database_error(None, location, error)),
            Ok(Err(LoadError::Row(detail))) => Err(damaged(detail)),
            Err(_) => Err(damaged("it cannot be read".to_owned())),
        }
    }

    fn try_load(&self, cache: &Arc<CacheBudget>) -> Result<Loaded, LoadError> {
        let open = self.open().map_err(|error| LoadError::Row(error.to_string()))?;
        let txn = open.database.begin_read()?;
        let mut registry = Registry::default();
        for item in txn.open_table(PARTITIONED)?.iter()? {
            let (name, partitions) = item?;
            registry.partitioned.insert(topic_name(name.value())?, partitions.value());
        }
        let mut producers = producers(&txn.open_table(PRODUCERS)?)?;
        let mut subscriptions = subscriptions(&txn.open_table(CURSORS)?, &txn.open_table(ACKS)?)?;
        let entries = txn.open_table(ENTRIES)?;
        for item in txn.open_table(TOPICS)?.iter()? {
            let (id, row) = item?;
            let id = id.value();
            let row = TopicRow::decode(row.value()).ok_or_else(|| bad_row("topic", id))?;
            let name = topic_name(&row.name)?;
            let end = end(&entries, id, &row)?;
            let log = Log::new(row.first, end, Arc::clone(cache));
            let names = Producers::load(producers.remove(&id).unwrap_or_default());
            let topic = Topic::new(id, name.clone(), log, names, false);
            let partition = topic.partition();
            for (name, row, acks) in subscriptions.remove(&id).unwrap_or_default() {
                let (name, cursor): (Arc<str>, _) = (Arc::from(name), Cursor::load(&row, acks));
                let subscription = Subscription::load(row.id, Arc::clone(&name), partition, cursor, false);
                topic.lock().subscriptions.insert(name, Box::new(subscription));
            }
            registry.topics.insert(name, Arc::new(topic));
        }
        let next_id = txn.open_table(META)?.get("next-id")?.map_or(1, |next| next.value());
        Ok(Loaded { registry, next_id })
    }
}

type SavedSubscription = (String, CursorRow, Vec<(u64, AckRow)>);

fn subscriptions(
    cursors: &ReadOnlyTable<(u64, &str), &[u8]>,
    acks: &ReadOnlyTable<(u64, u64), &[u8]>,
) -> Result<HashMap<u64, Vec<SavedSubscription>>, LoadError> {
    let mut by_topic: HashMap<u64, Vec<SavedSubscription>> = HashMap::new();
    for item in cursors.iter()? {
        let (key, row) = item?;
        let (topic, name) = key.value();
        let row = CursorRow::decode(row.value()).ok_or_else(|| bad_row("cursor", name))?;
        let mut above = Vec::new();
        for item in acks.range((row.id, 0)..=(row.id, u64::MAX))? {
            let (key, ack) = item?;
            let entry = key.value().1;
            above.push((entry, AckRow::decode(ack.value()).ok_or_else(|| bad_row("ack", entry))?));
        }
        by_topic.entry(topic).or_default().push((name.to_owned(), row, above));
    }
    Ok(by_topic)
}

type SavedProducer = (String, u64, u64);

fn producers(table: &ReadOnlyTable<(u64, &str), (u64, u64)>) -> Result<HashMap<u64, Vec<SavedProducer>>, LoadError> {
    let mut by_topic: HashMap<u64, Vec<SavedProducer>> = HashMap::new();
    for item in table.iter()? {
        let (key, row) = item?;
        let ((topic, name), (highest, used)) = (key.value(), row.value());
        by_topic.entry(topic).or_default().push((name.to_owned(), highest, used));
    }
    Ok(by_topic)
}

/// Where the next entry of a topic goes: after the last one, or where the kept ones begin if there is none.
fn end(entries: &ReadOnlyTable<(u64, u64), &[u8]>, id: u64, row: &TopicRow) -> Result<Place, LoadError> {
    let Some(last) = entries.range((id, 0)..=(id, u64::MAX))?.next_back() else { return Ok(row.first) };
    let (key, value) = last?;
    let entry =
        get_entry(&row.name, key.value().1, value.value()).map_err(|error| LoadError::Row(error.to_string()))?;
    Ok(entry.end())
}

fn topic_name(text: &str) -> Result<TopicName, LoadError> {
    TopicName::from_str(text).map_err(|error| LoadError::Row(error.to_string()))
}

fn bad_row(what: &str, key: impl std::fmt::Display) -> LoadError {
    LoadError::Row(format!("the row of {what} {key} cannot be read"))
}
