//! The folders that are written into.

use super::{Check, GIB, State};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Some hundred runs with their checkpoints.
const DISK_MIN: u64 = 2 * GIB;
/// The longest path of a Unix socket whose admin socket has `.admin` behind it.
const SOCKET_PATH_MAX: usize = 97;

/// The folder itself or the nearest one above it that exists.
fn existing(folder: &Path) -> &Path {
    let above = |path: &&Path| path.as_os_str().is_empty() || path.exists();
    let found = folder.ancestors().find(above).unwrap_or(folder);
    if found.as_os_str().is_empty() {
        Path::new(".")
    } else {
        found
    }
}

pub(super) fn writable(runs: &Path) -> Check {
    let folder = existing(runs);
    let probe = folder.join(format!(".haggle-doctor-{}", std::process::id()));
    let tried = fs::write(&probe, b"x").and_then(|()| fs::remove_file(&probe));
    Check::unless(
        tried.is_ok() && folder.is_dir(),
        State::Fail,
        "runs folder",
        match &tried {
            Ok(()) => format!("{} can be written", folder.display()),
            Err(error) => format!("{} cannot be written: {error}", folder.display()),
        },
        "give yourself the right to write there, or name another folder as runs in the training file",
    )
}

pub(super) fn disk(runs: &Path) -> Check {
    let folder = existing(runs);
    match rustix::fs::statvfs(folder) {
        Ok(disk) => {
            let free = disk.f_bavail * disk.f_frsize;
            Check::unless(
                free >= DISK_MIN,
                if free < DISK_MIN / 20 {
                    State::Fail
                } else {
                    State::Warn
                },
                "disk",
                format!("{:.1} GiB free at {}", free as f64 / GIB as f64, folder.display()),
                "remove old runs (haggle runs lists them)",
            )
        }
        Err(error) => Check::ok("disk", format!("unknown at {}: {error}", folder.display())),
    }
}

/// Where a user's own daemon would listen.
pub(super) fn default_socket() -> PathBuf {
    let folder = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    folder.join("haggled.sock")
}

pub(super) fn socket_folder(socket: &Path) -> Check {
    let folder = match socket.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let length = socket.as_os_str().len();
    let (ok, found) = match fs::metadata(folder) {
        Err(error) => (false, format!("{}: {error}", folder.display())),
        Ok(data) if !data.is_dir() => (false, format!("{} is no folder", folder.display())),
        Ok(_) if length > SOCKET_PATH_MAX => (
            false,
            format!(
                "{} has {length} bytes; at most {SOCKET_PATH_MAX} fit",
                socket.display()
            ),
        ),
        Ok(_) if rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_err() => {
            (false, format!("{} cannot be written", folder.display()))
        }
        Ok(data) => {
            // Others may put a socket of their own in the place of ours, unless the sticky bit forbids it.
            let mode = data.permissions().mode();
            let open = mode & 0o022 != 0 && mode & 0o1000 == 0;
            let found = format!("{} (mode {:04o})", folder.display(), mode & 0o7777);
            (!open, found)
        }
    };
    Check::unless(
        ok,
        State::Warn,
        "socket folder",
        found,
        "haggled --socket needs a folder that only its user can write (mkdir -m 0700), with a short path",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_others_may_write_is_no_place_for_a_socket() {
        let folder = tempfile::tempdir().expect("a folder");
        let mode = |mode| fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).expect("set");
        let socket = folder.path().join("s.sock");
        for (bits, state) in [(0o700, State::Ok), (0o777, State::Warn), (0o1777, State::Ok)] {
            mode(bits);
            assert_eq!(socket_folder(&socket).state, state, "{bits:o}");
        }
        mode(0o700);
        assert_eq!(socket_folder(&folder.path().join("x/s.sock")).state, State::Warn);
        assert_eq!(
            socket_folder(&folder.path().join("x".repeat(100))).state,
            State::Warn
        );
    }

    #[test]
    fn a_runs_folder_that_does_not_exist_yet_is_judged_by_the_one_above() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(existing(&folder.path().join("a/b")), folder.path());
        assert_eq!(existing(Path::new("surely/not/here")), Path::new("."));
        assert_eq!(writable(&folder.path().join("runs")).state, State::Ok);
        fs::write(folder.path().join("file"), "").expect("written");
        assert_eq!(writable(&folder.path().join("file")).state, State::Fail);
    }
}
