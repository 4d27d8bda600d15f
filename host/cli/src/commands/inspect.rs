use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::component::Component;
use crate::output::{self, Output};

/// Show what a component is and what it asks for
#[derive(Args, Debug)]
#[command(after_long_help = "\
Nothing is compiled or run. What a component asks for beyond the inert part must be granted by its declaration.

Examples:
    pulselet inspect shout.wasm
    pulselet inspect shout.wasm --output json | jq -r .digest")]
pub(crate) struct InspectArgs {
    /// The component
    #[arg(value_name = "X.wasm")]
    component: PathBuf,
}

pub(crate) fn run(args: &InspectArgs, output: &Output) -> anyhow::Result<ExitCode> {
    output.show(&Component::read(&args.component)?, Component::describe)?;
    output::done()
}
