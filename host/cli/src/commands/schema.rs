use std::process::ExitCode;

use crate::output;

/// Prints the schema, which is JSON whatever form was asked for.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    output::print(&format!("{}\n", serde_json::to_string_pretty(&pulselet_api::schema())?))?;
    output::done()
}
