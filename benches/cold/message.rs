//! The cold start that a message sees: from the moment its replica has it in hand until its call has returned, in the
//! whole runner, beside whatever else the guest thread has to do.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use prometheus::Registry;
use pulselet_api::Resolved;
use pulselet_benches::{Comparison, OURS};
use pulselet_broker::batch::{Batch, Outgoing};
use pulselet_broker::{Broker, ProducerOptions};
use pulselet_broker_embedded::{EmbeddedBroker, Storage};
use pulselet_engine::Engine;
use pulselet_runner::{Deployment, NoSecrets, Options, Runner};
use sha2::{Digest as _, Sha256};

const SOON: Duration = Duration::from_secs(20);

/// One message for each of so many functions of different components, none of them loaded.
pub(crate) async fn seen_by_messages(name: &str, component: &[u8], functions: usize) -> Result<Comparison> {
    let dir = tempfile::tempdir()?;
    let memory = pulselet_broker_embedded::Options::new(Storage::Ephemeral);
    let broker: Arc<dyn Broker> = Arc::new(EmbeddedBroker::open(memory)?);
    let mut engine = pulselet_engine::Options::new(dir.path().join("store"));
    (engine.loaded_bytes, engine.baseline) = (0, false);
    let runner = Runner::new(Options {
        broker: Arc::clone(&broker),
        engine: Engine::new(engine)?,
        secrets: Arc::new(NoSecrets),
        registry: Registry::new(),
        cluster: "bench".to_owned(),
        state_dir: None,
        guest_threads: NonZeroUsize::MIN,
    })?;
    let file = |number: usize| dir.path().join(format!("{number}.wasm"));
    std::fs::write(file(0), component)?;
    let compiled = runner.prepare(declared(file(0), 0)?, dir.path()).await?;
    let mut deployments = Vec::with_capacity(functions);
    for number in 1..=functions {
        let mut bytes = component.to_vec();
        bytes.extend([0, 10, 1, b'n']);
        bytes.extend(number.to_le_bytes());
        compiled.component().copy_code_for(pulselet_api::Digest(Sha256::digest(&bytes).into()))?;
        std::fs::write(file(number), &bytes)?;
        let deployment = runner.deploy(declared(file(number), number)?, dir.path()).await?;
        ensure!(deployment.ready().await, "function {number} is not ready");
        deployments.push(deployment);
    }
    let mut taken = Vec::with_capacity(functions);
    for (number, deployment) in (1..).zip(&deployments) {
        let options =
            ProducerOptions { topic: format!("in-{number}").parse()?, name: None, initial_subscription: None };
        let producer = broker.produce(options).await?;
        producer.send(Batch::single(&Outgoing { payload: b"hello", ..Outgoing::default() }, None)).await?;
        taken.push(cold_start(deployment).await.with_context(|| format!("function {number}"))?.as_secs_f64() * 1e6);
    }
    let mut comparison = Comparison::new(&format!("{name}, assigned"), "seen by the message", "us");
    comparison.add(OURS, taken);
    Ok(comparison)
}

fn declared(component: PathBuf, number: usize) -> Result<Resolved> {
    let text = format!(
        "apiVersion: pulselet.dev/v1alpha1\nkind: Function\nmetadata: {{name: f-{number}}}\nspec:\n  wasm: {{location: {}}}\n  input: {{topics: [in-{number}]}}\n  output: {{topic: out}}\n",
        component.display()
    );
    let declared = pulselet_api::parse(&text, "bench")?;
    Ok(declared.into_iter().next().context("one function")?.resolved)
}

async fn cold_start(deployment: &Deployment) -> Result<Duration> {
    let started = tokio::time::Instant::now();
    loop {
        if let Some(taken) = deployment.status().iter().find_map(|status| status.last_cold_start) {
            return Ok(taken);
        }
        ensure!(started.elapsed() < SOON, "no answer");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
