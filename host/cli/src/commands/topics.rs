use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::admin::Access;
use crate::admin::wire::{MAX_PARTITIONS, Topic};
use crate::args::DataArgs;
use crate::output::{self, Output, table};

/// List, make and delete topics
#[derive(Args, Debug)]
#[command(after_long_help = "\
Topics come into being when they are first used; only partitioned ones have to be made.

Examples:
    pulselet topics list
    pulselet topics list 'tenant/namespace/in-.*'
    pulselet topics create orders --partitions 4
    pulselet topics delete orders")]
pub(crate) struct TopicsArgs {
    #[command(flatten)]
    data: DataArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print the topics of a namespace
    List {
        /// Which ones: `[persistent://]tenant/namespace/regex`
        #[arg(value_name = "PATTERN", default_value = "public/default/.*")]
        pattern: String,
    },
    /// Make a topic, or add partitions to one
    Create {
        /// Its name: `name` or `[persistent://]tenant/namespace/name`
        topic: String,
        /// How many partitions, at most 10000; none without it
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_PARTITIONS)))]
        partitions: Option<u32>,
    },
    /// Remove a topic with its messages and subscriptions
    Delete {
        /// Its name
        topic: String,
    },
}

pub(crate) async fn run(args: TopicsArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let create = matches!(args.action, Action::Create { .. });
    let mut access = Access::open(&args.data.data, create).await?;
    let outcome = act(&mut access, args.action, output).await;
    access.close().await;
    outcome?;
    output::done()
}

async fn act(access: &mut Access, action: Action, output: &Output) -> anyhow::Result<()> {
    let client = &mut access.client;
    match action {
        Action::List { pattern } => output.show(&client.topics(&pattern).await?, |topics| {
            let partitions = |topic: &Topic| topic.partitions.map_or_else(|| "-".to_owned(), |count| count.to_string());
            let rows: Vec<_> = topics.iter().map(|topic| vec![topic.topic.clone(), partitions(topic)]).collect();
            table(&["TOPIC", "PARTITIONS"], &rows)
        }),
        Action::Create { topic, partitions } => {
            let topic = Topic { topic, partitions };
            client.create_topic(&topic).await?;
            output.show(&topic, |_| String::new())
        }
        Action::Delete { topic } => {
            client.delete_topic(&topic).await?;
            output.show(&json!({ "topic": topic }), |_| String::new())
        }
    }
}
