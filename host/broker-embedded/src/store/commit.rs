use std::sync::Arc;

use pulselet_broker::{Error, Result};
use redb::{ReadableTable, Table, WriteTransaction};

use super::tables::{
    ACKS, CURSORS, ENTRIES, META, PARTITIONED, PRODUCERS, Place, TOPICS, entry_head, entry_len, put_entry,
};
use crate::core::Core;
use crate::lock;
#[cfg(test)]
use crate::options::Mutant;
use crate::options::Retention;
use crate::topic::Topic;
use crate::topic::changes::Changes;

/// Most entries of one topic that one commit removes; the rest is left to the next one.
const MAX_TRIMMED: u64 = 10_000;

type Entries<'txn> = Table<'txn, (u64, u64), &'static [u8]>;

/// Saves what has changed in these topics, and in the registry, in one transaction; then tells those who wait.
pub(crate) fn commit(core: &Core, registry: bool, topics: Vec<Arc<Topic>>) -> Result<()> {
    let open = core.store.open()?;
    let failed = |error: redb::Error| core.store.failure(error);
    #[cfg_attr(not(test), allow(unused_mut, reason = "only a mutant changes it"))]
    let mut txn = open.database.begin_write().map_err(|e| failed(e.into()))?;
    #[cfg(test)]
    if core.options.is(Mutant::CommitWithoutSync) {
        txn.set_durability(redb::Durability::None).ok();
    }
    let registry_version = if registry { save_registry(core, &txn).map_err(failed)? } else { 0 };
    let saved = save_topics(core, &txn, topics).map_err(failed)?;
    save_next_id(core, &txn).map_err(failed)?;
    #[cfg(test)]
    if core.options.is(Mutant::ReceiptBeforeCommit) {
        let waiters = saved.iter().flat_map(|(topic, changes, _)| topic.saved(changes, core));
        waiters.for_each(|waiter| drop(waiter.send(Ok(()))));
    }
    txn.commit().map_err(|e| failed(e.into()))?;

    let mut waiters = lock(&core.registry).progress.save(registry_version);
    for (topic, changes, more_to_trim) in &saved {
        waiters.extend(topic.saved(changes, core));
        if *more_to_trim {
            topic.changed(&mut topic.lock(), core);
        }
    }
    for waiter in waiters {
        waiter.send(Ok(())).ok();
    }
    Ok(())
}

fn save_registry(core: &Core, txn: &WriteTransaction) -> Result<u64, redb::Error> {
    let (changes, version) = lock(&core.registry).take_changes();
    let mut table = txn.open_table(PARTITIONED)?;
    for (name, partitions) in changes {
        match partitions {
            Some(partitions) => table.insert(name.as_str(), partitions)?,
            None => table.remove(name.as_str())?,
        };
    }
    Ok(version)
}

fn save_next_id(core: &Core, txn: &WriteTransaction) -> Result<(), redb::Error> {
    let next_id = core.next_id();
    let mut table = txn.open_table(META)?;
    let known = table.get("next-id")?.map(|known| known.value());
    if known != Some(next_id) {
        table.insert("next-id", next_id)?;
    }
    Ok(())
}

fn save_topics(
    core: &Core,
    txn: &WriteTransaction,
    topics: Vec<Arc<Topic>>,
) -> Result<Vec<(Arc<Topic>, Changes, bool)>, redb::Error> {
    let mut entries = txn.open_table(ENTRIES)?;
    let mut saved = Vec::with_capacity(topics.len());
    for topic in topics {
        let before = topic.lock().first();
        let (trim, more_to_trim) = trim_to(&entries, &topic, &core.options.retention, core.wall_ms())?;
        #[cfg_attr(not(test), allow(unused_mut, reason = "only a mutant changes it"))]
        let mut changes = topic.take_changes(trim);
        #[cfg(test)]
        if core.options.is(Mutant::AcksNotSaved) {
            changes.cursors.iter_mut().for_each(|(_, cursor)| cursor.acks.clear());
        }
        #[cfg(test)]
        if let (true, Some(row)) = (core.options.is(Mutant::TrimUnacked), &mut changes.row) {
            row.first.entry += 1;
        }
        if changes.deleted {
            delete_topic(txn, &mut entries, topic.id, &changes)?;
        } else {
            save_topic(txn, &mut entries, topic.id, before, &changes)?;
        }
        saved.push((topic, changes, more_to_trim));
    }
    Ok(saved)
}

