//! `pulselet build`: cargo does the work; this finds what it wrote, looks at it, and says what is missing where it fails.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, bail};
use clap::Args;
use serde::Deserialize;

use crate::component::{Component, size};
use crate::output::{self, Output};

/// Where components are built for.
const TARGET: &str = "wasm32-wasip2";

/// Build a function into a component
#[derive(Args, Debug)]
#[command(after_long_help = "\
Runs `cargo build --release --target wasm32-wasip2` in the folder, looks at what it wrote, and prints its path, digest and
size. It is the same component that cargo alone would build.

Examples:
    pulselet build
    pulselet build examples/exclamation --output json | jq -r '.[0].path'")]
pub(crate) struct BuildArgs {
    /// Folder of the function's crate
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

pub(crate) fn run(args: &BuildArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let built = build(&args.dir)?;
    let components = built.iter().map(|path| Component::read(path)).collect::<anyhow::Result<Vec<_>>>()?;
    output.show(&components, |components| {
        components
            .iter()
            .map(|it| format!("{}  {}  {}  {}\n", it.path.display(), it.digest, size(it.size_bytes), it.world))
            .collect()
    })?;
    output::done()
}

/// Builds the crate in `dir`; returns the components it wrote, at least one.
///
/// # Errors
/// When something that is needed is not installed, the crate does not build, or it is none that gives a component.
pub(crate) fn build(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    check_folder(dir)?;
    check_target(dir)?;
    let mut cargo = cargo(dir);
    cargo.args(["build", "--release", "--target", TARGET, "--message-format", "json-render-diagnostics"]);
    // Cargo shows its progress and what is wrong on stderr.
    let mut child = cargo.stdout(Stdio::piped()).spawn().with_context(|| missing("cargo"))?;
    let stdout = child.stdout.take().context("cargo has no stdout")?;
    let mut built = Vec::new();
    for line in BufReader::new(stdout).lines() {
        if let Ok(Message { filenames }) = serde_json::from_str(&line?) {
            built.extend(filenames.into_iter().filter(|path| path.extension().is_some_and(|name| name == "wasm")));
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("cargo did not build the function in {} ({status}); see above", dir.display());
    }
    if built.is_empty() {
        bail!(
            "the crate in {} gives no component: its Cargo.toml needs `[lib]` with `crate-type = [\"cdylib\"]`",
            dir.display()
        );
    }
    Ok(built)
}

/// What cargo says of a crate it has built; other messages have no file names.
#[derive(Deserialize)]
struct Message {
    filenames: Vec<PathBuf>,
}

/// Cargo, in `dir`, without flags that are meant for other targets.
pub(crate) fn cargo(dir: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(dir).env_remove("CARGO_BUILD_TARGET");
    cargo
}

pub(crate) fn check_folder(dir: &Path) -> anyhow::Result<()> {
    if !dir.join("Cargo.toml").is_file() {
        bail!(
            "{} is not the folder of a crate: it has no Cargo.toml; name another folder, or begin with `pulselet new`",
            dir.display()
        );
    }
    Ok(())
}

/// Cargo's own message about a missing target is long and does not name the way out where rustup is not used.
fn check_target(dir: &Path) -> anyhow::Result<()> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let asked = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .current_dir(dir)
        .output()
        .with_context(|| missing("rustc"))?;
    let libraries = PathBuf::from(String::from_utf8_lossy(&asked.stdout).trim());
    if asked.status.success() && !libraries.is_dir() {
        bail!("Rust's standard library for {TARGET} is not installed: run `rustup target add {TARGET}`");
    }
    Ok(())
}

fn missing(program: &str) -> String {
    format!("start {program}: Rust is needed to build functions; install it from https://rustup.rs")
}
