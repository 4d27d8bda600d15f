use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use prometheus::{Registry, TextEncoder};
use pulselet_api::{Resolved, SecretRef};
use pulselet_broker::batch::{Batch, BatchBuilder, Key, Outgoing};
use pulselet_broker::topic::TopicName;
use pulselet_broker::{
    Broker, Consumer, ConsumerOptions, Entry, Event, InitialPosition, Message, Producer, ProducerOptions,
    SubscriptionStats, SubscriptionType,
};
use pulselet_broker_embedded::{EmbeddedBroker, Storage};
use pulselet_engine::Engine;
use pulselet_runner::{Deployment, GuestHost, Options, Runner, Secrets};
use pulselet_test_support::{eventually, guest};

pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A secret store with one entry: `vault/token` is `s3cret`.
struct OneSecret;

impl Secrets for OneSecret {
    fn get(&self, reference: &SecretRef) -> Option<Vec<u8>> {
        (reference.path == "vault" && reference.key == "token").then(|| b"s3cret".to_vec())
    }
}

pub(crate) struct Rig {
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) runner: Runner,
    pub(crate) engine: Engine<GuestHost>,
    pub(crate) registry: Registry,
    pub(crate) dir: tempfile::TempDir,
}

pub(crate) fn topic(name: &str) -> TopicName {
    name.parse().unwrap()
}

impl Rig {
    pub(crate) fn new() -> Self {
        let broker = EmbeddedBroker::open(pulselet_broker_embedded::Options::new(Storage::Ephemeral)).unwrap();
        Self::on(Arc::new(broker), tempfile::tempdir().unwrap())
    }

    pub(crate) fn on(broker: Arc<dyn Broker>, dir: tempfile::TempDir) -> Self {
        Self::with(broker, dir, |_| {})
    }

    /// On an engine of its own, that is set up like this.
    pub(crate) fn with_engine(change: impl FnOnce(&mut pulselet_engine::Options)) -> Self {
        let broker = EmbeddedBroker::open(pulselet_broker_embedded::Options::new(Storage::Ephemeral)).unwrap();
        Self::with(Arc::new(broker), tempfile::tempdir().unwrap(), change)
    }

    fn with(
        broker: Arc<dyn Broker>,
        dir: tempfile::TempDir,
        change: impl FnOnce(&mut pulselet_engine::Options),
    ) -> Self {
        let registry = Registry::new();
        // One store for all tests, so that a component is compiled once.
        let store = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("engine");
        let mut engine = pulselet_engine::Options::new(store);
        engine.max_instances = 50;
        change(&mut engine);
        let engine = Engine::new(engine).unwrap();
        let runner = Runner::new(Options {
            broker: Arc::clone(&broker),
            engine: engine.clone(),
            secrets: Arc::new(OneSecret),
            registry: registry.clone(),
            cluster: "test".to_owned(),
            state_dir: Some(dir.path().join("runner")),
            guest_threads: NonZeroUsize::MIN,
        })
        .unwrap();
        Self { broker, runner, engine, registry, dir }
    }

    /// Deploys the probe, in the form that imports what `spec` grants: it reads `in` and answers to `out`; `spec` is
    /// more lines of its declaration.
    pub(crate) async fn deploy(&self, spec: &str) -> Deployment {
        let granted = [("publish:", "probe-publish"), ("manual", "probe-settle"), ("secretsMap", "probe-secrets")];
        let component = granted.iter().find(|(field, _)| spec.contains(field)).map_or("probe-plain", |(_, name)| name);
        self.deploy_component(component, spec).await
    }

    pub(crate) async fn deploy_component(&self, component: &str, spec: &str) -> Deployment {
        let deployment = self.try_deploy(component, spec).await.unwrap();
        assert!(deployment.ready().await, "{:?}", deployment.status());
        deployment
    }

    pub(crate) async fn try_deploy(
        &self,
        component: &str,
        spec: &str,
    ) -> Result<Deployment, pulselet_runner::DeployError> {
        self.runner.deploy(declared(component, spec), self.dir.path()).await
    }

    pub(crate) async fn send(&self, payloads: &[&str]) {
        for payload in payloads {
            self.send_with(&[Outgoing { payload: payload.as_bytes(), ..Outgoing::default() }], false).await;
        }
    }

    pub(crate) async fn send_to(&self, name: &str, payload: &str) {
        let producer = self.producer(name).await;
        let message = Outgoing { payload: payload.as_bytes(), ..Outgoing::default() };
        producer.send(Batch::single(&message, None)).await.unwrap();
        producer.close().await.unwrap();
    }