fn save_topic(
    txn: &WriteTransaction,
    entries: &mut Entries<'_>,
    id: u64,
    first_before: Place,
    changes: &Changes,
) -> Result<(), redb::Error> {
    for entry in &changes.entries {
        let mut value = entries.insert_reserve((id, entry.number), entry_len(entry))?;
        put_entry(entry, value.as_mut());
    }
    if let Some(row) = &changes.row {
        txn.open_table(TOPICS)?.insert(id, row.encode().as_slice())?;
        entries.retain_in((id, first_before.entry)..(id, row.first.entry), |_, _| false)?;
    }
    if !changes.producers.is_empty() {
        let mut table = txn.open_table(PRODUCERS)?;
        for (name, row) in &changes.producers {
            match row {
                Some(row) => table.insert((id, &**name), *row)?,
                None => table.remove((id, &**name))?,
            };
        }
    }
    if changes.cursors.is_empty() && changes.removed.is_empty() {
        return Ok(());
    }
    let mut cursors = txn.open_table(CURSORS)?;
    let mut acks = txn.open_table(ACKS)?;
    for (removed, name) in &changes.removed {
        // Another one may have been made under the name since; then its row is written below.
        cursors.remove((id, &**name))?;
        acks.retain_in((*removed, 0)..=(*removed, u64::MAX), |_, _| false)?;
    }
    for (name, cursor) in &changes.cursors {
        cursors.insert((id, &**name), cursor.row.encode().as_slice())?;
        let subscription = cursor.row.id;
        if cursor.void_rows {
            acks.retain_in((subscription, 0)..=(subscription, u64::MAX), |_, _| false)?;
        }
        for (entry, row) in &cursor.acks {
            match row {
                Some(row) => acks.insert((subscription, *entry), row.encode().as_slice())?,
                None => acks.remove((subscription, *entry))?,
            };
        }
    }
    Ok(())
}

fn delete_topic(
    txn: &WriteTransaction,
    entries: &mut Entries<'_>,
    id: u64,
    changes: &Changes,
) -> Result<(), redb::Error> {
    txn.open_table(TOPICS)?.remove(id)?;
    entries.retain_in((id, 0)..=(id, u64::MAX), |_, _| false)?;
    txn.open_table(PRODUCERS)?.retain_in((id, "")..(id + 1, ""), |_, _| false)?;
    txn.open_table(CURSORS)?.retain_in((id, "")..(id + 1, ""), |_, _| false)?;
    let mut acks = txn.open_table(ACKS)?;
    let removed = changes.removed.iter().map(|(subscription, _)| subscription);
    for subscription in changes.subscriptions.iter().chain(removed) {
        acks.retain_in((*subscription, 0)..=(*subscription, u64::MAX), |_, _| false)?;
    }
    Ok(())
}

/// How far the entries of a topic may be removed, and whether there is more to remove after that.
fn trim_to(
    entries: &Entries<'_>,
    topic: &Topic,
    retention: &Retention,
    now: u64,
) -> Result<(Option<Place>, bool), redb::Error> {
    let (first, durable, needed) = {
        let state = topic.lock();
        (state.log.first(), state.log.durable(), state.needed_from())
    };
    let end = needed.unwrap_or(durable.entry).min(durable.entry);
    let place_of = |number: u64| -> Result<Option<Place>, redb::Error> {
        if number == durable.entry {
            return Ok(Some(durable));
        }
        Ok(entries.get((topic.id, number))?.and_then(|value| entry_head(number, value.value())).map(|head| head.before))
    };
    if first.entry >= end {
        return Ok((None, false));
    }
    let most = first.entry.saturating_add(MAX_TRIMMED).min(end);
    if needed.is_some() && !retention.keeps_acked() {
        let place = place_of(most)?;
        return Ok((place, place.is_some() && most < end));
    }
    let Some(end_place) = place_of(end)? else { return Ok((None, false)) };
    for item in entries.range((topic.id, first.entry)..(topic.id, most))? {
        let (key, value) = item?;
        let number = key.value().1;
        let Some(head) = entry_head(number, value.value()) else { break };
        let bytes = end_place.byte - head.before.byte;
        let keep = match needed {
            None => bytes <= retention.unsubscribed_bytes,
            Some(_) => bytes <= retention.acked_bytes && now.saturating_sub(head.publish_time) <= retention.acked_ms(),
        };
        if keep {
            return Ok(((number > first.entry).then_some(head.before), false));
        }
    }
    let place = place_of(most)?;
    Ok((place, place.is_some() && most < end))
}

impl super::Store {
    /// What a failure of the database means to those who wait for it.
    pub(crate) fn failure(&self, error: redb::Error) -> Error {
        let cause = self.last_io_error().unwrap_or_else(|| error.to_string());
        Error::Storage(format!("{cause}; the broker takes nothing more until it is opened again"))
    }
}
