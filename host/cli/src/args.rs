use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commands::{
    build, compile, completions, consume, harness, inspect, new, produce, ps, subscriptions, test, topics, update,
    validate,
};
use crate::run;

/// Run WebAssembly functions on topics
#[derive(Debug, Parser)]
#[command(
    name = "pulselet",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    after_long_help = "\
From an empty folder to a function that runs:
  pulselet new shout && cd shout
  pulselet test .                             unit tests, natively and as a component
  pulselet build .
  echo hello | pulselet run --ephemeral function.yaml

Data goes to stdout, everything else to stderr. The exit status is
   0  everything went well
   1  something failed; stderr says what
   2  the command line is wrong
  64  a declaration is wrong; nothing was started
  65  a component is not one that can run; nothing was started"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Form of what goes to stdout, and of errors and log lines on stderr
    #[arg(long, global = true, value_enum, default_value_t, env = "PULSELET_OUTPUT", hide_env = true)]
    pub(crate) output: Format,
    /// Least important log lines to show [default: info for run, warn for the others]
    #[arg(long, global = true, value_enum, value_name = "LEVEL", env = "PULSELET_LOG_LEVEL", hide_env = true)]
    pub(crate) log_level: Option<LogLevel>,
}

/// Forms of output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people, and for pipes of lines
    #[default]
    Text,
    /// For programs: one JSON value, or one a line where there is a stream
    Json,
}

/// Levels of the log.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// What can be asked for.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(run::RunArgs),
    Validate(validate::ValidateArgs),
    New(new::NewArgs),
    Build(build::BuildArgs),
    Test(test::TestArgs),
    Inspect(inspect::InspectArgs),
    #[command(hide = true)]
    Harness(harness::HarnessArgs),
    #[command(hide = true)]
    Compile(compile::CompileArgs),
    Ps(ps::PsArgs),
    Update(update::UpdateArgs),
    Rollback(update::RollbackArgs),
    Produce(produce::ProduceArgs),
    Consume(consume::ConsumeArgs),
    Topics(topics::TopicsArgs),
    Subscriptions(subscriptions::SubscriptionsArgs),
    /// Print the JSON Schema of declarations
    #[command(after_long_help = "\
Example, for editors that know YAML schemas:
    pulselet schema > pulselet.schema.json
  and at the head of function.yaml:
    # yaml-language-server: $schema=pulselet.schema.json")]
    Schema,
    Completions(completions::CompletionsArgs),
}

impl Command {
    /// A server tells what it does; a command that answers a question does not talk about itself.
    pub(crate) fn default_log_level(&self) -> LogLevel {
        match self {
            Self::Run(_) => LogLevel::Info,
            _ => LogLevel::Warn,
        }
    }
}

/// Which data folder.
#[derive(Debug, Args)]
pub(crate) struct DataArgs {
    /// Folder that keeps topics and subscriptions; it may be in use by `pulselet run`
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "pulselet-data",
        env = "PULSELET_DATA",
        hide_env = true
    )]
    pub(crate) data: PathBuf,
}