    pub(crate) async fn send_keyed(&self, messages: &[(&str, &str)]) {
        for (key, payload) in messages {
            let message = Outgoing { payload: payload.as_bytes(), key: Some(Key::Text(key)), ..Outgoing::default() };
            self.send_with(&[message], false).await;
        }
    }

    /// All in one entry.
    pub(crate) async fn send_batch(&self, payloads: &[&str]) {
        let messages: Vec<_> =
            payloads.iter().map(|payload| Outgoing { payload: payload.as_bytes(), ..Outgoing::default() }).collect();
        self.send_with(&messages, true).await;
    }

    pub(crate) async fn send_with(&self, messages: &[Outgoing<'_>], is_batch: bool) {
        let producer = self.producer("in").await;
        if is_batch {
            let mut batch = BatchBuilder::new();
            messages.iter().for_each(|message| batch.push(message));
            producer.send(batch.finish().unwrap()).await.unwrap();
        } else {
            for message in messages {
                producer.send(Batch::single(message, None)).await.unwrap();
            }
        }
        producer.close().await.unwrap();
    }

    async fn producer(&self, name: &str) -> Box<dyn Producer> {
        let options = ProducerOptions { topic: topic(name), name: None, initial_subscription: None };
        self.broker.produce(options).await.unwrap()
    }

    /// A reader of a topic from its beginning.
    pub(crate) async fn read(&self, name: &str) -> Reader {
        let options = ConsumerOptions {
            topic: topic(name),
            subscription: "reader".to_owned(),
            subscription_type: SubscriptionType::Exclusive,
            initial_position: InitialPosition::Earliest,
            consumer_name: "reader".to_owned(),
            batch_index_ack: true,
        };
        let consumer = self.broker.subscribe(options).await.unwrap();
        consumer.grant(100_000);
        Reader { consumer, waiting: Vec::new() }
    }

    pub(crate) async fn subscription(&self) -> SubscriptionStats {
        let stats = self.broker.subscriptions(&topic("in")).await.unwrap();
        stats.into_iter().find(|stats| stats.name == "public/default/probe").unwrap()
    }

    pub(crate) async fn backlog_is(&self, backlog: u64) {
        eventually(&format!("backlog is {backlog}"), SOON, || async {
            let now = self.subscription().await.backlog;
            if now == backlog { Ok(()) } else { Err(now) }
        })
        .await;
    }

    pub(crate) fn metrics(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap()
    }
}

/// The function `probe` with this component; `spec` is more lines of its declaration, of which `wasm.` ones are of the
/// component.
pub(crate) fn declared(component: &str, spec: &str) -> Resolved {
    let (of_wasm, of_spec): (Vec<&str>, Vec<&str>) = spec.lines().partition(|line| line.starts_with("wasm."));
    let wasm: String = of_wasm.iter().map(|line| format!(", {}", line.trim_start_matches("wasm."))).collect();
    let indented: String = of_spec.iter().map(|line| format!("  {}\n", line.trim_end())).collect();
    let retry = if spec.contains("atmost_once") { "" } else { "  retry: {backoffMs: 10, maxBackoffMs: 50}\n" };
    let text = format!(
        "apiVersion: pulselet.dev/v1alpha1\nkind: Function\nmetadata: {{name: probe}}\nspec:\n  wasm: {{location: {}{wasm}}}\n  input: {{topics: [in]}}\n  output: {{topic: out}}\n{retry}{indented}",
        guest(component).display(),
    );
    let declared = pulselet_api::parse(&text, "test").unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    declared[0].resolved.clone()
}

pub(crate) struct Reader {
    consumer: Box<dyn Consumer>,
    waiting: Vec<(Entry, Message)>,
}

impl Reader {
    /// The next messages as text, in order.
    pub(crate) async fn texts(&mut self, count: usize) -> Vec<String> {
        let messages = self.messages(count).await;
        messages.iter().map(|(_, message)| String::from_utf8_lossy(&message.payload).into_owned()).collect()
    }

    pub(crate) async fn messages(&mut self, count: usize) -> Vec<(Entry, Message)> {
        while self.waiting.len() < count {
            let next = tokio::time::timeout(SOON, self.consumer.next()).await;
            let seen: Vec<_> = self.waiting.iter().map(|(_, m)| String::from_utf8_lossy(&m.payload)).collect();
            match next.unwrap_or_else(|_| panic!("{count} messages are wanted, got {seen:?}")).unwrap() {
                Event::Entries(entries) => {
                    for entry in entries {
                        let messages = entry.messages.clone();
                        self.waiting.extend(messages.into_iter().map(|message| (entry.clone(), message)));
                    }
                }
                _ => continue,
            }
        }
        self.waiting.drain(..count).collect()
    }
}
