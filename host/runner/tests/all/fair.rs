//! How functions share a guest thread. What is compared is the processor time that they are counted to have used.

use std::time::Duration;

use pulselet_broker::batch::{Batch, BatchBuilder, Outgoing};
use pulselet_broker::{Producer, ProducerOptions};
use pulselet_runner::Deployment;
use pulselet_test_support::{eventually, guest};

use crate::rig::{Rig, SOON, topic};

/// Of the engine, by default.
const TICK: Duration = Duration::from_millis(2);
/// Longer than any of these tests takes.
const NO_TIMEOUT: &str = "timeout: 600000";

impl Rig {
    /// A function that reads the topic `in-NAME` and answers to `out-NAME`.
    pub(crate) async fn deploy_named(&self, name: &str, spec: &str) -> Deployment {
        let component = guest("probe-plain");
        let text = format!(
            "apiVersion: pulselet.dev/v1alpha1\nkind: Function\nmetadata: {{name: {name}}}\nspec:\n  wasm: {{location: {}}}\n  input: {{topics: [in-{name}]}}\n  output: {{topic: out-{name}}}\n  {spec}\n",
            component.display(),
        );
        let declared = pulselet_api::parse(&text, "test").unwrap_or_else(|errors| panic!("{errors}\n{text}"));
        let deployment = self.runner.deploy(declared[0].resolved.clone(), self.dir.path()).await.unwrap();
        assert!(deployment.ready().await, "{:?}", deployment.status());
        deployment
    }

    async fn to(&self, name: &str) -> Box<dyn Producer> {
        let options = ProducerOptions { topic: topic(&format!("in-{name}")), name: None, initial_subscription: None };
        self.broker.produce(options).await.unwrap()
    }

    /// Gives a function so many messages at once.
    pub(crate) async fn give(&self, name: &str, payload: &str, count: usize) {
        let producer = self.to(name).await;
        let message = Outgoing { payload: payload.as_bytes(), ..Outgoing::default() };
        for left in (0..count).step_by(1_000).map(|sent| (count - sent).min(1_000)) {
            let mut batch = BatchBuilder::new();
            (0..left).for_each(|_| batch.push(&message));
            producer.send(batch.finish().unwrap()).await.unwrap();
        }
        producer.close().await.unwrap();
    }

