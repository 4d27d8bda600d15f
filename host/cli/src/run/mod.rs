//! `pulselet run`: functions from their declarations, on a broker in this process.
//!
//! - [`graph`]: which topics come from outside and which go there
//! - [`filter`]: lines in, lines out, as a pipe
//! - [`host`]: broker, engine and runner, put together
//! - [`progress`]: how far a filter has come
//! - [`report`]: what a person is told in the end

mod filter;
mod graph;
mod host;
mod progress;
mod report;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use pulselet_runner::Deployment;
use tokio_util::sync::CancellationToken;

use crate::component::Component;
use crate::engine_dir::EngineArgs;
use crate::output::Output;
use graph::Graph;
use host::Host;

/// How long functions may take to finish what they are doing when the process is asked to end.
const GRACE: Duration = Duration::from_secs(30);

/// Run functions here, with a broker inside this process
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  Serve functions until Ctrl-C; messages and positions are kept in ./pulselet-data:
    pulselet run function.yaml
  Talk to it from another terminal:
    echo hello | pulselet produce in
    pulselet consume out --follow
  As a filter, when lines are piped in: each line is a message, answers are printed in order, and the command ends
  when everything is settled:
    cat text | pulselet run --ephemeral split.yaml count.yaml")]
pub(crate) struct RunArgs {
    /// Declarations (YAML or JSON); a file may hold several functions
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Folder that keeps topics and subscriptions
    #[arg(long, value_name = "DIR", default_value = "pulselet-data", conflicts_with = "ephemeral")]
    data: PathBuf,
    /// Keep everything in memory: nothing survives the process
    #[arg(long)]
    ephemeral: bool,
    /// Be a filter even if nothing is piped in
    #[arg(long, conflicts_with = "no_filter")]
    filter: bool,
    /// Serve until stopped, even if something is piped in
    #[arg(long)]
    no_filter: bool,
    /// Filter: topic that lines go to, if the functions read more than one from outside
    #[arg(long, value_name = "TOPIC")]
    feed: Option<String>,
    /// Filter: topic that is printed (repeatable), if not all that no function reads
    #[arg(long, value_name = "TOPIC")]
    print: Vec<String>,
    /// Folder of secrets: entry KEY of secret PATH is the file DIR/PATH/KEY
    #[arg(long, value_name = "DIR")]
    secrets: Option<PathBuf>,
    /// Serve /metrics, /health and /ready at this address, for example 127.0.0.1:9094
    #[arg(long, value_name = "ADDR", value_parser = socket_address)]
    metrics_addr: Option<SocketAddr>,
    /// Threads that functions run on [default: one less than there are cores, at least one]
    #[arg(long, value_name = "N")]
    guest_threads: Option<NonZeroUsize>,
    #[command(flatten)]
    engine: EngineArgs,
}

fn socket_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "write an address and a port, for example 127.0.0.1:9094".to_owned())
}

/// Runs until the input is settled (filter), a signal comes, or a function stops itself.
pub(crate) async fn run(args: RunArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let declared = crate::declarations::read(&args.files)?;
    let graph = Graph::new(declared.iter().map(|declared| &declared.resolved));
    let is_filter = args.filter || (!args.no_filter && filter::is_piped_in());
    // Asked before anything starts, so that a question about the topics changes nothing, and neither does a component
    // that is not there.
    let ends = if is_filter { Some(filter::Ends::choose(&graph, args.feed.as_deref(), &args.print)?) } else { None };

    for declared in &declared {
        Component::check(&declared.resolved, crate::declarations::base_dir(declared))
            .with_context(|| format!("function {}", declared.resolved.name))?;
    }

    let host = Host::start(&args)?;
    let (deployments, outcome) = serve(&host, declared, ends, &args, output).await;
    host.functions.set(&[]);
    futures::future::join_all(deployments.iter().map(|deployment| deployment.pause(GRACE))).await;
    drop(deployments);
    host.stop().await;
    outcome
}

