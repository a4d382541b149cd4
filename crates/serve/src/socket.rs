use crate::error::ServeError;
use listenfd::ListenFd;
use std::fs::{self, File, Permissions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Longest path that a Unix socket can have on Linux.
const PATH_BYTES_MAX: usize = 107;
/// A socket is made under this name, gets its mode, and is then moved into place: nobody can connect before.
const DRAFT: &str = ".new";
const ADMIN: &str = ".admin";
const HTTP: &str = ".http";

/// The three sockets of a daemon, mode 0600 (that for prices 0660 where a group may use it), held by a lock; they go away with
/// it. Or those that the service manager
/// holds: they stay, and so do requests that come while the daemon is restarted.
#[derive(Debug)]
pub struct Sockets {
    /// Prices and rewards.
    pub shop: UnixListener,
    /// Swaps and the like.
    pub admin: UnixListener,
    /// Metrics and health, over HTTP.
    pub http: UnixListener,
    paths: Vec<PathBuf>,
    _lock: Option<File>,
}

/// Where the admin socket of a daemon is: `<socket>.admin`.
#[must_use]
pub fn admin_path(socket: &Path) -> PathBuf {
    with_suffix(socket, ADMIN)
}

/// Where the metrics of a daemon are: `<socket>.http`.
#[must_use]
pub fn http_path(socket: &Path) -> PathBuf {
    with_suffix(socket, HTTP)
}

/// Where a daemon and those who talk to it meet unless they are told: `$HAGGLE_SOCKET`, else `haggle/price.sock` in
/// `$XDG_RUNTIME_DIR`, else in `/run`.
#[must_use]
pub fn usual_socket() -> PathBuf {
    let named = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let runtime = || named("XDG_RUNTIME_DIR").unwrap_or_else(|| "/run".into());
    named("HAGGLE_SOCKET").unwrap_or_else(|| runtime().join("haggle/price.sock"))
}

impl Sockets {
    /// The sockets that the service manager hands over: the one for prices, the one for operators, the one for metrics,
    /// in this order. None where it hands over nothing.
    ///
    /// # Errors
    /// When it hands over something else.
    pub fn activated() -> Result<Option<Self>, ServeError> {
        let mut handed = ListenFd::from_env();
        if handed.len() == 0 {
            return Ok(None);
        }
        let mut take = |place: usize| {
            let socket = handed.take_unix_listener(place).ok().flatten();
            let what = || format!("socket {} of 3 is no listening Unix socket", place + 1);
            let socket = socket.ok_or_else(|| refuse(Path::new("of the service manager"), what()))?;
            let blocking = socket.set_nonblocking(true);
            blocking.map_err(|error| refuse(Path::new("of the service manager"), error.to_string()))?;
            Ok::<_, ServeError>(socket)
        };
        Ok(Some(Self {
            shop: take(0)?,
            admin: take(1)?,
            http: take(2)?,
            paths: Vec::new(),
            _lock: None,
        }))
    }

    /// Opens `path`, [`admin_path`] and [`http_path`] of it. A socket that a dead daemon left behind is replaced. The members of
    /// a group, named by its number, may connect to `path` too.
    ///
    /// # Errors
    /// When the path is too long, its folder is missing or not writable, something else is at that place, another program
    /// listens there, or the socket cannot be given to the group.
    pub fn open(path: &Path, group_id: Option<u32>) -> Result<Self, ServeError> {
        let (admin, http) = (admin_path(path), http_path(path));
        let longest = with_suffix(&admin, DRAFT).as_os_str().len();
        if longest > PATH_BYTES_MAX {
            let room = PATH_BYTES_MAX - (longest - path.as_os_str().len());
            let what = format!(
                "its path has {} bytes, the most is {room}",
                path.as_os_str().len()
            );
            return Err(refuse(path, what));
        }
        let lock = lock(path)?;
        Ok(Self {
            shop: listen(path, group_id)?,
            admin: listen(&admin, None)?,
            http: listen(&http, None)?,
            paths: vec![path.to_owned(), admin, http],
            _lock: Some(lock),
        })
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        for path in &self.paths {
            // Best effort: a socket left behind is replaced at the next start.
            let _ = fs::remove_file(path);
        }
    }
}

fn lock(path: &Path) -> Result<File, ServeError> {
    let mut options = File::options();
    let file = options
        .write(true)
        .create(true)
        .truncate(false)
        .open(with_suffix(path, ".lock"));
    let file = file.map_err(|error| {
        let folder = path.parent().unwrap_or(path).display();
        let what = match error.kind() {
            ErrorKind::NotFound => format!("the folder {folder} does not exist"),
            _ => format!("the folder {folder} cannot be written: {error}"),
        };
        refuse(path, what)
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(in_use(path)),
        Err(TryLockError::Error(error)) => Err(refuse(path, format!("it cannot be locked: {error}"))),
    }
}

fn listen(path: &Path, group_id: Option<u32>) -> Result<UnixListener, ServeError> {
    match fs::symlink_metadata(path) {
        Ok(there) if !there.file_type().is_socket() => {
            return Err(refuse(
                path,
                "there is a file of that name, and it is no socket".to_owned(),
            ));
        }
        Ok(_) if UnixStream::connect(path).is_ok() => return Err(in_use(path)),
        _ => {}
    }
    let draft = with_suffix(path, DRAFT);
    let open = || {
        if draft.exists() {
            fs::remove_file(&draft)?;
        }
        let listener = UnixListener::bind(&draft)?;
        if group_id.is_some() {
            chown(&draft, None, group_id)?;
        }
        let mode = if group_id.is_some() { 0o660 } else { 0o600 };
        fs::set_permissions(&draft, Permissions::from_mode(mode))?;
        listener.set_nonblocking(true)?;
        fs::rename(&draft, path)?;
        Ok(listener)
    };
    open().map_err(|error: std::io::Error| refuse(path, format!("it cannot be opened: {error}")))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn refuse(path: &Path, what: String) -> ServeError {
    ServeError::Socket {
        path: path.to_owned(),
        what,
    }
}

fn in_use(path: &Path) -> ServeError {
    refuse(
        path,
        "another program listens there (a running haggled?)".to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(path: &Path) -> String {
        Sockets::open(path, None).expect_err("a refusal").to_string()
    }

    #[test]
    fn each_obstacle_has_its_sentence() {
        let folder = tempfile::tempdir().expect("a folder");
        let long = folder.path().join("s".repeat(100));
        assert!(refusal(&long).contains("the most is 97"), "{}", refusal(&long));
        let lost = folder.path().join("none/s");
        assert!(
            refusal(&lost).contains("none does not exist"),
            "{}",
            refusal(&lost)
        );
        let file = folder.path().join("file");
        fs::write(&file, "").expect("a file");
        assert!(refusal(&file).contains("no socket"));
        let other = folder.path().join("other");
        let _listener = UnixListener::bind(&other).expect("a socket");
        assert!(refusal(&other).contains("another program listens there"));
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s");
        drop(UnixListener::bind(&path).expect("a socket"));
        assert!(path.exists(), "it is left behind");
        let sockets = Sockets::open(&path, None).expect("it is replaced");
        let mode = |path: &Path| fs::metadata(path).expect("a socket").permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&admin_path(&path))), (0o600, 0o600));
        let own = rustix::process::getegid().as_raw();
        let shared = folder.path().join("shared");
        let _shared = Sockets::open(&shared, Some(own)).expect("a socket for a group");
        assert_eq!((mode(&shared), mode(&admin_path(&shared))), (0o660, 0o600));
        assert!(refusal(&path).contains("another program listens there"));
        drop(sockets);
        assert!(!path.exists() && !admin_path(&path).exists());
    }
}
