use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use pulselet_broker::{Confirmation, ConsumerOptions, Error, MessageId, Position, Result, SubscriptionType};

use super::entry::StoredEntry;
use super::progress::Wait;
use super::{State, Topic};
use crate::core::Core;
use crate::reader::Read;
use crate::store::tables::Place;
use crate::subscription::connected::Connected;
use crate::subscription::settle::{Acked, Extent};
use crate::subscription::sharing::Refusal;
use crate::subscription::slots::ConsumerId;

/// A consumer, as it names itself to its topic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) subscription: &'a Arc<str>,
    pub(crate) id: ConsumerId,
}

/// Where a seek goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    Earliest,
    Latest,
    /// An entry, and how many of its members are before the message that is wanted.
    Entry(Extent, u32),
}

impl Topic {
    /// Connects a consumer; resolves when its subscription is saved.
    pub(crate) fn connect(
        self: &Arc<Self>,
        core: &Core,
        options: &ConsumerOptions,
        id: ConsumerId,
        inbox: Arc<crate::inbox::Inbox>,
    ) -> Result<Wait> {
        let mut state = self.live()?;
        let busy = || (self.name.without_partition(), options.subscription.clone());
        let priority = match options.subscription_type {
            SubscriptionType::Failover { priority } => priority,
            _ => 0,
        };
        let name = options.consumer_name.clone();
        let consumer = Connected::new(id, name, priority, options.batch_index_ack, inbox);
        let subscription = self.subscription(&mut state, core, &options.subscription, options.initial_position);
        let joined = subscription.map_or(Ok(()), |s| s.join(consumer, &options.subscription_type));
        joined.map_err(|refusal| match refusal {
            Refusal::Busy(reason) => {
                let (topic, subscription) = busy();
                Error::ConsumerBusy { topic, subscription, reason }
            }
            Refusal::Type { present, wanted } => {
                let (topic, subscription) = busy();
                Error::SubscriptionType { topic, subscription, present, wanted }
            }
        })?;
        Ok(state.progress.wait())
    }

    /// A consumer leaves.
    pub(crate) fn disconnect(self: &Arc<Self>, core: &Core, reader: Reader<'_>) {
        let mut state = self.lock();
        let Some(subscription) = state.subscriptions.get_mut(reader.subscription) else { return };
        let waiters = subscription.leave(reader.id);
        self.dispatch(&mut state, core, reader.subscription);
        drop(state);
        refuse(waiters);
    }

    pub(crate) fn grant(self: &Arc<Self>, core: &Core, reader: Reader<'_>, messages: u32) {
        let mut state = self.lock();
        if let Some(subscription) = state.subscriptions.get_mut(reader.subscription) {
            subscription.grant(reader.id, messages);
        }
        self.dispatch(&mut state, core, reader.subscription);
    }

    pub(crate) fn ack(self: &Arc<Self>, core: &Core, reader: Reader<'_>, ids: &[MessageId]) -> Confirmation {
        let mut acked = Acked::default();
        let mut state = match self.live() {
            Ok(state) => state,
            Err(error) => return futures::future::err(error).boxed(),
        };
        for ids in ids.chunk_by(|a, b| a.position == b.position) {
            let number = ids.first().and_then(|id| self.entry_of(id));
            match number.map_or(Ok(None), |number| self.extent(&state, core, number)) {
                Ok(Some(extent)) => {
                    if let Some(subscription) = state.subscriptions.get_mut(reader.subscription) {
                        subscription.ack(reader.id, &extent, ids, &mut acked);
                    }
                }
                Ok(None) => {}
                Err(error) => return futures::future::err(error).boxed(),
            }
        }
        self.acked(state, core, reader, acked)
    }

    pub(crate) fn ack_cumulative(self: &Arc<Self>, core: &Core, reader: Reader<'_>, id: MessageId) -> Confirmation {
        let mut acked = Acked::default();
        let found = self.live().and_then(|state| {
            let extent = self.entry_of(&id).map_or(Ok(None), |number| self.extent(&state, core, number))?;
            Ok((state, extent))
        });
        let (mut state, extent) = match found {
            Ok(found) => found,
            Err(error) => return futures::future::err(error).boxed(),
        };
        if let (Some(extent), Some(subscription)) = (extent, state.subscriptions.get_mut(reader.subscription)) {
            subscription.ack_cumulative(reader.id, &extent, id.batch_index, &mut acked);
        }
        self.acked(state, core, reader, acked)
    }

    fn acked(
        self: &Arc<Self>,
        mut state: std::sync::MutexGuard<'_, State>,
        core: &Core,
        reader: Reader<'_>,
        acked: Acked,
    ) -> Confirmation {
        if acked.changed {
            if let Some(subscription) = state.subscriptions.get_mut(reader.subscription) {
                subscription.unsaved = true;
            }
            self.changed(&mut state, core);
        }
        for waiter in acked.completed {
            state.progress.resolve_when_saved(waiter);
        }
        let wait = state.progress.wait();
        self.dispatch(&mut state, core, reader.subscription);
        drop(state);
        async move {
            wait.done().await?;
            for rest in acked.rest {
                Wait::For(rest).done().await?;
            }
            Ok(())
        }
        .boxed()
    }

