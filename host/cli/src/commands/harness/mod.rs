//! `pulselet harness`: the program's side of the protocol that the SDK's test kit speaks (`HARNESS.md` of the SDK).
//!
//! - [`host`]: what a function is given and what it does, noted down
//! - [`wire`]: between the engine's types and the protocol's

mod host;
mod wire;

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use pulselet_api::{ComponentRef, Limits, Location, Reuse, World};
use pulselet_engine::{Assigned, Engine, Fault, Grants, Instance, Loaded, Options};
use pulselet_sdk::testing::protocol::{Call, CallResult, Greeting, Reply, Report, VERSION};

use self::host::TestHost;
use crate::engine_dir;

/// Call a component for a test, by lines of JSON
#[derive(Args, Debug)]
pub(crate) struct HarnessArgs {
    /// The component
    #[arg(value_name = "X.wasm")]
    component: PathBuf,
    /// Folder for components and compiled code
    #[arg(long, value_name = "DIR", env = "PULSELET_ENGINE_DIR", hide_env = true)]
    engine_dir: Option<PathBuf>,
}

pub(crate) async fn run(args: &HarnessArgs) -> anyhow::Result<ExitCode> {
    let mut component = match load(args) {
        Ok(component) => component,
        Err(error) => {
            say(&Greeting::Refused { reason: format!("{error:#}") })?;
            return Ok(ExitCode::FAILURE);
        }
    };
    say(&Greeting::Ready { protocol: VERSION, world: wire::world(component.world) })?;
    for line in std::io::stdin().lock().lines() {
        let reply = match serde_json::from_str(&line?) {
            Ok(call) => component.call(call).await,
            Err(error) => Reply::Refused { reason: format!("this is not a call: {error}") },
        };
        say(&reply)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn say<T: serde::Serialize>(line: &T) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, line)?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

fn load(args: &HarnessArgs) -> anyhow::Result<Component> {
    // One call at a time: one instance, and the one that takes its place.
    let options = Options { max_instances: 2, ..Options::new(engine_dir::choose(args.engine_dir.as_deref())?) };
    let engine = Engine::new(options)?;
    let reference = ComponentRef {
        location: Location::File(args.component.clone()),
        digest: None,
        world: None,
        reuse: Reuse::Instance,
    };
    let grants = Grants { publish: true, settle: true, secrets: true };
    let assigned: Assigned<TestHost> = engine
        .assign(&reference, Path::new("."), grants, &Limits::default())
        .with_context(|| args.component.display().to_string())?;
    Ok(Component { world: assigned.world(), loaded: assigned.load()?, instance: None, host: TestHost::default() })
}

/// A component, and the instance that calls have left.
struct Component {
    world: World,
    loaded: Arc<Loaded<TestHost>>,
    instance: Option<Instance<TestHost>>,
    /// While there is no instance.
    host: TestHost,
}

impl Component {
    async fn call(&mut self, call: Call) -> Reply {
        match self.report(call).await {
            Ok(report) => Reply::Called(report),
            Err(reason) => Reply::Refused { reason },
        }
    }

    async fn report(&mut self, mut call: Call) -> Result<Report, String> {
        let messages = std::mem::take(&mut call.messages);
        if messages.is_empty() {
            return Err("a call holds at least one message".to_owned());
        }
        let mut report = Report::default();
        match self.world {
            World::Function => {
                for message in messages {
                    self.call_once(&call, vec![message], &mut report).await?;
                }
            }
            World::BatchFunction => self.call_once(&call, messages, &mut report).await?,
        }
        Ok(report)
    }

    /// One call of the guest; adds what came of it to `report`.
    async fn call_once(
        &mut self,
        call: &Call,
        messages: Vec<pulselet_sdk::testing::protocol::Message>,
        report: &mut Report,
    ) -> Result<(), String> {
        let count = messages.len();
        let payloads: Vec<bytes::Bytes> = messages.iter().map(|message| message.payload.0.clone().into()).collect();
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => {
                // A host is lost with an instance that does not start; the handles that were open go with it.
                let host = std::mem::take(&mut self.host);
                self.loaded.instantiate(host).await.map_err(|fault| format!("start the component: {fault}"))?
            }
        };
        instance.host_mut().begin(call, messages, report.results.len());
        let results = match self.world {
            World::Function => {
                let payload = payloads.first().map(AsRef::as_ref).unwrap_or_default();
                match instance.process(payload).await {
                    Ok(answer) => Ok(vec![wire::result(Ok(answer))]),
                    Err(Fault::Guest(error)) => Ok(vec![wire::result(Err(error))]),
                    Err(fault) => Err(fault),
                }
            }
            World::BatchFunction => {
                let answers = instance.process_batch(&payloads).await;
                answers.map(|answers| answers.into_iter().map(wire::result).collect())
            }
        };
        let (results, broke_off) = match results {
            Ok(results) => (results, false),
            Err(fault) => (vec![wire::broken_off(&fault)?; count], true),
        };
        let is_batch = self.world == World::BatchFunction;
        let takes_effect = !broke_off && (is_batch || results.iter().all(is_ok));
        instance.host_mut().end(&results, takes_effect, report);
        report.results.extend(results);
        if instance.is_poisoned() {
            self.host = instance.into_host();
        } else {
            self.instance = Some(instance);
        }
        Ok(())
    }
}

fn is_ok(result: &CallResult) -> bool {
    matches!(result, CallResult::Ok { .. })
}
