use std::io;
use std::path::PathBuf;

use pulselet_api::{Digest, World};

use crate::artifacts::ArtifactError;
use crate::compile::CompileError;
use crate::inspect::{InspectError, Quoted};

/// Why an engine did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The store cannot be used.
    #[error("open component store {}; see that this user owns the folder and may write to it", .path.display())]
    Store {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The key that compiled code is authenticated with cannot be trusted.
    #[error("key of compiled code {}: {reason}; or remove it: everything is compiled again then", .path.display())]
    Key {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// None wanted.
    #[error("max instances is 0; allow at least one")]
    NoInstances,
    /// More wanted than this process can hold.
    #[error("{wanted} instances do not fit into this process: {limit} allows {possible}; ask for fewer, or raise it")]
    TooManyInstances {
        /// As asked.
        wanted: u32,
        /// What fits.
        possible: u64,
        /// What they do not fit into.
        limit: &'static str,
    },
    /// The processor or the system lacks something, or the address space is limited (`ulimit -v`).
    #[error("set up wasmtime: {0}; lower max instances if address space is limited")]
    Wasmtime(String),
    /// The epoch thread did not start.
    #[error("start the epoch thread")]
    Thread(#[source] io::Error),
}

impl StartError {
    /// Stable name of the error, for logs and conditions.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Store { .. } => "E2050",
            Self::NoInstances => "E2051",
            Self::TooManyInstances { .. } => "E2052",
            Self::Wasmtime(_) => "E2053",
            Self::Thread(_) => "E2054",
            Self::Key { .. } => "E2055",
        }
    }
}

/// Why a component was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AssignError {
    /// Its bytes could not be had.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// Its bytes are not one of our components.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// It belongs to the other world than declared.
    #[error("the component is of world `{}`, declared is `{}`; correct spec.wasm.world", world_name(.found), world_name(.declared))]
    World {
        /// As declared.
        declared: World,
        /// As exported.
        found: World,
    },
    /// It imports what nobody provides.
    #[error("the component imports {}, which this host does not provide; remove what uses it", Quoted(.0))]
    UnknownImports(Vec<String>),
    /// It was built for WASI 0.3.
    #[error("the component imports {} of WASI 0.3, which is not supported yet; build it for WASI 0.2", Quoted(.0))]
    Wasi03(Vec<String>),
    /// It imports what its declaration does not grant.
    #[error("the component imports {}, which its declaration does not grant; declare {granted_by}", Quoted(.imports))]
    NotGranted {
        /// What it imports.
        imports: Vec<String>,
        /// What would grant it.
        granted_by: &'static str,
    },
    /// There is no code of it: it does not compile, takes too much to compile, or its code could not be kept.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// It uses a known interface in a way that it does not have, such as a function of a later version.
    #[error("the component does not fit this host: {0}; build it against the interfaces that the contract names")]
    Link(String),
    /// It needs more at its start than its limits allow.
    #[error("the component starts with {needed} {of}, {allowed} are allowed; raise {field}")]
    Limit {
        /// At its start.
        needed: u64,
        /// Of what.
        of: &'static str,
        /// As declared.
        allowed: u64,
        /// Where it is declared.
        field: &'static str,
    },
    /// An instance of it takes more than the whole engine has.
    #[error(
        "an instance of the component takes the place of {needed} instances, this engine has room for {room}; raise max instances"
    )]
    TooBig {
        /// Places it takes.
        needed: u32,
        /// Places there are.
        room: u32,
    },
    /// Its code could not be loaded for a trial, though it was compiled just now.
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl AssignError {
    /// Stable name of the error, for logs and conditions.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Artifact(error) => error.code(),
            Self::Inspect(error) => error.code(),
            Self::World { .. } => "E2020",
            Self::UnknownImports(_) => "E2021",
            Self::Wasi03(_) => "E2022",
            Self::NotGranted { .. } => "E2023",
            Self::Compile(error) => error.code(),
            Self::Link(_) => "E2025",
            Self::Limit { .. } => "E2026",
            Self::TooBig { .. } => "E2027",
            Self::Load(error) => error.code(),
        }
    }
}

/// Why an assigned component was not loaded.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// As many components are loaded as this process can hold.
    #[error(
        "{budget} components are loaded, which is all this process can hold; raise vm.max_map_count or RLIMIT_NOFILE"
    )]
    Full {
        /// How many.
        budget: u32,
    },
    /// The compiled code is gone or unusable; if it was unusable it has been set aside. It is made anew with the next
    /// [`Assigned::load_or_restore`](crate::Assigned::load_or_restore).
    #[error("compiled code of {component} in {} does not load: {reason}", .path.display())]
    Code {
        /// Which component.
        component: Digest,
        /// Where its code should be.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl LoadError {
    /// Stable name of the error, for logs and conditions.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Full { .. } => "E2040",
            Self::Code { .. } => "E2041",
        }
    }
}

fn world_name(world: &World) -> &'static str {
    match world {
        World::Function => "function",
        World::BatchFunction => "batch-function",
    }
}
