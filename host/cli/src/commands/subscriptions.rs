use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::admin::Access;
use crate::admin::wire::{From, NewSubscription, Seek, SeekTo};
use crate::args::DataArgs;
use crate::output::{self, Output, table};

/// List, make, move and delete subscriptions
#[derive(Args, Debug)]
#[command(after_long_help = "\
The subscription of a function is called tenant/namespace/name, after the function.

Examples:
    pulselet subscriptions list in
    pulselet subscriptions create out audit --from earliest
    pulselet subscriptions seek in public/default/shout --to earliest     (while the function is not running)
    pulselet subscriptions delete out audit")]
pub(crate) struct SubscriptionsArgs {
    #[command(flatten)]
    data: DataArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print the subscriptions of a topic and what each has left to read
    List {
        /// Name of the topic
        topic: String,
    },
    /// Make a subscription, so that messages are kept for it from now on
    Create {
        /// Name of the topic
        topic: String,
        /// Name of the subscription
        subscription: String,
        /// Where it starts
        #[arg(long, value_enum, default_value = "latest")]
        from: From,
    },
    /// Remove a subscription, and with it what it has left to read
    Delete {
        /// Name of the topic
        topic: String,
        /// Name of the subscription
        subscription: String,
    },
    /// Move a subscription, which nobody may be reading
    Seek {
        /// Name of the topic
        topic: String,
        /// Name of the subscription
        subscription: String,
        /// `earliest`, `latest`, a message id (`ledger:entry:partition[:index]`), or `@` and milliseconds since the epoch
        #[arg(long, value_name = "WHERE", value_parser = seek_to)]
        to: SeekTo,
    },
}

fn seek_to(text: &str) -> Result<SeekTo, String> {
    match text {
        "earliest" => Ok(SeekTo::Earliest),
        "latest" => Ok(SeekTo::Latest),
        _ => match text.strip_prefix('@') {
            Some(time) => time
                .parse()
                .map(SeekTo::PublishTime)
                .map_err(|_| "after `@` write milliseconds since the epoch".to_owned()),
            None if text.contains(':') => Ok(SeekTo::MessageId(text.to_owned())),
            None => Err("write `earliest`, `latest`, a message id, or `@` and milliseconds".to_owned()),
        },
    }
}

pub(crate) async fn run(args: SubscriptionsArgs, output: &Output) -> anyhow::Result<ExitCode> {
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
        Action::List { topic } => output.show(&client.subscriptions(&topic).await?, |subscriptions| {
            let rows: Vec<_> = subscriptions
                .iter()
                .map(|stats| {
                    let numbers = [stats.backlog, stats.unacked, u64::from(stats.consumers)];
                    std::iter::once(stats.subscription.clone()).chain(numbers.map(|n| n.to_string())).collect()
                })
                .collect();
            table(&["SUBSCRIPTION", "BACKLOG", "UNACKED", "CONSUMERS"], &rows)
        }),
        Action::Create { topic, subscription, from } => {
            let new = NewSubscription { topic, subscription, from };
            client.create_subscription(&new).await?;
            output.show(&new, |_| String::new())
        }
        Action::Delete { topic, subscription } => {
            client.delete_subscription(&topic, &subscription).await?;
            output.show(&json!({ "topic": topic, "subscription": subscription }), |_| String::new())
        }
        Action::Seek { topic, subscription, to } => {
            let seek = Seek { topic, subscription, to };
            client.seek(&seek).await?;
            output.show(&seek, |_| String::new())
        }
    }
}
