use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::admin::Access;
use crate::admin::wire::{Changed, Update};
use crate::args::DataArgs;
use crate::output::Output;
use crate::{declarations, failure};

/// Give running functions new code or a new declaration
#[derive(Args, Debug)]
#[command(after_long_help = "\
The new component is compiled and loaded while the old one goes on. If only the component, its limits or how long
instances stay have changed, messages go over to it without a pause: calls under way end on the old code, the next
message runs the new. Anything else drains the function and starts it again. What cannot run changes nothing.

With `spec.rollback: {onErrors: N}` the new component is taken back by itself when N calls have failed within its
first 1,000 messages.

Examples:
    pulselet build . && pulselet update function.yaml
    pulselet rollback shout")]
pub(crate) struct UpdateArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Declarations of functions that run
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Put back what a function ran before its last update
#[derive(Args, Debug)]
#[command(after_long_help = "\
Example:
    pulselet rollback shout")]
pub(crate) struct RollbackArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Its name, or tenant/namespace/name
    #[arg(value_name = "FUNCTION")]
    function: String,
}

pub(crate) async fn run(args: UpdateArgs, output: &Output) -> anyhow::Result<ExitCode> {
    // Here first, so that what is wrong is shown with the lines it is in.
    declarations::read(&args.files)?;
    let mut client = Access::running(&args.data.data).await?;
    let mut changed = Vec::new();
    for file in &args.files {
        // The other process may be in another folder.
        let source = std::path::absolute(file)?;
        let text = std::fs::read_to_string(file)?;
        changed.extend(client.update(&Update { source, text }).await?);
    }
    tell(&changed, output)
}

pub(crate) async fn roll_back(args: RollbackArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let mut client = Access::running(&args.data.data).await?;
    let changed = client.rollback(&args.function).await?;
    tell(&[changed], output)
}

fn tell(changed: &[Changed], output: &Output) -> anyhow::Result<ExitCode> {
    output.show(&changed, |changed| {
        let line = |changed: &Changed| match (&changed.outcome, &changed.error) {
            (Some(outcome), _) => {
                format!("{} {outcome}: {}\n", changed.function, changed.digest.as_deref().unwrap_or_default())
            }
            (None, error) => format!(
                "{} not changed: {}{}\n",
                changed.function,
                changed.code.as_deref().map_or_else(String::new, |code| format!("[{code}] ")),
                error.as_deref().unwrap_or_default()
            ),
        };
        changed.iter().map(line).collect()
    })?;
    let failed: Vec<&Changed> = changed.iter().filter(|changed| changed.error.is_some()).collect();
    let is_of_component = |changed: &&Changed| changed.code.as_deref().is_some_and(failure::is_of_component);
    Ok(match failed.as_slice() {
        [] => ExitCode::SUCCESS,
        failed if failed.iter().all(is_of_component) => ExitCode::from(failure::BAD_COMPONENT),
        _ => ExitCode::FAILURE,
    })
}
