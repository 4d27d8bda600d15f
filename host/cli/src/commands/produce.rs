use std::io::{BufRead, BufReader, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;
use tokio::sync::mpsc;

use crate::admin::wire::{Bytes, NewMessage, Sent};
use crate::admin::{Access, Client, Producing};
use crate::args::DataArgs;
use crate::output::{self, Output};

/// Lines read ahead.
const MAX_LINES: usize = 1_000;

/// Put messages into a topic
#[derive(Args, Debug)]
#[command(after_long_help = "\
The id of each message is printed when the message is stored, durably.

Examples:
    pulselet produce in hello 'how are you'
    cat words | pulselet produce in                one message a line
    pulselet produce orders --key alice --property source=shop '{\"item\": 1}'")]
pub(crate) struct ProduceArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Name of the topic; it is made if it does not exist
    topic: String,
    /// The messages; lines of stdin when there are none
    #[arg(value_name = "MESSAGE")]
    messages: Vec<String>,
    /// Key of every message: equal keys go to the same partition, in order
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Property of every message (repeatable)
    #[arg(long = "property", value_name = "NAME=VALUE", value_parser = name_and_value)]
    properties: Vec<(String, String)>,
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

pub(crate) async fn run(args: ProduceArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let mut access = Access::open(&args.data.data, true).await?;
    let outcome = produce(&mut access.client, args, output).await;
    access.close().await;
    match outcome? {
        0 => output::done(),
        1 => bail!("1 message was refused"),
        refused => bail!("{refused} messages were refused"),
    }
}

/// Returns how many messages were refused.
async fn produce(client: &mut Client, args: ProduceArgs, output: &Output) -> anyhow::Result<u64> {
    let (topic, mut answers) = client.produce(&args.topic).await?;
    let sent = Arc::new(AtomicU64::new(0));
    let sending = tokio::spawn(send(topic, args, Arc::clone(&sent)));
    let (mut answered, mut refused) = (0, 0);
    while let Some(answer) = answers.next::<Sent>().await? {
        answered += 1;
        match answer {
            Sent::Id(id) if output.is_json() => output::print(&format!("{}\n", json!({ "messageId": id })))?,
            Sent::Id(id) => output::print(&format!("{id}\n"))?,
            Sent::Refused(reason) => {
                refused += 1;
                writeln!(std::io::stderr(), "message {answered}: {reason}")?;
            }
        }
    }
    if sending.is_finished() {
        sending.await??;
    } else {
        sending.abort();
    }
    let sent = sent.load(Ordering::Acquire);
    if answered < sent {
        bail!("the connection was lost; of {sent} messages {answered} are confirmed, the others may be stored or not");
    }
    Ok(refused)
}

async fn send(topic: Producing, args: ProduceArgs, sent: Arc<AtomicU64>) -> anyhow::Result<()> {
    let ProduceArgs { messages, key, properties, .. } = args;
    let message =
        |payload: Vec<u8>| NewMessage { payload: Bytes(payload), key: key.clone(), properties: properties.clone() };
    for text in &messages {
        topic.send(&message(text.clone().into_bytes())).await?;
        sent.fetch_add(1, Ordering::AcqRel);
    }
    if messages.is_empty() {
        let mut lines = stdin_lines()?;
        while let Some(line) = lines.recv().await {
            topic.send(&message(line.context("read stdin")?)).await?;
            sent.fetch_add(1, Ordering::AcqRel);
        }
    }
    Ok(())
}

/// The lines of stdin, read on a thread of its own: reading may take for ever, and cannot be stopped.
fn stdin_lines() -> anyhow::Result<mpsc::Receiver<std::io::Result<Vec<u8>>>> {
    let (lines, received) = mpsc::channel(MAX_LINES);
    let read = move || {
        let mut input = BufReader::new(std::io::stdin().lock());
        loop {
            let mut line = Vec::new();
            match input.read_until(b'\n', &mut line) {
                Ok(0) => return,
                Ok(_) => {
                    if line.last() == Some(&b'\n') {
                        line.pop();
                    }
                    if lines.blocking_send(Ok(line)).is_err() {
                        return;
                    }
                }
                Err(error) => {
                    lines.blocking_send(Err(error)).ok();
                    return;
                }
            }
        }
    };
    std::thread::Builder::new().name("stdin".to_owned()).spawn(read)?;
    Ok(received)
}
