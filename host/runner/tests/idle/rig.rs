//! Many functions on a broker in memory.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pulselet_broker::topic::TopicName;
use pulselet_broker::{Broker, Consumer, ConsumerOptions, InitialPosition, ProducerOptions, SubscriptionType};
use pulselet_broker_embedded::{EmbeddedBroker, Storage};
use pulselet_engine::Engine;
use pulselet_runner::{Deployment, NoSecrets, Options, Runner};
use pulselet_test_support::guest;

pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Held by the test whose turn it is.
static TURN: Mutex<()> = Mutex::new(());

pub(crate) struct Rig {
    deployments: Mutex<Vec<Deployment>>,
    consumers: Mutex<Vec<Box<dyn Consumer>>>,
    runner: Runner,
    broker: Arc<dyn Broker>,
    runtime: tokio::runtime::Runtime,
    _turn: MutexGuard<'static, ()>,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        // As in the product: one thread for input and output, guests on others.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let broker = EmbeddedBroker::open(pulselet_broker_embedded::Options::new(Storage::Ephemeral)).unwrap();
        let broker: Arc<dyn Broker> = Arc::new(broker);
        let mut engine = pulselet_engine::Options::new(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("engine"));
        engine.max_instances = 10;
        let runner = Runner::new(Options {
            broker: Arc::clone(&broker),
            engine: Engine::new(engine).unwrap(),
            secrets: Arc::new(NoSecrets),
            registry: prometheus::Registry::new(),
            cluster: "test".to_owned(),
            state_dir: None,
            guest_threads: NonZeroUsize::MIN,
        })
        .unwrap();
        Self { deployments: Mutex::default(), consumers: Mutex::default(), runner, broker, runtime, _turn: turn }
    }

    /// Starts a function for each number, which reads `in-NUMBER` and answers to `out-NUMBER`, and waits until all are
    /// subscribed.
    pub(crate) fn deploy(&self, numbers: Range<usize>) {
        let inputs = |number: usize| format!("topics: [in-{number}]");
        numbers.for_each(|number| self.deploy_one(number, &inputs(number)));
    }

    /// As much of a function as is the broker's: its topic, its subscription and its consumer.
    pub(crate) fn subscribe(&self, numbers: Range<usize>) {
        for number in numbers {
            let options = ConsumerOptions {
                topic: format!("in-{number}").parse().unwrap(),
                subscription: format!("public/default/idle-{number}"),
                subscription_type: SubscriptionType::Shared,
                initial_position: InitialPosition::Latest,
                consumer_name: format!("public/default/idle-{number}-0"),
                batch_index_ack: true,
            };
            let consumer = self.runtime.block_on(self.broker.subscribe(options)).unwrap();
            self.consumers.lock().unwrap().push(consumer);
        }
    }

    pub(crate) fn deploy_one(&self, number: usize, input: &str) {
        let text = format!(
            "apiVersion: pulselet.dev/v1alpha1\nkind: Function\nmetadata: {{name: idle-{number}}}\nspec:\n  wasm: {{location: {}}}\n  input: {{{input}}}\n  output: {{topic: out-{number}}}\n",
            guest("echo").display()
        );
        let declared = pulselet_api::parse(&text, "test").unwrap_or_else(|errors| panic!("{errors}\n{text}"));
        let function = declared[0].resolved.clone();
        self.runtime.block_on(async {
            let deployment = self.runner.deploy(function, &PathBuf::from("/")).await.unwrap();
            assert!(deployment.ready().await, "{:?}", deployment.status());
            self.deployments.lock().unwrap().push(deployment);
        });
    }

    pub(crate) fn create_partitioned(&self, topic: &str, partitions: u32) {
        let topic: TopicName = topic.parse().unwrap();
        self.runtime.block_on(self.broker.create_partitioned(&topic, partitions)).unwrap();
    }

    /// Makes a topic as its first producer does.
    pub(crate) fn make(&self, topic: &str) {
        let options = ProducerOptions { topic: topic.parse().unwrap(), name: None, initial_subscription: None };
        self.runtime.block_on(self.broker.produce(options)).unwrap();
    }

    /// Consumers of a topic and its partitions.
    pub(crate) fn readers(&self, topic: &str) -> u32 {
        let topic: TopicName = topic.parse().unwrap();
        let subscriptions = self.runtime.block_on(self.broker.subscriptions(&topic)).unwrap();
        subscriptions.iter().map(|subscription| subscription.consumers).sum()
    }
}
