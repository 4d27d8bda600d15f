//! Components in files.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use pulselet_api::{Digest, Guarantee, Location, Resolved, World};
use pulselet_engine::{ArtifactError, AssignError, Grants, ImportClass, Inspection, inspect};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// What can be told of a component from its file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Component {
    pub(crate) path: PathBuf,
    pub(crate) digest: String,
    pub(crate) size_bytes: u64,
    pub(crate) world: &'static str,
    pub(crate) imports: Vec<Imported>,
    /// What a declaration must say so that it gets what it imports.
    pub(crate) needs: Vec<&'static str>,
    /// Whether there is nothing in it that cannot be granted.
    pub(crate) can_run: bool,
    #[serde(skip)]
    inspection: Inspection,
}

/// Something imported.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Imported {
    pub(crate) name: String,
    pub(crate) class: String,
    pub(crate) granted_by: Option<&'static str>,
}

impl Component {
    /// Reads a component and looks at it.
    ///
    /// # Errors
    /// When the file cannot be read, or is not a component of ours.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        if path.is_dir() {
            bail!("{} is a folder: name the .wasm file that your build wrote", path.display());
        }
        let bytes = fs::read(path).with_context(|| format!("read {}", path.display()))?;
        let inspection = inspect(&bytes).with_context(|| path.display().to_string())?;
        let imports = inspection.imports.iter().map(|import| Imported {
            name: import.name.clone(),
            class: import.class.to_string(),
            granted_by: import.class.granted_by(),
        });
        let is_imported = |class: ImportClass| inspection.imports_of(class).next().is_some();
        let needs = ImportClass::ALL.into_iter().filter(|class| is_imported(*class));
        Ok(Self {
            path: path.to_owned(),
            digest: digest(&bytes).to_string(),
            size_bytes: inspection.size_bytes,
            world: world_name(inspection.world),
            imports: imports.collect(),
            needs: needs.filter_map(ImportClass::granted_by).collect(),
            can_run: !is_imported(ImportClass::Wasi03) && !is_imported(ImportClass::Unknown),
            inspection,
        })
    }

    /// The file a declaration names, if it names one and it is there.
    pub(crate) fn path_of(function: &Resolved, folder: &Path) -> Option<PathBuf> {
        match function.component.location.in_folder(folder) {
            Location::File(path) if path.exists() => Some(path),
            Location::File(_) | Location::Http(_) => None,
        }
    }

    /// Refuses what is not there, or cannot run as declared, as the engine would. A component that has to be fetched
    /// first is left to the engine, and so is the question whether the code is valid.
    ///
    /// # Errors
    /// The engine's.
    pub(crate) fn check(function: &Resolved, folder: &Path) -> Result<(), AssignError> {
        let declared = &function.component;
        let location = declared.location.in_folder(folder);
        let Location::File(path) = &location else { return Ok(()) };
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(ArtifactError::Missing(path.clone()).into());
            }
            Err(source) => return Err(ArtifactError::Read { path: path.clone(), source }.into()),
        };
        let found = digest(&bytes);
        if let Some(wanted) = declared.digest.filter(|wanted| *wanted != found) {
            return Err(ArtifactError::Digest { location, wanted, found }.into());
        }
        inspect(&bytes)?.admit(declared.world, grants(function))
    }

    /// What keeps the component from running as declared.
    pub(crate) fn objections(&self, function: &Resolved) -> Vec<String> {
        let mut objections = Vec::new();
        let declared = &function.component;
        if let Some(digest) = declared.digest.map(|digest| digest.to_string())
            && digest != self.digest
        {
            objections.push(format!(
                "the component's digest is {}, and spec.wasm.digest is {digest}; build it again, or correct the digest",
                self.digest
            ));
        }
        if let Some(world) = declared.world
            && world != self.inspection.world
        {
            objections.push(format!(
                "the component is of the world `{}`, and spec.wasm.world is `{}`; correct it, or leave it out",
                self.world,
                world_name(world)
            ));
        }
        let granted = grants(function);
        let has = |class: ImportClass| match class {
            ImportClass::Inert => true,
            ImportClass::Publish => granted.publish,
            ImportClass::Settle => granted.settle,
            ImportClass::Secrets => granted.secrets,
            ImportClass::Wasi03 | ImportClass::Unknown => false,
        };
        for import in self.inspection.imports.iter().filter(|import| !has(import.class)) {
            objections.push(match import.class.granted_by() {
                Some(field) => format!("the component imports `{}`, which needs {field}", import.name),
                None => format!(
                    "the component imports `{}`, which is {}: it cannot be granted; build it without",
                    import.name, import.class
                ),
            });
        }
        objections
    }

    /// For people.
    pub(crate) fn describe(&self) -> String {
        let mut text = format!(
            "{}\n  digest   {}\n  size     {}\n  world    {}\n",
            self.path.display(),
            self.digest,
            size(self.size_bytes),
            self.world
        );
        for class in ImportClass::ALL {
            let names: Vec<&str> = self.inspection.imports_of(class).collect();
            if names.is_empty() {
                continue;
            }
            let heading = match (class, class.granted_by()) {
                (ImportClass::Inert, _) => "imports that are always there and give nothing away".to_owned(),
                (_, Some(field)) => format!("imports granted by {field}"),
                (ImportClass::Wasi03, _) => {
                    "imports of WASI 0.3, which is not supported: it will be refused".to_owned()
                }
                _ => "imports that nobody can grant: it will be refused".to_owned(),
            };
            text.push_str(&format!("  {heading}\n"));
            text.extend(names.iter().map(|name| format!("    {name}\n")));
        }
        text
    }
}

fn digest(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// What a declaration grants.
fn grants(function: &Resolved) -> Grants {
    Grants {
        publish: !function.publish.is_empty(),
        settle: function.guarantee == Guarantee::Manual,
        secrets: !function.secrets.is_empty(),
    }
}

/// The name of a world as it is written in declarations.
pub(crate) fn world_name(world: World) -> &'static str {
    match world {
        World::Function => "function",
        World::BatchFunction => "batch-function",
    }
}

/// A number of bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    const KIB: f64 = 1024.0;
    match bytes as f64 {
        small if small < KIB => format!("{bytes} bytes"),
        some if some < KIB * KIB => format!("{:.1} KiB", some / KIB),
        many => format!("{:.1} MiB", many / KIB / KIB),
    }
}