type Served = (Vec<Arc<Deployment>>, anyhow::Result<ExitCode>);

async fn serve(
    host: &Host,
    declared: Vec<pulselet_api::Declared>,
    ends: Option<filter::Ends>,
    args: &RunArgs,
    output: &Output,
) -> Served {
    let mut deployments = Vec::new();
    let outcome = async {
        for declared in busiest_first(host, declared).await {
            let base_dir = crate::declarations::base_dir(&declared).to_owned();
            let name = declared.resolved.name.to_string();
            let prepared = host.runner.prepare(declared.resolved, &base_dir).await;
            deployments.push(Arc::new(prepared.with_context(|| format!("function {name}"))?));
        }
        let filter = match ends {
            Some(ends) => Some(filter::Filter::open(&host.broker, ends).await?),
            None => None,
        };
        // Only now, so that no function has answered a message when another one cannot run.
        for deployment in deployments.iter().filter(|deployment| !deployment.is_paused()) {
            deployment.resume().await.with_context(|| format!("function {}", deployment.function().name))?;
        }
        host.functions.set(&deployments);
        work(host, &deployments, filter, args, output).await
    }
    .await;
    (deployments, outcome)
}

/// Those with the most messages before them are compiled and loaded first, and stay loaded if not all can.
async fn busiest_first(host: &Host, declared: Vec<pulselet_api::Declared>) -> Vec<pulselet_api::Declared> {
    let mut by_backlog = Vec::with_capacity(declared.len());
    for declared in declared {
        // Topics that cannot be asked for now say so when they are opened.
        let unread = filter::unread(&*host.broker, &declared.resolved).await.unwrap_or(0);
        by_backlog.push((unread, declared));
    }
    by_backlog.sort_by_key(|(unread, _)| std::cmp::Reverse(*unread));
    by_backlog.into_iter().map(|(_, declared)| declared).collect()
}

async fn work(
    host: &Host,
    deployments: &[Arc<Deployment>],
    filter: Option<filter::Filter>,
    args: &RunArgs,
    output: &Output,
) -> anyhow::Result<ExitCode> {
    let ending = CancellationToken::new();
    let _ends_with_this = ending.clone().drop_guard();
    let is_ready = Arc::new(AtomicBool::new(false));
    if let Some(address) = args.metrics_addr {
        let ready = Arc::clone(&is_ready);
        let is_ready = move || ready.load(Ordering::Acquire);
        crate::metrics_server::start(address, host.registry.clone(), is_ready, ending.clone()).await?;
    }
    let signal = crate::signals::wait();
    let ready = async {
        for deployment in deployments.iter().filter(|deployment| !deployment.is_paused()) {
            deployment.ready().await;
        }
        is_ready.store(true, Ordering::Release);
    };
    let stops: Vec<_> = deployments.iter().map(|deployment| Box::pin(stopped(deployment))).collect();
    let started = std::time::Instant::now();
    let is_filter = filter.is_some();
    let job = async {
        ready.await;
        match filter {
            Some(filter) => filter.run(&host.broker, deployments, output.is_json()).await,
            None => {
                report::serving(deployments, args, output);
                std::future::pending().await
            }
        }
    };
    tokio::select! {
        done = job => {
            let fed = done?;
            report::filtered(&fed, deployments, started.elapsed(), output);
            Ok(if fed.refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        (name, reason) = async { futures::future::select_all(stops).await.0 } => {
            anyhow::bail!("function {name}: {reason}")
        }
        error = host.embedded.ended() => {
            anyhow::bail!("{error}; what was confirmed is kept: mend the cause and run again")
        }
        signal = signal => {
            tracing::info!(signal, "stopping");
            if is_filter { anyhow::bail!("stopped by {signal} before all input was settled; run it again to go on") }
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn stopped(deployment: &Deployment) -> (String, String) {
    (deployment.function().name.to_string(), deployment.stopped().await)
}
