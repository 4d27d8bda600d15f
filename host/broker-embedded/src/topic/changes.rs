use std::collections::BTreeMap;
use std::sync::Arc;

use super::entry::StoredEntry;
use super::progress::Waiter;
use super::{State, Topic};
use crate::core::Core;
use crate::store::tables::{Place, TopicRow};
use crate::subscription::cursor::CursorChanges;

/// What one commit writes for a topic: everything that changed since the last one.
#[derive(Debug)]
pub(crate) struct Changes {
    /// They bring the topic to this version.
    version: u64,
    pub(crate) deleted: bool,
    /// The topic's row, where it is not saved or the first entry moves.
    pub(crate) row: Option<TopicRow>,
    pub(crate) entries: Vec<Arc<StoredEntry>>,
    pub(crate) producers: BTreeMap<Arc<str>, Option<(u64, u64)>>,
    pub(crate) cursors: Vec<(Arc<str>, CursorChanges)>,
    /// Ids and names.
    pub(crate) removed: Vec<(u64, Arc<str>)>,
    /// Ids of all subscriptions, where the topic is deleted.
    pub(crate) subscriptions: Vec<u64>,
}

impl Topic {
    /// What is not saved. `trim` is how far entries may be removed, as far as the retention is concerned.
    pub(crate) fn take_changes(&self, trim: Option<Place>) -> Changes {
        let mut state = self.lock();
        state.queued = false;
        let trimmed = trim.is_some_and(|trim| state.trim(trim));
        let row = (std::mem::take(&mut state.unsaved) || trimmed)
            .then(|| TopicRow { name: self.name.as_str().to_owned(), first: state.log.first() });
        let unsaved = state.subscriptions.values_mut().filter_map(|subscription| {
            std::mem::take(&mut subscription.unsaved)
                .then(|| (Arc::clone(&subscription.name), subscription.cursor.take_changes(subscription.id)))
        });
        let cursors = unsaved.collect();
        let subscriptions =
            if state.deleted { state.subscriptions.values().map(|s| s.id).collect() } else { Vec::new() };
        Changes {
            version: state.progress.version(),
            deleted: state.deleted,
            row,
            entries: state.log.take_unwritten(),
            producers: state.producers.take_changes(),
            cursors,
            removed: std::mem::take(&mut state.removed),
            subscriptions,
        }
    }

    /// The changes are durable: entries go out, and those who waited are told.
    pub(crate) fn saved(self: &Arc<Self>, changes: &Changes, core: &Core) -> Vec<Waiter> {
        let mut state = self.lock();
        if let Some(last) = changes.entries.last() {
            state.log.written(last);
        }
        for entry in &changes.entries {
            state.producers.written(&entry.producer, entry.payload.len());
        }
        let waiters = state.progress.save(changes.version);
        if !changes.entries.is_empty() {
            self.dispatch_all(&mut state, core);
        }
        waiters
    }
}

impl State {
    /// Moves the first entry, but not past what a subscription needs. True if it moved.
    fn trim(&mut self, to: Place) -> bool {
        let allowed = self.needed_from().is_none_or(|needed| to.entry <= needed);
        let moves = allowed && to.entry > self.log.first().entry && to.entry <= self.log.durable().entry;
        if moves {
            self.log.trim(to);
        }
        moves
    }
}
