use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pulselet_api::{ComponentRef, Digest, Location};
use sha2::{Digest as _, Sha256};

use crate::files;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const FETCH_TIMEOUT: Duration = Duration::from_secs(120);

/// Components as they were published, by digest.
pub(crate) struct ArtifactStore {
    folder: PathBuf,
    max_bytes: u64,
    http: ureq::Agent,
}

/// A component's bytes, and what they hash to.
pub(crate) struct Artifact {
    pub(crate) digest: Digest,
    pub(crate) bytes: Vec<u8>,
}

/// Why a component's bytes could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArtifactError {
    /// There is no such file.
    #[error("there is no component at {}; build it, or correct its path in spec.wasm", .0.display())]
    Missing(PathBuf),
    /// The file could not be read.
    #[error("read component {}; spec.wasm must name a file that this user may read", .path.display())]
    Read {
        /// Where it is.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The component is larger than this engine takes.
    #[error("component {location} has more than {limit} bytes; strip it, or raise the limit of this host")]
    TooLarge {
        /// Where it is.
        location: Location,
        /// Most bytes.
        limit: u64,
    },
    /// The bytes are not the ones that were declared.
    #[error(
        "component {location} has digest {found}, declared is {wanted}; publish it again or correct spec.wasm.digest"
    )]
    Digest {
        /// Where it is.
        location: Location,
        /// As declared.
        wanted: Digest,
        /// As read.
        found: Digest,
    },
    /// An address without a digest: what it serves may change at any time.
    #[error("component {0} has no digest; declare spec.wasm.digest, which every http and https address needs")]
    NoDigest(Location),
    /// The address did not serve it.
    #[error("fetch component {url}")]
    Fetch {
        /// Where it should be.
        url: String,
        /// What went wrong on the way.
        source: Box<ureq::Error>,
    },
    /// It could not be kept.
    #[error("keep component in {}; see that the folder can be written and has room", .path.display())]
    Keep {
        /// The artifact store's file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl ArtifactError {
    /// Stable name of the error, for logs and conditions.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "E2001",
            Self::Read { .. } => "E2002",
            Self::TooLarge { .. } => "E2003",
            Self::Digest { .. } => "E2004",
            Self::NoDigest(_) => "E2005",
            Self::Fetch { .. } => "E2006",
            Self::Keep { .. } => "E2007",
        }
    }
}

impl ArtifactStore {
    pub(crate) fn open(folder: PathBuf, max_bytes: u64) -> io::Result<Self> {
        files::private_folder(&folder)?;
        files::remove_abandoned(&folder, std::time::SystemTime::now())?;
        let http = ureq::Agent::config_builder()
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(FETCH_TIMEOUT))
            .build()
            .new_agent();
        Ok(Self { folder, max_bytes, http })
    }

    /// Reads a component from where it is declared to be, and keeps a copy. A file is read every time, since it may have
    /// changed; an address only when the copy is not there.
    pub(crate) fn obtain(&self, component: &ComponentRef, base_dir: &Path) -> Result<Artifact, ArtifactError> {
        let location = &component.location;
        let (bytes, kept) = match (location, component.digest) {
            (Location::File(path), _) => (self.read(location, &base_dir.join(path))?, false),
            (Location::Http(_), None) => return Err(ArtifactError::NoDigest(location.clone())),
            (Location::Http(url), Some(digest)) => match self.copy_of(digest) {
                Some(bytes) => (bytes, true),
                None => (self.fetch(location, url)?, false),
            },
        };
        let digest = digest_of(&bytes);
        if let Some(wanted) = component.digest.filter(|wanted| *wanted != digest) {
            return Err(ArtifactError::Digest { location: location.clone(), wanted, found: digest });
        }
        if !kept {
            self.keep(digest, &bytes)?;
        }
        Ok(Artifact { digest, bytes })
    }

    /// Sees that the copy of a component is there and whole; if not, it is had again from where it came from.
    pub(crate) fn obtain_again(
        &self,
        component: &ComponentRef,
        base_dir: &Path,
        digest: Digest,
    ) -> Result<(), ArtifactError> {
        if self.copy_of(digest).is_some() {
            return Ok(());
        }
        files::private_folder(&self.folder)
            .map_err(|source| ArtifactError::Keep { path: self.folder.clone(), source })?;
        let component = ComponentRef { digest: Some(digest), ..component.clone() };
        self.obtain(&component, base_dir).map(drop)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    fn read(&self, location: &Location, path: &Path) -> Result<Vec<u8>, ArtifactError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => ArtifactError::Missing(path.to_owned()),
            _ => ArtifactError::Read { path: path.to_owned(), source },
        };
        let file = File::open(path).map_err(failed)?;
        let mut bytes = Vec::new();
        file.take(self.max_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > self.max_bytes {
            return Err(ArtifactError::TooLarge { location: location.clone(), limit: self.max_bytes });
        }
        Ok(bytes)
    }

    fn fetch(&self, location: &Location, url: &str) -> Result<Vec<u8>, ArtifactError> {
        let body = self
            .http
            .get(url)
            .call()
            .and_then(|mut response| response.body_mut().with_config().limit(self.max_bytes).read_to_vec());
        body.map_err(|error| match error {
            ureq::Error::BodyExceedsLimit(limit) => ArtifactError::TooLarge { location: location.clone(), limit },
            error => ArtifactError::Fetch { url: url.to_owned(), source: Box::new(error) },
        })
    }

    /// The kept bytes, if they are still what they were.
    fn copy_of(&self, digest: Digest) -> Option<Vec<u8>> {
        let path = self.path(digest);
        let bytes = fs::read(&path).ok()?;
        if digest_of(&bytes) == digest {
            return Some(bytes);
        }
        tracing::warn!(path = %path.display(), "kept copy of a component is damaged and will be replaced");
        None
    }

    /// A copy counts only if it has the right digest, so that one torn by a power loss is replaced, and nothing has to wait
    /// for the disk.
    fn keep(&self, digest: Digest, bytes: &[u8]) -> Result<(), ArtifactError> {
        if self.copy_of(digest).is_some() {
            return Ok(());
        }
        let path = self.path(digest);
        files::write_whole(&path, bytes).map_err(|source| ArtifactError::Keep { path, source })
    }

    pub(crate) fn path(&self, digest: Digest) -> PathBuf {
        let name: String = digest.0.iter().map(|byte| format!("{byte:02x}")).collect();
        self.folder.join(format!("{name}.wasm"))
    }
}

pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}
