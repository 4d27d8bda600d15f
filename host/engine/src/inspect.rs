use std::fmt;

use pulselet_api::World;
use wasmparser::{Chunk, Encoding, Parser, Payload};

use crate::Grants;
use crate::import_class::{Import, ImportClass, Name};

/// What can be told of a component without compiling it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// What it is written against.
    pub world: World,
    /// What it imports, in its order.
    pub imports: Vec<Import>,
    /// Its size in bytes.
    pub size_bytes: u64,
}

impl Inspection {
    /// What must be declared so that it can run.
    pub fn needs(&self) -> Grants {
        let mut needs = Grants::default();
        for import in &self.imports {
            match import.class {
                ImportClass::Publish => needs.publish = true,
                ImportClass::Settle => needs.settle = true,
                ImportClass::Secrets => needs.secrets = true,
                ImportClass::Inert | ImportClass::Wasi03 | ImportClass::Unknown => {}
            }
        }
        needs
    }

    /// Imports of one class, by name.
    pub fn imports_of(&self, class: ImportClass) -> impl Iterator<Item = &str> {
        self.imports.iter().filter(move |import| import.class == class).map(|import| import.name.as_str())
    }
}

/// Why bytes are not a component that can run here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// Something else altogether.
    #[error("this is not WebAssembly: it starts with {0}; name the .wasm file that your build wrote")]
    NotWasm(FirstBytes),
    /// The end is missing.
    #[error("the component is cut off: its {size_bytes} bytes end in the middle of a section; copy or build it again")]
    Truncated {
        /// How much there is.
        size_bytes: u64,
    },
    /// It cannot be read.
    #[error("the component is damaged at byte {offset}: {reason}; build it again")]
    Malformed {
        /// Where reading failed.
        offset: u64,
        /// What was wrong there.
        reason: String,
    },
    /// A core module, not a component.
    #[error(
        "this is a core module, not a component; build it with `cargo build --target wasm32-wasip2`, or turn it into \
         a component with `wasm-tools component new`"
    )]
    CoreModule,
    /// It exports neither of our worlds.
    #[error(
        "the component exports {}, but neither `pulselet:function/handler@0.1.0` nor \
         `pulselet:function/batch-handler@0.1.0`; build it against world `function` or `batch-function`",
        Quoted(.exports)
    )]
    OtherWorld {
        /// What it exports instead.
        exports: Vec<String>,
    },
    /// It exports both of our worlds.
    #[error("the component exports both `handler` and `batch-handler`; export one of them")]
    BothWorlds,
}

impl InspectError {
    /// Stable name of the error, for logs and conditions.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotWasm(_) => "E2010",
            Self::Truncated { .. } => "E2011",
            Self::Malformed { .. } => "E2012",
            Self::CoreModule => "E2013",
            Self::OtherWorld { .. } => "E2014",
            Self::BothWorlds => "E2015",
        }
    }
}

/// How a file begins, shown as text where it is text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstBytes(Vec<u8>);

impl fmt::Display for FirstBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing, it is empty");
        }
        write!(f, "`{}`", self.0.escape_ascii())
    }
}

/// Names in a list, each in backquotes.
pub(crate) struct Quoted<'a>(pub(crate) &'a [String]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing");
        }
        for (index, name) in self.0.iter().enumerate() {
            write!(f, "{}`{name}`", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// Looks at a component: which world it belongs to and what it asks for. Reads the outermost sections only, so its cost
/// does not grow with the code; whether the code is valid is found out when it is compiled.
///
/// # Errors
/// When the bytes are no component, or not one of ours.
pub fn inspect(bytes: &[u8]) -> Result<Inspection, InspectError> {
    let outline = Outline::read(bytes)?;
    Ok(Inspection { world: outline.world()?, imports: outline.imports(), size_bytes: bytes.len() as u64 })
}

#[derive(Default)]
struct Outline {
    imports: Vec<String>,
    exports: Vec<String>,
}

impl Outline {
    fn read(bytes: &[u8]) -> Result<Self, InspectError> {
        const MAGIC: &[u8] = b"\0asm";
        if !bytes.starts_with(MAGIC) {
            return Err(InspectError::NotWasm(FirstBytes(bytes.iter().take(8).copied().collect())));
        }
        let truncated = InspectError::Truncated { size_bytes: bytes.len() as u64 };
        let malformed = |error: wasmparser::BinaryReaderError| InspectError::Malformed {
            offset: error.offset() as u64,
            reason: error.message().to_owned(),
        };
        let mut outline = Self::default();
        let mut parser = Parser::new(0);
        let mut rest = bytes;
        while !rest.is_empty() {
            // Told that more may come, the parser says whether bytes are missing or wrong.
            let (consumed, payload) = match parser.parse(rest, false).map_err(malformed)? {
                Chunk::NeedMoreData(_) => return Err(truncated),
                Chunk::Parsed { consumed, payload } => (consumed, payload),
            };
            let nested = match payload {
                Payload::Version { encoding: Encoding::Module, .. } => return Err(InspectError::CoreModule),
                Payload::ModuleSection { unchecked_range, .. } | Payload::ComponentSection { unchecked_range, .. } => {
                    unchecked_range.end - unchecked_range.start
                }
                Payload::ComponentImportSection(section) => {
                    for import in section {
                        outline.imports.push(import.map_err(malformed)?.name.name.to_owned());
                    }
                    0
                }
                Payload::ComponentExportSection(section) => {
                    for export in section {
                        outline.exports.push(export.map_err(malformed)?.name.name.to_owned());
                    }
                    0
                }
                Payload::UnknownSection { id, range, .. } => {
                    let reason = format!("section {id} is of no kind that a component has");
                    return Err(InspectError::Malformed { offset: range.start as u64, reason });
                }
                Payload::End(_) => break,
                _ => 0,
            };
            rest = rest.get(consumed + nested..).ok_or_else(|| truncated.clone())?;
        }
        Ok(outline)
    }

    fn world(&self) -> Result<World, InspectError> {
        let exports = |interface: &str| self.exports.iter().any(|name| Name::parse(name).is_ours(interface));
        match (exports("handler"), exports("batch-handler")) {
            (true, false) => Ok(World::Function),
            (false, true) => Ok(World::BatchFunction),
            (true, true) => Err(InspectError::BothWorlds),
            (false, false) => Err(InspectError::OtherWorld { exports: self.exports.clone() }),
        }
    }

    fn imports(&self) -> Vec<Import> {
        self.imports.iter().map(|name| Import { class: ImportClass::of(name), name: name.clone() }).collect()
    }
}
