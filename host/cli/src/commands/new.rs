use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;

use crate::output::{self, Output};

/// Begin a function: a crate with a unit test and a declaration
#[derive(Args, Debug)]
#[command(after_long_help = "\
Example:
    pulselet new shout
    cd shout
    pulselet test .
    pulselet build .
    echo hello | pulselet run --ephemeral function.yaml")]
pub(crate) struct NewArgs {
    /// Name of the function, and of the folder that is made for it
    name: String,
    /// Use the SDK in this folder instead of the released one
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

/// Files of a new function; `NAME` stands for its name, `CRATE` for the name of its crate in Rust, `SDK` for where the
/// SDK is.
const FILES: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("../../template/Cargo.toml.txt")),
    ("src/lib.rs", include_str!("../../template/lib.rs.txt")),
    ("function.yaml", include_str!("../../template/function.yaml.txt")),
    ("README.md", include_str!("../../template/README.md.txt")),
    (".gitignore", "/target\n/pulselet-data\n"),
];

pub(crate) fn run(args: &NewArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let name = &args.name;
    check_name(name)?;
    let folder = Path::new(name);
    if folder.exists() {
        bail!("{name} exists already: choose another name, or remove it");
    }
    let sdk = sdk(args.sdk.as_deref())?;
    for (path, template) in FILES {
        let path = folder.join(path);
        let text = template.replace("{NAME}", name).replace("{CRATE}", &name.replace('-', "_")).replace("{SDK}", &sdk);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    }
    output.show(&json!({ "function": name, "folder": folder }), |_| {
        format!("{name}/ is a function; next: cd {name} && pulselet test .\n")
    })?;
    output::done()
}

/// The rules of cargo and of declarations at once.
fn check_name(name: &str) -> anyhow::Result<()> {
    let is_inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let is_name = name.len() <= 63
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.bytes().all(is_inner);
    if !is_name {
        bail!(
            "{name:?} is not a name for a function: use at most 63 lower-case letters, digits and `-`, beginning with a \
             letter and not ending with `-`"
        );
    }
    if ["test", "core", "std", "alloc", "pulselet"].contains(&name) {
        bail!("{name:?} is the name of another crate: choose another one");
    }
    Ok(())
}

/// Where the SDK is, as cargo wants it: the given folder, else the one this program was built beside, else a release.
fn sdk(given: Option<&Path>) -> anyhow::Result<String> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guest-sdk/rust");
    let folder = match given {
        Some(folder) if !folder.join("Cargo.toml").is_file() => {
            bail!("{} is not the folder of the SDK: it has no Cargo.toml", folder.display())
        }
        Some(folder) => Some(folder),
        None => Some(beside.as_path()).filter(|folder| folder.join("Cargo.toml").is_file()),
    };
    Ok(match folder {
        Some(folder) => format!("path = {:?}", folder.canonicalize()?.display().to_string()),
        None => format!("version = {:?}", env!("CARGO_PKG_VERSION")),
    })
}
