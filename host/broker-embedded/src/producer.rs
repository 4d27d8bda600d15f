use std::sync::Arc;

use async_trait::async_trait;
use pulselet_broker::batch::Batch;
use pulselet_broker::{Producer, ProducerOptions, Receipt, Result};

use crate::core::Core;
use crate::topic::Topic;
use crate::topic::publish::Sender;

/// A producer on one topic. Its name is free again when it is dropped.
#[derive(Debug)]
pub(crate) struct EmbeddedProducer {
    core: Arc<Core>,
    topic: Arc<Topic>,
    name: Arc<str>,
    id: u64,
    last_sequence_id: Option<u64>,
}

impl EmbeddedProducer {
    pub(crate) async fn open(core: Arc<Core>, topic: Arc<Topic>, options: ProducerOptions) -> Result<Self> {
        let id = core.new_user();
        let named = options.name.is_some();
        let name = options.name.map_or_else(|| core.producer_name(id), Arc::from);
        let (last_sequence_id, wait) = topic.connect_producer(&core, &Sender { name: &name, id }, named)?;
        // Leaves again if nobody waits for this to end.
        let producer = Self { core, topic, name, id, last_sequence_id };
        wait.done().await?;
        Ok(producer)
    }

    fn sender(&self) -> Sender<'_> {
        Sender { name: &self.name, id: self.id }
    }
}

#[async_trait]
impl Producer for EmbeddedProducer {
    fn name(&self) -> &str {
        &self.name
    }

    fn last_sequence_id(&self) -> Option<u64> {
        self.last_sequence_id
    }

    fn max_entry_bytes(&self) -> usize {
        self.core.options.max_entry_bytes
    }

    fn send(&self, batch: Batch) -> Receipt {
        self.topic.publish(&self.core, &self.sender(), &batch)
    }

    async fn close(&self) -> Result<()> {
        let wait = self.topic.lock().progress.wait();
        let saved = wait.done().await;
        self.topic.disconnect_producer(&self.sender());
        saved
    }
}

impl Drop for EmbeddedProducer {
    fn drop(&mut self) {
        self.topic.disconnect_producer(&self.sender());
    }
}
