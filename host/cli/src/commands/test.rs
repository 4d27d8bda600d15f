use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;

use super::build::{build, cargo, check_folder};
use crate::component::Component;
use crate::output::{self, Output, say};

/// Run a function's unit tests natively, then against the component
#[derive(Args, Debug)]
#[command(after_long_help = "\
The tests run twice, by `cargo test`: as native code, which is quick and can be debugged, and against the component that
is deployed. The component of the second run is in the environment variable PULSELET_COMPONENT.

Example:
    pulselet test .")]
pub(crate) struct TestArgs {
    /// Folder of the function's crate
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Arguments for `cargo test`
    #[arg(last = true, value_name = "ARGS")]
    cargo_args: Vec<String>,
}

pub(crate) fn run(args: &TestArgs, output: &Output) -> anyhow::Result<ExitCode> {
    check_folder(&args.dir)?;
    say!("{}", output.blue("native:"));
    cargo_test(args, &[])?;
    say!("{}", output.blue("component:"));
    let built = build(&args.dir)?;
    let [component] = built.as_slice() else {
        bail!("{} holds {} functions: name the folder of one", args.dir.display(), built.len());
    };
    Component::read(component)?;
    let this = std::env::current_exe().context("find this program")?;
    cargo_test(args, &[("PULSELET_COMPONENT", component.clone()), ("PULSELET_BIN", this)])?;
    output::done()
}

fn cargo_test(args: &TestArgs, variables: &[(&str, PathBuf)]) -> anyhow::Result<()> {
    let mut cargo = cargo(&args.dir);
    cargo.arg("test").args(&args.cargo_args);
    cargo.env_remove("PULSELET_COMPONENT").envs(variables.iter().map(|(name, value)| (name, value)));
    let status = cargo.status().context("start cargo: install Rust from https://rustup.rs")?;
    if !status.success() {
        let what = if variables.is_empty() { "natively" } else { "against the component" };
        bail!("the tests failed {what} ({status}); see above");
    }
    Ok(())
}
