use std::io;
use std::path::PathBuf;

/// Why a broker could not be opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process, or another broker of this one, has the folder open.
    #[error("data folder {} is in use by another process: stop it, or choose another folder", .folder.display())]
    InUse {
        /// The data folder.
        folder: PathBuf,
    },
    /// The data was written by a later version.
    #[error("data in {location} is of format {found}, but this version reads up to {supported}: use the later version")]
    Newer {
        /// The file.
        location: String,
        /// Its format.
        found: u64,
        /// The highest format that is understood.
        supported: u64,
    },
    /// The bytes make no sense.
    #[error("data in {location} is damaged ({detail}): restore it from a backup, or move it away to start empty")]
    Damaged {
        /// The file.
        location: String,
        /// What was found.
        detail: String,
    },
    /// The folder or its files may not be written.
    #[error("data folder {} cannot be written: give this user the right to, or choose another folder", .folder.display())]
    ReadOnly {
        /// The data folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no room.
    #[error("no space is left for {location}: make room and try again")]
    Full {
        /// The file.
        location: String,
        /// What the system said.
        source: io::Error,
    },
    /// Something else is there.
    #[error("{} is not a data folder ({detail}): choose another one", .folder.display())]
    NotADataFolder {
        /// What was given.
        folder: PathBuf,
        /// What was found.
        detail: String,
    },
    /// Anything else that the system said.
    #[error("open {location}")]
    Io {
        /// The file or folder.
        location: String,
        /// What the system said.
        source: io::Error,
    },
}

impl OpenError {
    /// A name for the kind of error, which never changes.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InUse { .. } => "E3001",
            Self::Newer { .. } => "E3002",
            Self::Damaged { .. } => "E3003",
            Self::ReadOnly { .. } => "E3004",
            Self::Full { .. } => "E3005",
            Self::NotADataFolder { .. } => "E3006",
            Self::Io { .. } => "E3007",
        }
    }
}
