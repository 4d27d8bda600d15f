use std::io::{BufWriter, Write};
use std::process::ExitCode;

use clap::Args;

use crate::admin::wire::{ConsumeQuery, From};
use crate::admin::{Access, Client};
use crate::args::DataArgs;
use crate::output::{self, Output};
use crate::signals;

/// Print the messages of a topic
#[derive(Args, Debug)]
#[command(after_long_help = "\
Without --subscription nothing is acknowledged and nothing changes: the same messages are printed again the next time.
With one, what has been printed is acknowledged, and the next time goes on behind it.

Examples:
    pulselet consume out
    pulselet consume out --follow --from latest
    pulselet consume out --subscription audit --count 10
    pulselet consume out --output json | jq -r .key")]
pub(crate) struct ConsumeArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Name of the topic
    topic: String,
    /// Read for this subscription, and acknowledge what has been printed; it is made if it does not exist
    #[arg(long, value_name = "NAME")]
    subscription: Option<String>,
    /// Where to start, unless the subscription exists
    #[arg(long, value_enum, default_value = "earliest")]
    from: From,
    /// Stop after so many messages
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Go on when everything that is there has been printed; the topic may come into being later
    #[arg(long)]
    follow: bool,
}

pub(crate) async fn run(args: ConsumeArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let mut access = Access::open(&args.data.data, false).await?;
    let query = ConsumeQuery {
        topic: args.topic,
        subscription: args.subscription,
        from: args.from,
        count: args.count,
        follow: args.follow,
    };
    let outcome = consume(&mut access.client, &query, output).await;
    access.close().await;
    outcome?;
    output::done()
}

async fn consume(client: &mut Client, query: &ConsumeQuery, output: &Output) -> anyhow::Result<()> {
    let mut reading = client.consume(query).await?;
    let mut out = BufWriter::new(std::io::stdout());
    let mut printed = 0;
    let stop = signals::wait();
    tokio::pin!(stop);
    loop {
        let message = tokio::select! {
            message = reading.next() => message?,
            _ = &mut stop => None,
        };
        let Some(message) = message else { break };
        if output.is_json() {
            writeln!(out, "{}", message.into_json())?;
        } else {
            out.write_all(&message.payload.0)?;
            out.write_all(b"\n")?;
        }
        printed += 1;
        // Only what is out of our hands is acknowledged; a group of messages is, together.
        if !reading.has_more_at_hand() {
            out.flush()?;
            reading.used(printed).await?;
        }
    }
    out.flush()?;
    reading.used(printed).await?;
    reading.finish().await
}