    pub(crate) fn nack(self: &Arc<Self>, core: &Core, reader: Reader<'_>, ids: &[MessageId], delay: Duration) {
        let due = if delay.is_zero() { None } else { Instant::now().checked_add(delay) };
        let mut state = self.lock();
        if let Some(subscription) = state.subscriptions.get_mut(reader.subscription) {
            let mut numbers: Vec<u64> = ids.iter().filter_map(|id| self.entry_of(id)).collect();
            numbers.dedup();
            subscription.nack(reader.id, numbers.into_iter(), due);
        }
        self.dispatch(&mut state, core, reader.subscription);
    }

    /// Moves the cursor; resolves when that is saved.
    pub(crate) fn seek(self: &Arc<Self>, core: &Core, subscription: &str, target: Target) -> Result<Wait> {
        let mut state = self.live()?;
        let (first, end) = (state.log.first(), state.log.durable());
        let (to, inside) = match target {
            Target::Earliest => (first, None),
            Target::Latest => (end, None),
            Target::Entry(extent, _) if extent.start.entry < first.entry => (first, None),
            Target::Entry(extent, 0) => (extent.start, None),
            Target::Entry(extent, members) => (extent.start, Some((members, extent.count))),
        };
        let Some(sought) = state.subscriptions.get_mut(subscription) else { return Err(Error::Closed) };
        let waiters = sought.seek(to, inside);
        sought.unsaved = true;
        self.changed(&mut state, core);
        let wait = state.progress.wait();
        self.dispatch(&mut state, core, subscription);
        drop(state);
        refuse(waiters);
        Ok(wait)
    }

    /// First entry that the subscription has not acknowledged whole, if there is one.
    pub(crate) fn first_unacked(&self, subscription: &str) -> Result<Option<Position>> {
        let state = self.live()?;
        let end = state.log.durable().entry;
        let entry = state.subscriptions.get(subscription).map(|subscription| subscription.cursor.entry());
        Ok(entry.filter(|entry| *entry < end).map(|entry| self.position(entry)))
    }

    /// Where an entry is, if it is kept and durable. Reads the store only when nobody holds the entry, which happens
    /// when ids are settled that were not delivered to anybody now connected.
    pub(crate) fn extent(&self, state: &State, core: &Core, number: u64) -> Result<Option<Extent>> {
        if number < state.log.first().entry || number >= state.log.durable().entry {
            return Ok(None);
        }
        if let Some(entry) = state.log.cached(number) {
            return Ok(Some(Extent::from(entry.as_ref())));
        }
        if let Some(extent) = state.subscriptions.values().find_map(|subscription| subscription.held_extent(number)) {
            return Ok(Some(extent));
        }
        core.store.extent(self, number)
    }

    /// Sends what one subscription can send.
    pub(crate) fn dispatch(self: &Arc<Self>, state: &mut State, core: &Core, subscription: &str) {
        let moment = core.moment();
        let State { log, subscriptions, .. } = &mut *state;
        if let Some(subscription) = subscriptions.get_mut(subscription)
            && let Some(wanted) = subscription.dispatch(log, &moment)
        {
            core.reader.read(Read { topic: Arc::clone(self), subscription: Arc::clone(&subscription.name), wanted });
        }
        self.after_dispatch(state, core);
    }

    /// Sends what all subscriptions can send.
    pub(crate) fn dispatch_all(self: &Arc<Self>, state: &mut State, core: &Core) {
        let moment = core.moment();
        let State { log, subscriptions, .. } = &mut *state;
        for subscription in subscriptions.values_mut() {
            if let Some(wanted) = subscription.dispatch(log, &moment) {
                core.reader.read(Read {
                    topic: Arc::clone(self),
                    subscription: Arc::clone(&subscription.name),
                    wanted,
                });
            }
        }
        self.after_dispatch(state, core);
    }

    fn after_dispatch(self: &Arc<Self>, state: &mut State, core: &Core) {
        state.evict();
        let due = state.subscriptions.values().filter_map(|subscription| subscription.next_due()).min();
        if let Some(due) = due
            && state.wake_at.is_none_or(|wake_at| due < wake_at)
        {
            state.wake_at = Some(due);
            core.reader.wake_at(due, Arc::clone(self));
        }
    }

    /// The time has come for something that waited.
    pub(crate) fn time_has_come(self: &Arc<Self>, core: &Core) {
        let mut state = self.lock();
        state.wake_at = None;
        self.dispatch_all(&mut state, core);
    }

    /// What was read for a subscription.
    pub(crate) fn finish_read(self: &Arc<Self>, core: &Core, read: &Read, found: Result<Vec<Arc<StoredEntry>>>) {
        let mut state = self.lock();
        let Some(reading) = state.subscriptions.get_mut(&read.subscription) else { return };
        let error = match found {
            Ok(entries) => reading.finish_read(&read.wanted, entries).map(|missing| Error::Corrupt {
                what: format!("entry {missing} of {}", self.name),
                detail: "it is not in the store".to_owned(),
            }),
            Err(error) => {
                reading.finish_read(&read.wanted, Vec::new());
                Some(error)
            }
        };
        match error {
            Some(error) => reading.end(&error),
            None => self.dispatch(&mut state, core, &read.subscription),
        }
    }
}

impl From<&StoredEntry> for Extent {
    fn from(entry: &StoredEntry) -> Self {
        let start = Place { entry: entry.number, message: entry.messages_before, byte: entry.bytes_before };
        Self { start, count: entry.count, bytes: entry.payload.len() as u64 }
    }
}

/// They waited for the rest of an entry, which will not come.
fn refuse(waiters: Vec<super::progress::Waiter>) {
    for waiter in waiters {
        waiter.send(Err(Error::NotConfirmed)).ok();
    }
}
