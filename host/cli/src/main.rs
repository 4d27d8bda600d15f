//! The command `pulselet`.
//!
//! - `args`: what can be asked for; `commands`: one file each; `run`: the largest of them
//! - `output`, `failure`: data to stdout, talk to stderr, and what the process ends with
//! - `admin`: the data folder, shared between processes; `metrics_server`: what a monitoring system reads
//! - `functions`: those of this process, seen from others
//! - `declarations`, `component`: files that are read; `engine_dir`: where compiled code is kept

#![forbid(unsafe_code)]

mod admin;
mod args;
mod commands;
mod component;
mod declarations;
mod engine_dir;
mod failure;
mod functions;
mod metrics_server;
mod output;
mod run;
mod signals;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use output::Output;

/// Gives back to the system, after some seconds, what functions no longer need; the C library's keeps it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Command::Compile(args) = &cli.command {
        // Before there is a runtime: threads and what they allocate would count against its limits, and take time.
        return commands::compile::run(args);
    }
    let output = Output::new(cli.global.output);
    output.start_log(cli.global.log_level.unwrap_or_else(|| cli.command.default_log_level()));
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failure::report(&output, &anyhow::Error::new(error).context("start the runtime")),
    };
    let outcome = runtime.block_on(dispatch(cli.command, &output));
    // A thread that reads stdin cannot be stopped, and need not be.
    runtime.shutdown_background();
    outcome.unwrap_or_else(|error| failure::report(&output, &error))
}

async fn dispatch(command: Command, output: &Output) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(args) => run::run(args, output).await,
        Command::Validate(args) => commands::validate::run(&args, output),
        Command::New(args) => commands::new::run(&args, output),
        Command::Build(args) => commands::build::run(&args, output),
        Command::Test(args) => commands::test::run(&args, output),
        Command::Inspect(args) => commands::inspect::run(&args, output),
        Command::Harness(args) => commands::harness::run(&args).await,
        Command::Compile(args) => Ok(commands::compile::run(&args)),
        Command::Ps(args) => commands::ps::run(args, output).await,
        Command::Update(args) => commands::update::run(args, output).await,
        Command::Rollback(args) => commands::update::roll_back(args, output).await,
        Command::Produce(args) => commands::produce::run(args, output).await,
        Command::Consume(args) => commands::consume::run(args, output).await,
        Command::Topics(args) => commands::topics::run(args, output).await,
        Command::Subscriptions(args) => commands::subscriptions::run(args, output).await,
        Command::Schema => commands::schema::run(),
        Command::Completions(args) => commands::completions::run(&args),
    }
}
