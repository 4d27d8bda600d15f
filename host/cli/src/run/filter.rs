//! `run` in a pipe: each line of stdin is a message, each message of the output is a line of stdout, and the command ends
//! when everything is settled.
//!
//! Lines are printed before they are acked, so a filter that is killed prints what is left when it is run again on the
//! same folder; a line may then be printed twice, and none is lost.

use std::io::{BufRead, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use pulselet_api::topic::TopicName;
use pulselet_api::{Inputs, Resolved};
use pulselet_broker::batch::{BatchBuilder, Outgoing};
use pulselet_broker::{
    Broker, Consumer, ConsumerOptions, Event, InitialPosition, Producer, ProducerOptions, SubscriptionType,
};
use pulselet_runner::Deployment;
use tokio::sync::{mpsc, oneshot};

use super::graph::Graph;
use super::progress::Progress;
use crate::admin::wire::ReadMessage;

/// Subscription that printing goes through.
const SUBSCRIPTION: &str = "pulselet-filter";
/// Lines read ahead, in chunks.
const CHUNKS: usize = 8;
const CHUNK_BYTES: usize = 64 * 1024;
const CHUNK_LINES: usize = 1_000;
/// Batches of lines that are not confirmed yet.
const BATCHES: usize = 16;
/// Lines that may be under way to be printed.
const PERMITS: u32 = 2_000;
/// How often the subscriptions are asked whether everything is settled.
const POLL: Duration = Duration::from_millis(10);

/// True if stdin is a pipe or a file; a terminal or /dev/null (a service) is not piped in.
pub(crate) fn is_piped_in() -> bool {
    use std::os::unix::fs::FileTypeExt;
    if std::io::stdin().is_terminal() {
        return false;
    }
    let kind = std::fs::metadata("/dev/stdin").map(|metadata| metadata.file_type());
    kind.is_ok_and(|kind| kind.is_fifo() || kind.is_file() || kind.is_socket())
}

/// Where lines come in and go out.
#[derive(Debug)]
pub(crate) struct Ends {
    feed: TopicName,
    print: Vec<TopicName>,
}

impl Ends {
    /// What was asked for, or what follows from how the functions hang together.
    pub(crate) fn choose(graph: &Graph, feed: Option<&str>, print: &[String]) -> anyhow::Result<Self> {
        let feed: TopicName = match (feed, graph.sources.iter().collect::<Vec<_>>().as_slice()) {
            (Some(feed), _) => feed.parse().context("--feed")?,
            (None, [only]) => (*only).clone(),
            (None, []) => bail!("no function reads a topic that no other function writes: say which one with --feed"),
            (None, several) => bail!(
                "lines could go to {}: say which one with --feed",
                several.iter().map(|topic| topic.as_str()).collect::<Vec<_>>().join(", ")
            ),
        };
        if !graph.is_read(&feed) {
            bail!("--feed: no function reads {feed}, so that nothing would come of its lines; name an input topic");
        }
        let print = match print {
            [] => graph.sinks.iter().cloned().collect(),
            print => print.iter().map(|topic| topic.parse()).collect::<Result<Vec<_>, _>>().context("--print")?,
        };
        if print.is_empty() {
            tracing::warn!(
                "nothing is printed: no function writes a topic by name that no function reads; say which one with --print"
            );
        }
        Ok(Self { feed, print })
    }
}

/// What went through.
#[derive(Debug, Default)]
pub(crate) struct Fed {
    /// Lines that became messages.
    pub(crate) lines: u64,
    /// Lines that were too long for the topic.
    pub(crate) refused: u64,
    /// Lines printed.
    pub(crate) printed: u64,
}

/// A filter whose printing has begun.
pub(crate) struct Filter {
    ends: Ends,
    printers: Vec<Arc<dyn Consumer>>,
}

impl Filter {
    /// Subscribes to what is printed, so that no answer can be missed.
    pub(crate) async fn open(broker: &Arc<dyn Broker>, ends: Ends) -> anyhow::Result<Self> {
        let mut printers: Vec<Arc<dyn Consumer>> = Vec::new();
        for topic in &ends.print {
            for topic in broker.parts(topic).await? {
                let options = ConsumerOptions {
                    topic,
                    subscription: SUBSCRIPTION.to_owned(),
                    subscription_type: SubscriptionType::Exclusive,
                    initial_position: InitialPosition::Latest,
                    consumer_name: SUBSCRIPTION.to_owned(),
                    batch_index_ack: true,
                };
                printers.push(broker.subscribe(options).await?.into());
            }
        }
        Ok(Self { ends, printers })
    }

    /// Feeds, waits until all is settled, and prints meanwhile: payloads, or with `as_json` all that came with them.
    pub(crate) async fn run(
        self,
        broker: &Arc<dyn Broker>,
        deployments: &[Arc<Deployment>],
        as_json: bool,
    ) -> anyhow::Result<Fed> {
        let (lines_in, lines) = mpsc::channel::<Lines>(CHUNKS);
        let print = |printer: &Arc<dyn Consumer>| tokio::spawn(print(Arc::clone(printer), lines_in.clone(), as_json));
        let printing: Vec<_> = self.printers.iter().map(print).collect();
        // Writing may block for as long as whoever reads the pipe likes.
        let progress = Progress::default();
        let counts = progress.clone();
        let mut writer = tokio::task::spawn_blocking(move || write(lines, &counts));
        let through = async {
            let fed = feed(&**broker, &self.ends.feed, &progress).await?;
            settled(&**broker, deployments).await?;
            self.printed(&**broker).await?;
            anyhow::Ok(fed)
        };
        let (mut fed, written) = tokio::select! {
            fed = through => {
                printing.iter().for_each(tokio::task::JoinHandle::abort);
                drop(lines_in);
                (fed?, writer.await?)
            }
            // Ends early only if stdout does.
            written = &mut writer => (Fed::default(), written?),
            never = progress.show() => match never {},
        };
        fed.printed = match written {
            // Whoever read the pipe has seen enough, as with any filter.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => 0,
            printed => printed.context("write to stdout")?,
        };
        for printer in &self.printers {
            printer.close().await.ok();
        }
        Ok(fed)
    }

    /// Waits until nothing is left to print.
    async fn printed(&self, broker: &dyn Broker) -> anyhow::Result<()> {
        for topic in &self.ends.print {
            while backlog(broker, topic, SUBSCRIPTION).await? > 0 {
                tokio::time::sleep(POLL).await;
            }
        }
        Ok(())
    }
}

async fn print(consumer: Arc<dyn Consumer>, lines: mpsc::Sender<Lines>, as_json: bool) {
    consumer.grant(PERMITS);
    while let Ok(event) = consumer.next().await {
        let Event::Entries(entries) = event else { continue };
        let mut ids = Vec::new();
        let mut chunk = Vec::new();
        for entry in &entries {
            for message in &entry.messages {
                if as_json {
                    chunk.extend_from_slice(ReadMessage::new(entry, message).into_json().to_string().as_bytes());
                } else {
                    chunk.extend_from_slice(&message.payload);
                }
                chunk.push(b'\n');
                ids.push(entry.id(message));
            }
        }
        let (written, is_written) = oneshot::channel();
        if lines.send(Lines { chunk, written }).await.is_err() || is_written.await.is_err() {
            return;
        }
        consumer.grant(ids.len() as u32);
        if consumer.ack(&ids).await.is_err() {
            return;
        }
    }
}

/// Lines to be written, and who waits for it.
struct Lines {
    chunk: Vec<u8>,
    written: oneshot::Sender<()>,
}

/// Writes until there are no more printers; returns how many lines were written.
fn write(mut lines: mpsc::Receiver<Lines>, progress: &Progress) -> std::io::Result<u64> {
    let mut out = std::io::stdout().lock();
    let mut count = 0;
    while let Some(Lines { chunk, written }) = lines.blocking_recv() {
        out.write_all(&chunk)?;
        out.flush()?;
        let written_lines = chunk.iter().filter(|byte| **byte == b'\n').count() as u64;
        count += written_lines;
        progress.printed(written_lines);
        written.send(()).ok();
    }
    Ok(count)
}

/// Turns the lines of stdin into messages; returns when the broker has confirmed all of them.
async fn feed(broker: &dyn Broker, topic: &TopicName, progress: &Progress) -> anyhow::Result<Fed> {
    let mut producers = Vec::new();
    for topic in broker.parts(topic).await? {
        producers.push(broker.produce(ProducerOptions { topic, name: None, initial_subscription: None }).await?);
    }
    let (chunks_in, mut chunks) = mpsc::channel::<std::io::Result<Vec<Vec<u8>>>>(CHUNKS);
    std::thread::Builder::new().name("stdin".to_owned()).spawn(move || read_lines(&chunks_in))?;
    let mut fed = Fed::default();
    let mut receipts = std::collections::VecDeque::new();
    let mut turn = 0;
    while let Some(chunk) = chunks.recv().await {
        let chunk = chunk.context("read stdin")?;
        // Whole chunks take turns over the partitions, so that batches stay large.
        turn = (turn + 1) % producers.len();
        let Some(producer) = producers.get(turn) else { break };
        send_lines(&**producer, &chunk, &mut fed, &mut receipts);
        progress.fed(chunk.len() as u64);
        while receipts.len() > BATCHES
            && let Some(receipt) = receipts.pop_front()
        {
            receipt.await?;
        }
    }
    for receipt in receipts {
        receipt.await?;
    }
    for producer in producers {
        producer.close().await?;
    }
    Ok(fed)
}

fn send_lines(
    producer: &dyn Producer,
    chunk: &[Vec<u8>],
    fed: &mut Fed,
    receipts: &mut std::collections::VecDeque<pulselet_broker::Receipt>,
) {
    let mut batch = BatchBuilder::new();
    for line in chunk {
        let message = Outgoing { payload: line, ..Outgoing::default() };
        let limit = producer.max_entry_bytes();
        if message.encoded_len() > limit {
            fed.refused += 1;
            let number = fed.lines + fed.refused;
            tracing::warn!(
                "line {number} has {} bytes, more than the {limit} a message may have; it is left out",
                line.len()
            );
            continue;
        }
        if batch.bytes() + message.encoded_len() > limit {
            receipts.extend(batch.finish().map(|batch| producer.send(batch)));
        }
        batch.push(&message);
        fed.lines += 1;
    }
    receipts.extend(batch.finish().map(|batch| producer.send(batch)));
}

/// Reads as much as there is, a chunk at a time. Runs on a thread of its own, since stdin may keep one waiting for ever.
fn read_lines(chunks: &mpsc::Sender<std::io::Result<Vec<Vec<u8>>>>) {
    let mut input = std::io::BufReader::with_capacity(CHUNK_BYTES, std::io::stdin().lock());
    loop {
        let mut chunk = Vec::new();
        loop {
            let mut line = Vec::new();
            match input.read_until(b'\n', &mut line) {
                Ok(0) => break,
                Ok(_) => {
                    if line.last() == Some(&b'\n') {
                        line.pop();
                    }
                    chunk.push(line);
                }
                Err(error) => {
                    chunks.blocking_send(Err(error)).ok();
                    return;
                }
            }
            // A line that is there goes on its way at once; only what is at hand already travels with it.
            if chunk.len() >= CHUNK_LINES || !input.buffer().contains(&b'\n') {
                break;
            }
        }
        if chunk.is_empty() || chunks.blocking_send(Ok(chunk)).is_err() {
            return;
        }
    }
}

/// Waits until no function has anything left to read or in hand. What one function settles may be what another reads,
/// so all must be found at rest twice, with nothing done in between.
async fn settled(broker: &dyn Broker, deployments: &[Arc<Deployment>]) -> anyhow::Result<()> {
    let mut before = None;
    loop {
        let mut at_rest = true;
        for deployment in deployments {
            at_rest &= deployment.is_idle() && unread(broker, &deployment.function()).await? == 0;
        }
        let done: u64 =
            deployments.iter().flat_map(|deployment| deployment.status()).map(|s| s.processed + s.failed).sum();
        if at_rest && before == Some(done) {
            return Ok(());
        }
        before = at_rest.then_some(done);
        tokio::time::sleep(POLL).await;
    }
}

/// Messages that a function has before it.
pub(super) async fn unread(broker: &dyn Broker, function: &Resolved) -> anyhow::Result<u64> {
    let mut topics = match &function.inputs {
        Inputs::Topics(topics) => topics.clone(),
        Inputs::Pattern(pattern) => broker.topics(pattern).await?,
    };
    topics.extend(function.retry.retry_topic.clone());
    let mut unread = 0;
    for topic in topics {
        unread += backlog(broker, &topic, &function.subscription.name).await?;
    }
    Ok(unread)
}

async fn backlog(broker: &dyn Broker, topic: &TopicName, subscription: &str) -> anyhow::Result<u64> {
    let stats = broker.subscriptions(topic).await?;
    Ok(stats.iter().filter(|stats| stats.name == subscription).map(|stats| stats.backlog).sum())
}