    fn cpu_of(&self, name: &str) -> f64 {
        let (metrics, label) = (self.metrics(), format!("name=\"{name}\""));
        let mut lines = metrics.lines().filter(|line| line.starts_with("pulselet_function_cpu_seconds_total{"));
        let line = lines.find(|line| line.contains(&label)).unwrap_or_else(|| panic!("{name} is not in {metrics}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    fn cpu_of_all<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Vec<f64> {
        names.into_iter().map(|name| self.cpu_of(name)).collect()
    }
}

/// What each has used from when all are under way until together they have used `seconds`.
async fn shares(rig: &Rig, names: &[&str], seconds: f64) -> Vec<f64> {
    let busy = || async {
        let used = rig.cpu_of_all(names.iter().copied());
        if used.iter().all(|used| *used > 0.02) { Ok(used) } else { Err(used) }
    };
    let start = eventually("all are busy", SOON, busy).await;
    let enough = || async {
        let used: Vec<f64> = rig.cpu_of_all(names.iter().copied()).iter().zip(&start).map(|(a, b)| a - b).collect();
        if used.iter().sum::<f64>() >= seconds { Ok(used) } else { Err(used) }
    };
    eventually("they have used enough", SOON, enough).await
}

fn spread(used: &[f64]) -> f64 {
    used.iter().copied().fold(0.0, f64::max) / used.iter().copied().fold(f64::MAX, f64::min)
}

#[tokio::test]
async fn busy_functions_share_a_thread_evenly_whatever_the_length_of_their_calls() {
    let rig = Rig::new();
    let mut functions = Vec::new();
    for (name, payload, count) in [
        ("short", "spin 1000", 100_000),
        ("long", "spin 900000", 5_000),
        ("endless", "loop", 1),
        ("tick", "spin 2000000", 2_000),
    ] {
        functions.push(rig.deploy_named(name, NO_TIMEOUT).await);
        rig.give(name, payload, count).await;
    }
    let used = shares(&rig, &["short", "long", "endless", "tick"], 1.0).await;
    assert!(spread(&used) <= 1.5, "{used:?}");
}

#[tokio::test]
async fn a_function_that_makes_many_calls_at_once_has_no_more_of_the_thread_than_others() {
    let rig = Rig::new();
    let _one = rig.deploy_named("one", NO_TIMEOUT).await;
    let _many = rig.deploy_named("many", &format!("{NO_TIMEOUT}\n  concurrency: 8")).await;
    rig.give("many", "loop", 8).await;
    rig.give("one", "loop", 1).await;
    let used = shares(&rig, &["one", "many"], 0.5).await;
    assert!(spread(&used) <= 1.5, "{used:?}");
}

#[tokio::test]
async fn calls_that_are_broken_off_and_made_again_have_no_more_of_the_thread_than_others() {
    let rig = Rig::new();
    let _good = rig.deploy_named("good", NO_TIMEOUT).await;
    let _late = rig.deploy_named("late", "timeout: 5\n  maxMessageRetry: 0\n  deadLetterTopic: bad").await;
    let _traps = rig.deploy_named("traps", "maxMessageRetry: 0\n  deadLetterTopic: bad").await;
    rig.give("late", "loop", 1_000).await;
    rig.give("traps", "trap", 20_000).await;
    rig.give("good", "spin 100000", 50_000).await;
    let used = shares(&rig, &["good", "late", "traps"], 0.7).await;
    assert!(spread(&used) <= 1.5, "{used:?}");
}

#[tokio::test]
async fn a_neighbour_of_functions_that_compute_for_ever_waits_for_a_tick_of_each_at_most() {
    let rig = Rig::new();
    let neighbour = rig.deploy_named("neighbour", "").await;
    let (producer, mut answers) = (rig.to("neighbour").await, rig.read("out-neighbour").await);
    let mut functions = vec![neighbour];
    let names: Vec<String> = (0..6).map(|number| format!("endless-{number}")).collect();
    for name in &names {
        functions.push(rig.deploy_named(name, NO_TIMEOUT).await);
        rig.give(name, "loop", 1).await;
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let spinning = || async { rig.cpu_of_all(names.iter().copied()).iter().all(|used| *used > 0.01) };
    eventually("all are busy", SOON, spinning).await;
    let before: f64 = rig.cpu_of_all(names.iter().copied()).iter().sum();
    let rounds = 50;
    for _ in 0..rounds {
        let message = Outgoing { payload: b"a", ..Outgoing::default() };
        producer.send(Batch::single(&message, None)).await.unwrap();
        assert_eq!(answers.texts(1).await, ["a"]);
    }
    let after: f64 = rig.cpu_of_all(names.iter().copied()).iter().sum();
    let ticks = (after - before) / f64::from(rounds) / TICK.as_secs_f64();
    assert!(ticks <= 1.0 + names.len() as f64, "they had {ticks} ticks while a message was answered");
}

#[tokio::test]
async fn a_function_is_counted_the_processor_time_of_its_calls_and_none_while_it_has_none() {
    let rig = Rig::new();
    let _idle = rig.deploy_named("idle", "").await;
    let _busy = rig.deploy_named("busy", "").await;
    rig.give("busy", "spin 1000000", 200).await;
    assert_eq!(rig.read("out-busy").await.texts(200).await, ["1000000"; 200]);
    eventually("the last turn is counted", SOON, || async {
        let (busy, idle) = (rig.cpu_of("busy"), rig.cpu_of("idle"));
        if busy > 0.02 && idle < busy / 20.0 { Ok(()) } else { Err((busy, idle)) }
    })
    .await;
}
