use std::sync::Arc;

use pulselet_broker::batch::Batch;
use pulselet_broker::{Error, Receipt, Result, Stored, routing};

use super::Topic;
use super::entry::StoredEntry;
use super::progress::Wait;
use crate::core::Core;

/// Who sends.
#[derive(Debug)]
pub(crate) struct Sender<'a> {
    pub(crate) name: &'a Arc<str>,
    pub(crate) id: u64,
}

impl Topic {
    /// Admits a producer; tells the highest sequence id it has sent, and resolves when all of that is durable.
    pub(crate) fn connect_producer(
        self: &Arc<Self>,
        core: &Core,
        sender: &Sender<'_>,
        named: bool,
    ) -> Result<(Option<u64>, Wait)> {
        let mut state = self.live()?;
        let Some(producer) = state.producers.connect(sender.name, sender.id, named) else {
            return Err(Error::ProducerBusy { topic: (*self.name).clone(), name: sender.name.to_string() });
        };
        let highest = producer.highest.filter(|_| core.options.deduplication);
        Ok((highest, state.progress.wait()))
    }

    pub(crate) fn disconnect_producer(&self, sender: &Sender<'_>) {
        self.lock().producers.disconnect(sender.name, sender.id);
    }

    /// Stores a batch. The receipt comes after the commit that holds it.
    pub(crate) fn publish(self: &Arc<Self>, core: &Core, sender: &Sender<'_>, batch: &Batch) -> Receipt {
        let outcome = self.accept(core, sender, batch);
        Box::pin(async move {
            let (stored, wait) = outcome?;
            wait.done().await?;
            Ok(stored)
        })
    }

    fn accept(self: &Arc<Self>, core: &Core, sender: &Sender<'_>, batch: &Batch) -> Result<(Stored, Wait)> {
        let limit = core.options.max_entry_bytes;
        if batch.bytes() > limit {
            return Err(Error::TooLarge { topic: (*self.name).clone(), bytes: batch.bytes(), limit });
        }
        // Whoever is sent the entry is chosen by its first message, so that one must be readable in any case.
        let first = batch.messages().next().transpose()?;
        let slot = first.map_or(1, |message| routing::slot_of(&message.metadata));
        let now = core.wall_ms();
        let mut state = self.live()?;
        let Some(producer) = state.producers.get_mut(sender.name, sender.id) else { return Err(Error::Closed) };
        let next = producer.highest.map_or(0, |highest| highest.saturating_add(1));
        let lowest = batch.lowest_sequence_id().unwrap_or(next);
        let highest = batch.highest_sequence_id().unwrap_or_else(|| next.saturating_add(u64::from(batch.count()) - 1));
        if core.options.deduplication && producer.highest.is_some_and(|known| lowest <= known) {
            return Ok((Stored::Duplicate, state.progress.wait()));
        }
        let limit = core.options.producer_queue_bytes;
        if producer.pending_bytes > 0 && producer.pending_bytes + batch.bytes() > limit {
            // What comes after this must not be stored before it.
            state.producers.disconnect(sender.name, sender.id);
            return Err(Error::QueueFull { topic: (*self.name).clone(), limit });
        }
        producer.pending_bytes += batch.bytes();
        state.producers.accepted(sender.name, highest, now);
        let end = state.log.end();
        state.log.push(StoredEntry {
            number: end.entry,
            count: batch.count(),
            is_batch: batch.is_batch(),
            publish_time: now,
            deliver_at: batch.deliver_at(),
            messages_before: end.message,
            bytes_before: end.byte,
            slot,
            producer: Arc::clone(sender.name),
            payload: batch.encoded().clone(),
        });
        self.changed(&mut state, core);
        Ok((Stored::At(self.position(end.entry)), state.progress.wait()))
    }
}
