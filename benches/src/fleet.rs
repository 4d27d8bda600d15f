use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use pulselet_broker::batch::{BatchBuilder, Outgoing};
use pulselet_broker::{
    Broker, Consumer, ConsumerOptions, Event, InitialPosition, Producer, ProducerOptions, SubscriptionType,
};
use pulselet_broker_embedded::{EmbeddedBroker, Storage};
use pulselet_engine::Engine;
use pulselet_runner::{Deployment, GuestHost, NoSecrets, Runner};

use crate::Distinct;

/// A runner over the embedded broker in memory, and functions that read `in-NUMBER` and answer to `out`.
pub struct Fleet {
    /// Where the functions are.
    pub deployments: Vec<Deployment>,
    /// What they run on.
    pub engine: Engine<GuestHost>,
    runner: Runner,
    broker: Arc<dyn Broker>,
}

impl Fleet {
    /// Without a function yet.
    ///
    /// # Errors
    /// When the engine or the runner does not start.
    pub fn start(engine: pulselet_engine::Options) -> Result<Self> {
        let broker = EmbeddedBroker::open(pulselet_broker_embedded::Options::new(Storage::Ephemeral))?;
        let broker: Arc<dyn Broker> = Arc::new(broker);
        let engine = Engine::new(engine)?;
        let runner = Runner::new(pulselet_runner::Options {
            broker: Arc::clone(&broker),
            engine: engine.clone(),
            secrets: Arc::new(NoSecrets),
            registry: prometheus::Registry::new(),
            cluster: "bench".to_owned(),
            state_dir: None,
            guest_threads: NonZeroUsize::MIN,
        })?;
        Ok(Self { deployments: Vec::new(), engine, runner, broker })
    }

    /// Deploys functions 0 to `count`, with these lines of `spec.wasm`, and waits until all are subscribed.
    ///
    /// # Errors
    /// When one is not accepted or does not become ready.
    pub async fn deploy(&mut self, components: &Distinct, count: usize, wasm: &str) -> Result<()> {
        for number in 0..count {
            let function = declare(&components.path(number), number, wasm)?;
            self.deployments.push(self.runner.deploy(function, Path::new("/")).await?);
        }
        for deployment in &self.deployments {
            ensure!(deployment.ready().await, "{:?}", deployment.status());
        }
        Ok(())
    }

    /// As much of functions 0 to `count` as is the broker's: topic, subscription and consumer.
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn subscribe(&self, count: usize) -> Result<Vec<Box<dyn Consumer>>> {
        let mut consumers = Vec::with_capacity(count);
        for number in 0..count {
            let name = format!("public/default/f{number}");
            consumers.push(self.consumer(&format!("in-{number}"), &name, InitialPosition::Latest).await?);
        }
        Ok(consumers)
    }

    /// Who publishes to a function.
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn producer(&self, number: usize) -> Result<Box<dyn Producer>> {
        let topic = format!("in-{number}").parse()?;
        Ok(self.broker.produce(ProducerOptions { topic, name: None, initial_subscription: None }).await?)
    }

    /// Who reads the answers of all.
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn answers(&self) -> Result<Box<dyn Consumer>> {
        let consumer = self.consumer("out", "bench", InitialPosition::Earliest).await?;
        consumer.grant(1_000);
        Ok(consumer)
    }

    async fn consumer(&self, topic: &str, name: &str, from: InitialPosition) -> Result<Box<dyn Consumer>> {
        let options = ConsumerOptions {
            topic: topic.parse()?,
            subscription: name.to_owned(),
            subscription_type: SubscriptionType::Shared,
            initial_position: from,
            consumer_name: format!("{name}-0"),
            batch_index_ack: true,
        };
        Ok(self.broker.subscribe(options).await?)
    }
}

/// Publishes one message and waits until it is stored.
///
/// # Errors
/// When the broker refuses.
pub async fn publish(producer: &dyn Producer, payload: &[u8]) -> Result<()> {
    let mut batch = BatchBuilder::new();
    batch.push(&Outgoing { payload, ..Outgoing::default() });
    producer.send(batch.finish().context("a batch of one")?).await?;
    Ok(())
}

/// The payloads of the next answers; acks nothing, for nobody reads them again.
///
/// # Errors
/// When the consumer ended.
pub async fn next_answers(consumer: &dyn Consumer) -> Result<Vec<Vec<u8>>> {
    loop {
        let Event::Entries(entries) = consumer.next().await? else { continue };
        let payloads: Vec<Vec<u8>> =
            entries.iter().flat_map(|entry| entry.messages.iter().map(|message| message.payload.to_vec())).collect();
        consumer.grant(payloads.len() as u32);
        return Ok(payloads);
    }
}

fn declare(component: &Path, number: usize, wasm: &str) -> Result<pulselet_api::Resolved> {
    let text = format!(
        "apiVersion: pulselet.dev/v1alpha1\nkind: Function\nmetadata: {{name: f{number}}}\nspec:\n  wasm: {{location: {}{wasm}}}\n  input: {{topics: [in-{number}]}}\n  output: {{topic: out}}\n",
        component.display()
    );
    let declared = pulselet_api::parse(&text, "bench")?;
    Ok(declared.into_iter().next().context("one function")?.resolved)
}
