//! The socket in a data folder.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

const NAME: &str = "pulselet.sock";

/// What an address of a Unix socket holds at most; Linux has 108 bytes, others a few less, all with the final zero.
const MAX_PATH_BYTES: usize = 100;

/// Listens in `folder`, which this process must have locked: a socket left behind by a process that died is replaced.
///
/// It appears under its name only when nobody else can connect to it any more, since it is made under another one first.
pub(super) fn listen(folder: &Path) -> io::Result<UnixListener> {
    let short = Short::new(folder)?;
    let (new, name) = (short.path.join("pulselet.sock.new"), short.path.join(NAME));
    remove(&new)?;
    let listener = UnixListener::bind(&new)?;
    fs::set_permissions(&new, Permissions::from_mode(0o600))?;
    fs::rename(&new, &name)?;
    Ok(listener)
}

/// Connects to whoever serves `folder`; `None` when nobody does.
pub(super) async fn connect(folder: &Path) -> io::Result<Option<UnixStream>> {
    let stream = match Short::new(folder) {
        Ok(short) => UnixStream::connect(short.path.join(NAME)).await,
        Err(error) => Err(error),
    };
    match stream {
        Ok(stream) => Ok(Some(stream)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// There is no folder, no socket in it, or nobody behind the socket any more.
fn is_absent(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory | ConnectionRefused)
}

/// Takes the name away.
pub(super) fn unlisten(folder: &Path) {
    if let Err(error) = remove(&folder.join(NAME)) {
        tracing::debug!(%error, "the socket stays behind; the next process replaces it");
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A path for a folder that fits into an address of a socket.
struct Short {
    path: PathBuf,
    _open: Option<File>,
}

impl Short {
    fn new(folder: &Path) -> io::Result<Self> {
        if folder.as_os_str().len() + NAME.len() + ".new".len() < MAX_PATH_BYTES {
            return Ok(Self { path: folder.to_owned(), _open: None });
        }
        // Linux names open files by number, and leads through the name to the folder itself.
        let open = File::open(folder)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd()));
        if !path.exists() {
            let text = format!("the path {} is too long for a socket: choose a shorter one", folder.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(Self { path, _open: Some(open) })
    }
}
