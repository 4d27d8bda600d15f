//! A process that is killed while it publishes and acknowledges, again and again on the same folder.
//!
//! The test runs itself as the process to be killed: it prints what it was promised, and whoever killed it compares. The
//! page cache survives a kill; what survives a power failure is tested inside the crate, where the disk can be replaced.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use futures::stream::{FuturesUnordered, StreamExt};
use pulselet_broker::{Broker, Event};
use pulselet_broker_embedded::{EmbeddedBroker, Options, Storage};

use crate::words::{consume, numbered, produce, take, topic};

const FOLDER: &str = "PULSELET_TEST_KILL_FOLDER";
const ROUNDS: u64 = 8;

#[test]
fn what_was_promised_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut receipted = BTreeSet::new();
    let mut acked = BTreeSet::new();
    for round in 0..ROUNDS {
        let lines = run_and_kill(folder.path(), 40 + round * 37);
        for line in lines {
            match line.split_once(' ') {
                Some(("receipt", number)) => receipted.insert(number.parse::<u64>().unwrap()),
                Some(("acked", number)) => acked.insert(number.parse::<u64>().unwrap()),
                _ => continue,
            };
        }
        check(folder.path(), &receipted, &acked);
    }
    assert!(receipted.len() > 100 && acked.len() > 100, "{} and {} are too few", receipted.len(), acked.len());
}

/// Lets the process make so many promises, then kills it; gives the promises.
fn run_and_kill(folder: &Path, promises: u64) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::the_process_to_be_killed", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = Vec::new();
    let mut reader = BufReader::new(child.stdout.take().unwrap()).lines();
    while (lines.len() as u64) < promises {
        lines.push(reader.next().expect("the process ended by itself").unwrap());
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it printed before it died counts; the last line may be cut off.
    lines.extend(reader.map_while(Result::ok).filter(|line| line.ends_with('.')));
    lines.into_iter().map(|line| line.trim_end_matches('.').to_owned()).collect()
}

/// Everything with a receipt is there unless it was acknowledged, and nothing that was is there.
fn check(folder: &Path, receipted: &BTreeSet<u64>, acked: &BTreeSet<u64>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let broker = EmbeddedBroker::open(Options::new(Storage::Folder(folder.to_owned()))).unwrap();
        for (subscription, gone) in [("audit", &BTreeSet::new()), ("work", acked)] {
            let stats = broker.subscriptions(&topic("t")).await.unwrap();
            let left = stats.iter().find(|stats| stats.name == subscription).unwrap().backlog;
            let consumer = consume(&broker, "t", subscription).await.unwrap();
            let found = take(&*consumer, left as usize).await;
            let numbers: Vec<u64> = found.iter().map(|(text, _)| text.parse().unwrap()).collect();
            assert!(numbers.is_sorted_by(|a, b| a < b), "{subscription}: {numbers:?}");
            let numbers: BTreeSet<_> = numbers.into_iter().collect();
            assert!(numbers.is_disjoint(gone), "{subscription}: acknowledged, and there again");
            // Every third one is never acknowledged.
            let must_be_there = receipted.iter().filter(|number| subscription == "audit" || *number % 3 == 0);
            let lost: Vec<_> = must_be_there.filter(|number| !numbers.contains(number)).collect();
            assert!(lost.is_empty(), "{subscription}: lost {lost:?}");
        }
        broker.close().await;
    });
}

/// Publishes and acknowledges until it is killed. Does nothing unless it is asked to.
#[test]
fn the_process_to_be_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let broker = EmbeddedBroker::open(Options::new(Storage::Folder(folder.into()))).unwrap();
        drop(consume(&broker, "t", "audit").await.unwrap());
        let consumer = consume(&broker, "t", "work").await.unwrap();
        let producer = produce(&broker, "t", Some("p")).await.unwrap();
        let mut next = producer.last_sequence_id().map_or(0, |last| last + 1);
        let mut receipts = FuturesUnordered::new();
        let mut acks = FuturesUnordered::new();
        let mut held = BTreeMap::new();
        loop {
            while receipts.len() < 8 {
                let (number, receipt) = (next, producer.send(numbered(next, &next.to_string())));
                receipts.push(async move { receipt.await.map(|_| number) });
                next += 1;
            }
            tokio::select! {
                Some(number) = receipts.next() => say("receipt", number.unwrap()),
                Some(number) = acks.next() => say("acked", number),
                event = consumer.next() => {
                    if let Event::Entries(entries) = event.unwrap() {
                        for entry in &entries {
                            for message in &entry.messages {
                                let number: u64 = std::str::from_utf8(&message.payload).unwrap().parse().unwrap();
                                held.insert(number, entry.id(message));
                            }
                        }
                    }
                }
            }
            // Acknowledges two of three, and not in order.
            while held.len() > 5 {
                let (number, id) = if held.len() % 2 == 0 { held.pop_first() } else { held.pop_last() }.unwrap();
                if number % 3 != 0 {
                    let confirmation = consumer.ack(&[id]);
                    acks.push(async move { confirmation.await.map(|()| number).unwrap() });
                }
            }
        }
    });
}

fn say(what: &str, number: u64) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{what} {number}.").unwrap();
    out.flush().unwrap();
}
