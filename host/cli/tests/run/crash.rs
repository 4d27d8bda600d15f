//! The real process, killed at random moments: whatever was confirmed is answered.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::time::Duration;

use pulselet_broker::batch::{Batch, BatchBuilder, Outgoing};
use pulselet_broker::{Broker, ConsumerOptions, Event, InitialPosition, ProducerOptions, SubscriptionType};
use pulselet_broker_embedded::{EmbeddedBroker, Options, Storage};
use pulselet_test_support::{eventually_blocking, example, guest};

use crate::pulselet::{Bench, Running, text};

const MESSAGES: usize = 20_000;
const KILLS: u32 = 5;
const CHECKER: &str = "checker";

#[tokio::test]
async fn a_runner_killed_again_and_again_answers_every_message_at_least_once() {
    let bench = Bench::new();
    let function = bench.declare("exclaim", &example("exclamation"), "in", "out", "subscriptionName: sub");
    fill(&bench, "sub").await;
    let seed = seed();
    println!("seed {seed}");
    let mut random = seed;
    for _ in 0..KILLS {
        let mut run = Running(start(&bench, &function));
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Not a wait for something to happen: the moment of death is what is random here.
        tokio::time::sleep(Duration::from_millis(20 + (random >> 33) % 150)).await;
        run.0.kill().unwrap();
        run.0.wait().unwrap();
    }
    let output = bench.filter(&["--data", "data", "--filter", function.to_str().unwrap()], b"");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let answers = read_all(&bench, "out").await;
    let distinct: HashSet<&str> = answers.iter().map(String::as_str).collect();
    let missing: Vec<String> =
        (0..MESSAGES).map(|n| format!("m{n}!")).filter(|answer| !distinct.contains(answer.as_str())).collect();
    assert!(missing.is_empty(), "{} answers are lost, the first is {:?}", missing.len(), missing.first());
    assert_eq!(distinct.len(), MESSAGES, "no answer is made up");
}

#[tokio::test]
async fn a_message_that_kills_the_runner_ends_in_the_dead_letter_topic() {
    let bench = Bench::new();
    let spec = "subscriptionName: sub\nmaxMessageRetry: 2\ndeadLetterTopic: bad\ntimeout: 60000";
    let function = bench.declare("probe", &guest("probe-plain"), "in", "out", spec);
    publish(&bench, "sub", &["sleep 30000".to_owned()]).await;
    // The guest sleeps, and the process is killed in the call: as if the message had done it.
    for _ in 0..3 {
        let mut run = Running(start(&bench, &function));
        // Only now is what the last one left taken into account and cleared.
        ready(&mut run.0);
        let flight = bench.data().join("runner/public/default/probe/0/flight");
        pulselet_test_support::eventually("the message is being called", Duration::from_secs(60), || async {
            std::fs::read(&flight).is_ok_and(|note| note.first() == Some(&1))
        })
        .await;
        run.0.kill().unwrap();
        run.0.wait().unwrap();
    }
    let output = bench.filter(&["--data", "data", "--filter", function.to_str().unwrap()], b"");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(read_all(&bench, "bad").await, ["sleep 30000"]);
}

fn ready(run: &mut std::process::Child) {
    let mut lines = BufReader::new(run.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.is_ok_and(|line| line.contains(" ready: "))), "it ended before it was ready");
}

fn start(bench: &Bench, function: &std::path::Path) -> std::process::Child {
    bench.command().args(["run", "--no-filter", "--data", "data"]).arg(function).spawn().unwrap()
}

fn seed() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64
}

async fn fill(bench: &Bench, subscription: &str) {
    let payloads: Vec<String> = (0..MESSAGES).map(|n| format!("m{n}")).collect();
    publish(bench, subscription, &payloads).await;
}

