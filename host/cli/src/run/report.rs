//! What is told on stderr, to people in sentences and to programs in JSON: stdout belongs to the messages.

use std::sync::Arc;
use std::time::Duration;

use pulselet_runner::{Deployment, ReplicaStatus};
use serde_json::{Value, json};

use super::RunArgs;
use super::filter::Fed;
use crate::output::{Output, say, seconds};

/// Functions are subscribed and wait for messages.
pub(crate) fn serving(deployments: &[Arc<Deployment>], args: &RunArgs, output: &Output) {
    for deployment in deployments {
        let function = deployment.function();
        let state = if function.paused { "paused" } else { "ready" };
        let inputs: Vec<&str> = match &function.inputs {
            pulselet_api::Inputs::Topics(topics) => topics.iter().map(|topic| topic.as_str()).collect(),
            pulselet_api::Inputs::Pattern(pattern) => vec![pattern.as_str()],
        };
        let answers = function.output.as_ref().map(|output| output.topic.as_str());
        let name = function.name.to_string();
        if output.is_json() {
            say!("{}", json!({ "function": name, "state": state, "inputs": inputs, "output": answers }));
        } else {
            say!("{name} {state}: {} -> {}", inputs.join(", "), answers.unwrap_or("-"));
        }
    }
    if !args.ephemeral && !output.is_json() {
        say!("data in {}; stop with Ctrl-C", args.data.display());
    }
}

/// A filter is through.
pub(crate) fn filtered(fed: &Fed, deployments: &[Arc<Deployment>], took: Duration, output: &Output) {
    let sums: Vec<Sums> = deployments.iter().map(|deployment| Sums::of(deployment)).collect();
    if output.is_json() {
        let functions: Vec<Value> = sums.iter().map(Sums::to_json).collect();
        let (lines, printed, refused) = (fed.lines, fed.printed, fed.refused);
        let seconds = took.as_secs_f64();
        let report = json!({ "linesIn": lines, "linesOut": printed, "tooLong": refused, "seconds": seconds, "functions": functions });
        say!("{report}");
        return;
    }
    let rate = fed.lines as f64 / took.as_secs_f64().max(1e-9);
    say!("{} lines in, {} lines out, {} ({rate:.0} lines/s)", fed.lines, fed.printed, seconds(took.as_secs_f64()));
    if fed.refused > 0 {
        say!("{} lines were left out because they are too long", fed.refused);
    }
    for sums in sums {
        let Sums { name, processed, failed, dead_letters, dropped, cold_start } = sums;
        let cold = cold_start
            .map_or_else(|| "never called".to_owned(), |cold| format!("cold start {}", seconds(cold.as_secs_f64())));
        say!(
            "  {name}: {processed} messages, {failed} failed calls, {dead_letters} dead letters, {dropped} dropped, {cold}"
        );
    }
}

/// The numbers of a function, over its replicas.
struct Sums {
    name: String,
    processed: u64,
    failed: u64,
    dead_letters: u64,
    dropped: u64,
    /// The longest.
    cold_start: Option<Duration>,
}

impl Sums {
    fn of(deployment: &Deployment) -> Self {
        let status = deployment.status();
        let sum = |of: fn(&ReplicaStatus) -> u64| status.iter().map(of).sum::<u64>();
        Self {
            name: deployment.function().name.to_string(),
            processed: sum(|s| s.processed),
            failed: sum(|s| s.failed),
            dead_letters: sum(|s| s.dead_letters),
            dropped: sum(|s| s.dropped),
            cold_start: status.iter().filter_map(|status| status.last_cold_start).max(),
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "function": self.name, "processed": self.processed, "failed": self.failed,
            "deadLetters": self.dead_letters, "dropped": self.dropped,
            "coldStartSeconds": self.cold_start.map(|cold| cold.as_secs_f64()),
        })
    }
}
