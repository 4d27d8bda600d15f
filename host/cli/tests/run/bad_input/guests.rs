//! Functions that misbehave, beside a healthy one that shares their only thread.

use std::process::Command;

use pulselet_test_support::{eventually_blocking, example, guest};

use super::PATIENCE;
use crate::pulselet::{Bench, Running, text};

/// A process with a function that does what it is told, and `good`, which does what it should.
struct Neighbours {
    bench: Bench,
    run: Running,
}

impl Neighbours {
    fn start(spec: &str) -> Self {
        let bench = Bench::new();
        let spec = format!("publish: [more]\nmaxMessageRetry: 0\ndeadLetterTopic: dead\n{spec}");
        let bad = bench.declare("bad", &guest("probe-publish"), "bad-in", "bad-out", &spec);
        let good = bench.declare("good", &example("exclamation"), "in", "out", "");
        let mut run = bench.command();
        run.args(["run", "--data", "data", "--guest-threads", "1", "--no-filter"]).arg(bad).arg(good);
        // What it says goes to a file, which takes whatever a guest writes.
        run.stderr(std::fs::File::create(bench.dir.path().join("stderr")).unwrap());
        let neighbours = Self { run: Running(run.spawn().unwrap()), bench };
        eventually_blocking("it is ready", PATIENCE, || {
            let said = neighbours.said();
            if said.contains("bad ready") && said.contains("good ready") { Ok(()) } else { Err(said) }
        });
        neighbours
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.bench.dir.path().join("stderr")).unwrap()
    }

    fn eventually_holds(&self, topic: &str, messages: &str) {
        eventually_blocking(topic, PATIENCE, || match self.bench.messages(topic) {
            seen if seen == messages => Ok(()),
            seen => Err(seen),
        });
    }

    /// The command fails for this reason and leaves nothing but a dead letter; the next message is answered, and so is
    /// the neighbour's.
    fn fails(self, command: &str, reason: &str) {
        self.bench.send("bad-in", command);
        self.bench.send("in", "meanwhile");
        self.eventually_holds("out", "meanwhile!\n");
        self.eventually_holds("dead", &format!("{command}\n"));
        let dead = text(&self.bench.on_data(&["consume", "dead", "--output", "json"]).stdout);
        assert!(dead.contains(reason), "wanted {reason:?}\n{dead}");
        let said = self.said();
        assert!(said.contains("a call failed") && said.contains(reason), "wanted {reason:?}\n{said}");
        let bench = self.goes_on();
        assert!(bench.messages("more").contains("does not exist"), "its outputs are discarded");
    }

    /// Both functions answer, and the process ends as it should.
    fn goes_on(mut self) -> Bench {
        self.bench.send("bad-in", "fine");
        self.eventually_holds("bad-out", "fine\n");
        self.bench.send("in", "afterwards");
        eventually_blocking("the neighbour answers", PATIENCE, || match self.bench.messages("out") {
            seen if seen.ends_with("afterwards!\n") => Ok(()),
            seen => Err(seen),
        });
        assert!(Command::new("kill").arg(self.run.0.id().to_string()).status().unwrap().success());
        let status = eventually_blocking("it ends", PATIENCE, || self.run.0.try_wait().unwrap().ok_or("runs"));
        assert!(status.success(), "{status}\n{}", self.said());
        self.bench
    }
}

#[test]
fn a_function_that_traps_fails_alone() {
    Neighbours::start("").fails("trap", "trap: wasm `unreachable` instruction executed");
    Neighbours::start("").fails("panic oh no", "oh no");
}

#[test]
fn a_function_that_computes_for_ever_is_ended() {
    Neighbours::start("timeout: 500").fails("loop", "timed out after 500ms");
}

#[test]
fn a_function_that_computes_for_ever_leaves_the_thread_to_others_meanwhile() {
    let neighbours = Neighbours::start("timeout: 3600000");
    neighbours.bench.send("bad-in", "loop");
    neighbours.bench.send("in", "meanwhile");
    neighbours.eventually_holds("out", "meanwhile!\n");
    assert!(neighbours.bench.messages("dead").contains("does not exist"), "it still computes");
}

#[test]
fn a_function_that_takes_memory_without_end_fails_alone() {
    Neighbours::start("limits: {memory: 16Mi}").fails("alloc 1000000000", "raise spec.limits.memory");
}

#[test]
fn a_function_that_answers_100_mb_fails_alone() {
    Neighbours::start("").fails("return 100000000", "raise spec.limits.memory");
    Neighbours::start("limits: {memory: 512Mi}").fails("return 100000000", "spec.limits.outputBytes");
}

#[test]
fn an_answer_over_what_a_message_may_have_fails_alone() {
    Neighbours::start("").fails("return 8000000", "8000");
}

#[test]
fn a_function_that_floods_its_log_is_ended_and_the_log_stays_small() {
    let neighbours = Neighbours::start("timeout: 500\nlimits: {logLinesPerSecond: 100}");
    let stderr = neighbours.bench.dir.path().join("stderr");
    neighbours.bench.send("bad-in", "flood");
    neighbours.eventually_holds("dead", "flood\n");
    let bench = neighbours.goes_on();
    let lines = std::fs::read_to_string(stderr).unwrap().lines().filter(|line| line.contains("xxxx")).count();
    assert!((1..2_000).contains(&lines), "{lines} lines");
    assert!(text(&bench.on_data(&["consume", "dead", "--output", "json"]).stdout).contains("timed out"));
}

#[test]
fn a_function_that_publishes_for_ever_is_ended_and_nothing_of_it_is_published() {
    Neighbours::start("timeout: 500").fails("publish-for-ever more", "timed out after 500ms");
}

#[test]
fn a_function_that_publishes_at_once_for_ever_publishes_no_more_than_its_limit() {
    let neighbours = Neighbours::start("timeout: 5000\nlimits: {outputMessages: 20}");
    neighbours.bench.send("bad-in", "publish-now-for-ever more");
    neighbours.bench.send("in", "meanwhile");
    neighbours.eventually_holds("out", "meanwhile!\n");
    neighbours.eventually_holds("dead", "publish-now-for-ever more\n");
    assert_eq!(neighbours.bench.messages("more"), "more\n".repeat(20));
    neighbours.goes_on();
}
