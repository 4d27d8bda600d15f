use std::process::ExitCode;

use clap::Args;

use crate::admin::Access;
use crate::admin::wire::FunctionState;
use crate::args::DataArgs;
use crate::output::{self, Output, seconds, table};

/// Show the functions that run, and what they hold in memory
#[derive(Args, Debug)]
#[command(after_long_help = "\
STATE is `live` with an instance, `loaded` with code in memory, `assigned` with code on disk only, or `paused`.
CODE is who compiled it and how many KiB are on disk, MEMORY what keeping it loaded takes, by estimate.

Examples:
    pulselet ps
    pulselet ps --output json | jq '.[] | select(.conditions != [])'")]
pub(crate) struct PsArgs {
    #[command(flatten)]
    data: DataArgs,
}

pub(crate) async fn run(args: PsArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let mut client = Access::running(&args.data.data).await?;
    let functions = client.functions().await?;
    output.show(&functions, |functions| {
        let head =
            ["FUNCTION", "STATE", "READY", "INSTANCES", "CODE", "MEMORY", "PROCESSED", "FAILED", "COLD", "LAST COLD"];
        let rows: Vec<_> = functions.iter().map(row).collect();
        let conditions = functions.iter().flat_map(|function| {
            let name = &function.function;
            function.conditions.iter().map(move |c| format!("{name}: {} ({}): {}\n", c.kind, c.reason, c.message))
        });
        let conditions: String = conditions.collect();
        let gap = if conditions.is_empty() { "" } else { "\n" };
        format!("{}{gap}{conditions}", table(&head, &rows))
    })?;
    output::done()
}

fn row(function: &FunctionState) -> Vec<String> {
    let kib = |bytes: u64| format!("{} KiB", bytes.div_ceil(1_024));
    let memory = if function.loaded_bytes == 0 { "-".to_owned() } else { kib(function.loaded_bytes) };
    let cold = function.last_cold_start_seconds.map_or_else(|| "-".to_owned(), seconds);
    vec![
        function.function.clone(),
        function.state.clone(),
        format!("{}/{}", function.ready, function.replicas),
        function.instances.to_string(),
        format!("{} {}", function.tier.as_deref().unwrap_or("-"), kib(function.code_bytes)),
        memory,
        function.processed.to_string(),
        function.failed.to_string(),
        function.cold_starts.to_string(),
        cold,
    ]
}
