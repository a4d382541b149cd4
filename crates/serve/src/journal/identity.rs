use super::base;
use crate::store_error::StoreError;
use crate::whole_file;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// The first line of the file `identity`; the second is the secret in hexadecimal digits, the third its CRC-32C, and a fourth
/// says that retention has dropped records.
const VERSION: &str = "haggle store 3";
/// What the stores were called whose records lay in sled.
const VERSION_SLED: &str = "haggle store 1";
const FILE: &str = "identity";
const TRIMMED: &str = "trimmed";

/// Takes the lock of a store.
///
/// # Errors
/// When another process has it.
pub fn lock(store: &Path) -> Result<File, StoreError> {
    let io = StoreError::io(store);
    let mut options = File::options();
    options.write(true).create(true).truncate(false);
    let path = store.join("lock");
    let file = options.open(&path).or_else(|error| read_only(&path, error));
    let file = file.map_err(&io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse {
            store: store.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

/// A file to read, where nobody can write: the file system is read-only.
pub fn read_only(path: &Path, error: io::Error) -> io::Result<File> {
    match error.kind() {
        ErrorKind::ReadOnlyFilesystem => File::open(path),
        _ => Err(error),
    }
}

/// Says no when a folder holds no store.
///
/// # Errors
/// When it does not.
pub fn expect(store: &Path) -> Result<(), StoreError> {
    let what = if !store.is_dir() {
        "there is no such folder"
    } else if !store.join(FILE).exists() && !store.join("log").exists() && !is_sled(store) {
        "the folder holds no store: there is no `identity` in it"
    } else {
        return Ok(());
    };
    Err(StoreError::Missing {
        store: store.to_owned(),
        what,
    })
}

/// Checks the version and gives the secret; a new store gets `wanted` or one from the system.
///
/// # Errors
/// When the store is of another version, has another secret than `wanted`, or cannot be read or written.
pub fn claim(store: &Path, wanted: Option<u64>) -> Result<u64, StoreError> {
    let version = |got: &str| StoreError::Version {
        store: store.to_owned(),
        got: got.to_owned(),
    };
    if is_sled(store) {
        return Err(version(VERSION_SLED));
    }
    let kept = match fs::read(store.join(FILE)) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        // Without it, but with records, a store is damaged, not new.
        Err(error) if error.kind() == ErrorKind::NotFound && !store.join("log").exists() => {
            return give(store, wanted);
        }
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(StoreError::io(store)(error)),
    };
    let first = kept.lines().next().unwrap_or_default();
    if first != VERSION && first.starts_with("haggle store ") {
        return Err(version(first));
    }
    let secret = read(&kept).ok_or_else(|| StoreError::Damaged {
        store: store.to_owned(),
        what: "its file `identity` cannot be understood".to_owned(),
    })?;
    match wanted {
        Some(wanted) if wanted != secret => Err(StoreError::Seed {
            store: store.to_owned(),
        }),
        _ => Ok(secret),
    }
}

/// Gives a store a secret, also in the place of a damaged one.
///
/// # Errors
/// When it cannot be written.
pub fn give(store: &Path, wanted: Option<u64>) -> Result<u64, StoreError> {
    let secret = wanted.map_or_else(system_secret, Ok);
    let secret = secret.map_err(StoreError::full_or_io(store))?;
    let trimmed = is_trimmed(store) || base::FILES.iter().any(|file| store.join(file).exists());
    write(store, secret, trimmed)
}

/// Says for ever that retention has dropped records: a store whose base is missing is told from one whose first volume is.
///
/// # Errors
/// When it cannot be written.
pub fn mark_trimmed(store: &Path) -> Result<(), StoreError> {
    if !is_trimmed(store) {
        write(store, claim(store, None)?, true)?;
    }
    Ok(())
}

/// Whether retention has dropped records, or was about to.
pub fn is_trimmed(store: &Path) -> bool {
    fs::read_to_string(store.join(FILE)).is_ok_and(|text| text.lines().nth(3) == Some(TRIMMED))
}

fn write(store: &Path, secret: u64, trimmed: bool) -> Result<u64, StoreError> {
    let sum = crc32c::crc32c(&secret.to_le_bytes());
    let mut text = format!("{VERSION}\n{secret:016x}\n{sum:08x}\n");
    if trimmed {
        text += TRIMMED;
        text.push('\n');
    }
    let written = whole_file::replace(&store.join(FILE), &[text.as_bytes()]);
    written.map_err(StoreError::full_or_io(store))?;
    Ok(secret)
}

fn read(text: &str) -> Option<u64> {
    let mut lines = text.lines();
    let version = lines.next()?;
    let secret = u64::from_str_radix(lines.next()?, 16).ok()?;
    let sum = u32::from_str_radix(lines.next()?, 16).ok()?;
    (version == VERSION && sum == crc32c::crc32c(&secret.to_le_bytes())).then_some(secret)
}

fn is_sled(store: &Path) -> bool {
    store.join("journal/db").exists()
}

fn system_secret() -> io::Result<u64> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}