/// Puts messages into `in`, some as batches and some alone, before any function runs.
async fn publish(bench: &Bench, subscription: &str, payloads: &[String]) {
    let broker = EmbeddedBroker::open(Options::new(Storage::Folder(bench.data()))).unwrap();
    let topic = "in".parse().unwrap();
    broker.create_subscription(&topic, subscription, InitialPosition::Earliest).await.unwrap();
    // From the beginning, so that nothing that is read by others meanwhile is removed.
    for topic in ["out", "bad"] {
        broker.create_subscription(&topic.parse().unwrap(), CHECKER, InitialPosition::Earliest).await.unwrap();
    }
    let options = ProducerOptions { topic, name: None, initial_subscription: None };
    let producer = broker.produce(options).await.unwrap();
    let mut receipts = Vec::new();
    for (number, payloads) in payloads.chunks(50).enumerate() {
        let messages = payloads.iter().map(|payload| Outgoing { payload: payload.as_bytes(), ..Outgoing::default() });
        if number % 10 == 0 {
            receipts.extend(messages.map(|message| producer.send(Batch::single(&message, None))));
        } else {
            let mut batch = BatchBuilder::new();
            messages.for_each(|message| batch.push(&message));
            receipts.push(producer.send(batch.finish().unwrap()));
        }
    }
    for receipt in receipts {
        receipt.await.unwrap();
    }
    producer.close().await.unwrap();
    broker.close().await;
}

async fn read_all(bench: &Bench, topic: &str) -> Vec<String> {
    let broker = EmbeddedBroker::open(Options::new(Storage::Folder(bench.data()))).unwrap();
    let topic: pulselet_broker::topic::TopicName = topic.parse().unwrap();
    let stats = broker.subscriptions(&topic).await.unwrap();
    let count = stats.iter().find(|stats| stats.name == CHECKER).unwrap().backlog as usize;
    let options = ConsumerOptions {
        topic,
        subscription: CHECKER.to_owned(),
        subscription_type: SubscriptionType::Exclusive,
        initial_position: InitialPosition::Earliest,
        consumer_name: "checker".to_owned(),
        batch_index_ack: true,
    };
    let consumer = broker.subscribe(options).await.unwrap();
    consumer.grant(u32::MAX);
    let mut payloads = Vec::new();
    while payloads.len() < count {
        if let Event::Entries(entries) = consumer.next().await.unwrap() {
            let messages = entries.iter().flat_map(|entry| &entry.messages);
            payloads.extend(messages.map(|message| text(&message.payload)));
        }
    }
    consumer.close().await.unwrap();
    broker.close().await;
    payloads
}

/// Names of files in the engine's folder of compiled code.
fn compiled(bench: &Bench) -> Vec<String> {
    let entries = std::fs::read_dir(bench.dir.path().join("engine/compiled")).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// What is seen, and whether a file's name says so.
type Moment = (&'static str, fn(&str) -> bool);

#[test]
fn a_run_that_is_killed_while_it_compiles_leaves_nothing_that_is_in_the_way_of_the_next() {
    let moments: [Moment; 3] = [
        ("is written", |name| name.starts_with(".unfinished-")),
        ("is there", |name| name.ends_with(".cwasm")),
        ("is written or there", |_| true),
    ];
    for (moment, is_reached) in moments {
        let bench = Bench::new();
        let function = bench.declare("f", &example("exclamation"), "in", "out", "");
        let args = ["run", "--ephemeral", "--no-filter", "--engine-dir", "engine"];
        let mut run = bench.command().args(args).arg(&function).spawn().unwrap();
        eventually_blocking(&format!("code {moment}"), Duration::from_secs(60), || {
            compiled(&bench).iter().any(|name| is_reached(name))
        });
        run.kill().unwrap();
        run.wait().unwrap();
        for _ in 0..2 {
            let output =
                bench.filter(&["--ephemeral", "--engine-dir", "engine", function.to_str().unwrap()], b"a\nb\n");
            assert!(output.status.success(), "{}", text(&output.stderr));
            assert_eq!(text(&output.stdout), "a!\nb!\n");
        }
    }
}
