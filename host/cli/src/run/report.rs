//! What a person is told, on stderr: stdout belongs to the messages.

use std::time::Duration;

use pulselet_runner::Deployment;

use super::RunArgs;
use super::filter::Fed;
use crate::output::say;

/// Functions are subscribed and wait for messages.
pub(crate) fn serving(deployments: &[Deployment], args: &RunArgs) {
    for deployment in deployments {
        let function = deployment.function();
        let state = if function.paused { "paused" } else { "ready" };
        let inputs = match &function.inputs {
            pulselet_api::Inputs::Topics(topics) => {
                topics.iter().map(|topic| topic.as_str()).collect::<Vec<_>>().join(", ")
            }
            pulselet_api::Inputs::Pattern(pattern) => pattern.as_str().to_owned(),
        };
        let output = function.output.as_ref().map_or("-", |output| output.topic.as_str());
        say!("{} {state}: {inputs} -> {output}", function.name);
    }
    if !args.ephemeral {
        say!("data in {}; stop with Ctrl-C", args.data.display());
    }
}

/// A filter is through.
pub(crate) fn filtered(fed: &Fed, deployments: &[Deployment], took: Duration) {
    let rate = fed.lines as f64 / took.as_secs_f64().max(1e-9);
    say!("{} lines in, {} lines out, {} ({rate:.0} lines/s)", fed.lines, fed.printed, seconds(took));
    if fed.refused > 0 {
        say!("{} lines were left out because they are too long", fed.refused);
    }
    for deployment in deployments {
        let status = deployment.status();
        let sum = |of: fn(&pulselet_runner::ReplicaStatus) -> u64| status.iter().map(of).sum::<u64>();
        let cold = status.iter().filter_map(|status| status.last_cold_start).max();
        let cold = cold.map_or_else(|| "never called".to_owned(), |cold| format!("cold start {}", seconds(cold)));
        say!(
            "  {}: {} messages, {} failed calls, {} dead letters, {} dropped, {cold}",
            deployment.function().name,
            sum(|s| s.processed),
            sum(|s| s.failed),
            sum(|s| s.dead_letters),
            sum(|s| s.dropped),
        );
    }
}

fn seconds(duration: Duration) -> String {
    match duration.as_secs_f64() {
        seconds if seconds < 0.01 => format!("{:.3} ms", seconds * 1e3),
        seconds => format!("{seconds:.2} s"),
    }
}
