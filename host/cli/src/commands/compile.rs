use std::ffi::OsString;
use std::process::ExitCode;

use clap::Args;
use pulselet_engine::CompileRequest;

/// Compile one component for a running pulselet, which starts this by itself
#[derive(Args, Debug)]
pub(crate) struct CompileArgs {
    /// Compiler, processors, limits, digest, component and output, in the order that pulselet gives them
    #[arg(value_name = "REQUEST", num_args = 0.., allow_hyphen_values = true)]
    request: Vec<OsString>,
}

/// Ends with the status that whoever started it understands.
pub(crate) fn run(args: &CompileArgs) -> ExitCode {
    CompileRequest::serve(&args.request)
}
