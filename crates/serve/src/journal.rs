//! The journal: every record in the order in which it happened, in sled.
//!
//! Layout of a store folder: `journal/` (sled: tree `log`, key = number of the record, big endian, value = one
//! CRC frame of the codec; tree `meta`: `version`, `secret`), `tail` (number of the last durable record, written
//! without waiting: it survives a killed process and can only be too old after a power cut), `bundles/`, `lock`.
//!
//! sled's own `flush` does not reach the disk on Linux, so each commit is `flush` and `fdatasync` of `journal/db`;
//! `flush_async` can deadlock and is never used. sled panics on some damage: panics are caught here and become errors.
//! Numbers are consecutive: a gap, or an end before `tail`, is damage and is named.

use crate::record::Record;
use crate::store_error::StoreError;
use haggle_core::{Frames, decode_record, encode_record, write_frame};
use std::fs::{DirBuilder, File, TryLockError};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

const VERSION: &[u8] = b"haggle store 1";
const CACHE_BYTES: u64 = 64 << 20;
/// Free space that is never touched: sled cannot even open on a full disk.
const RESERVE_BYTES: u64 = 8 << 20;

/// The open journal: the only writer of a store.
#[derive(Debug)]
pub struct Journal {
    db: sled::Db,
    reader: JournalReader,
    file: File,
    tail: File,
    next: u64,
    secret: u64,
    _lock: File,
}

/// Reads a journal, also while it is being written.
#[derive(Clone, Debug)]
pub struct JournalReader {
    log: sled::Tree,
    store: PathBuf,
}

impl Journal {
    /// Opens the store in a folder, or makes a new one. `secret` keys the draws of a new store; without it one is
    /// taken from the system.
    ///
    /// # Errors
    /// When the folder cannot be written, another process holds the store, it is of another version or damaged, or
    /// `secret` is not the one that the store was made with.
    pub fn open(store: &Path, secret: Option<u64>) -> Result<Self, StoreError> {
        let io = |source| StoreError::Io {
            store: store.to_owned(),
            source,
        };
        // The secret of the draws lies in it: nobody else may read it.
        let mut folder = DirBuilder::new();
        folder.recursive(true).mode(0o700).create(store).map_err(io)?;
        let lock = lock(store)?;
        let folder = store.join("journal");
        let db = guarded(store, || {
            sled::Config::new()
                .path(&folder)
                .flush_every_ms(None)
                .cache_capacity(CACHE_BYTES)
                .open()
        })?;
        let (log, meta) = guarded(store, || Ok((db.open_tree("log")?, db.open_tree("meta")?)))?;
        let secret = claim(store, &db, &meta, secret)?;
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let journal = Self {
            file: File::open(folder.join("db")).map_err(io)?,
            tail: options.open(store.join("tail")).map_err(io)?,
            next: 0,
            reader: JournalReader {
                log,
                store: store.to_owned(),
            },
            db,
            secret,
            _lock: lock,
        };
        journal.file.sync_all().map_err(io)?;
        for folder in [folder.as_path(), store] {
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(io)?;
        }
        Ok(journal)
    }

    /// The key of the store's draws.
    #[must_use]
    pub fn secret(&self) -> u64 {
        self.secret
    }

    /// Something that reads while this writes.
    #[must_use]
    pub fn reader(&self) -> JournalReader {
        self.reader.clone()
    }

    /// Reads every record in order, checks that none is missing, and makes the journal ready to be appended to.
    ///
    /// # Errors
    /// When a record is damaged or missing, or `each` fails.
    pub fn recover<E: From<StoreError>>(
        &mut self,
        mut each: impl FnMut(Record) -> Result<(), E>,
    ) -> Result<u64, E> {
        let mut next = 0;
        for record in self.reader.scan(0) {
            let (number, record) = record?;
            if number != next {
                return Err(self.reader.missing(next, number).into());
            }
            each(record)?;
            next += 1;
        }
        let mut tail = [0; 8];
        if self.tail.read_exact_at(&mut tail, 0).is_ok() && u64::from_be_bytes(tail) > next {
            return Err(self.reader.missing(next, u64::from_be_bytes(tail)).into());
        }
        self.next = next;
        Ok(next)
    }

    /// Appends records; they are on disk when this returns.
    ///
    /// # Errors
    /// [`StoreError::Full`] when too little space is left: nothing was written, and it can be tried again. Everything
    /// else is final: what is on disk is only known after a restart.
    pub fn append(&mut self, records: &[Record]) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        let mut bytes = 0;
        for (number, record) in (self.next..).zip(records) {
            let mut frame = Vec::with_capacity(512);
            write_frame(&mut frame, &encode_record(record));
            bytes += frame.len() as u64;
            batch.insert(&number.to_be_bytes(), frame);
        }
        self.check_space(bytes)?;
        let Self { db, reader, file, .. } = self;
        guarded(&reader.store, || {
            reader.log.apply_batch(batch)?;
            db.flush()?;
            file.sync_data()?;
            Ok(())
        })?;
        self.next += records.len() as u64;
        // Only a hint for finding lost records after a restart: an error here loses nothing.
        let _ = self.tail.write_all_at(&self.next.to_be_bytes(), 0);
        Ok(())
    }

    fn check_space(&self, bytes: u64) -> Result<(), StoreError> {
        let store = &self.reader.store;
        let space = rustix::fs::statvfs(store).map_err(|error| StoreError::Io {
            store: store.clone(),
            source: error.into(),
        })?;
        if space.f_bavail * space.f_frsize < RESERVE_BYTES + 4 * bytes {
            return Err(StoreError::Full { store: store.clone() });
        }
        Ok(())
    }
}

impl JournalReader {
    /// The records from a number on, in order, each with its number.
    pub fn scan(&self, from: u64) -> impl Iterator<Item = Result<(u64, Record), StoreError>> + '_ {
        let mut rows = self.log.range(from.to_be_bytes()..);
        std::iter::from_fn(move || guarded(&self.store, || rows.next().transpose()).transpose())
            .map(|row| row.and_then(|(key, value)| self.read(&key, &value)))
    }

    fn read(&self, key: &[u8], value: &[u8]) -> Result<(u64, Record), StoreError> {
        let damaged = |what: String| StoreError::Damaged {
            store: self.store.clone(),
            what,
        };
        let number: [u8; 8] = key
            .try_into()
            .map_err(|_| damaged("a key is no record number".to_owned()))?;
        let number = u64::from_be_bytes(number);
        let mut frames = Frames::new(value);
        let frame = frames.next().unwrap_or(Ok(&[]));
        let record = frame.and_then(decode_record);
        record
            .map(|record| (number, record))
            .map_err(|error| damaged(format!("record {number}: {error}")))
    }

    fn missing(&self, from: u64, next: u64) -> StoreError {
        StoreError::Damaged {
            store: self.store.clone(),
            what: format!("records {from} to {} are missing", next.saturating_sub(1)),
        }
    }
}

fn lock(store: &Path) -> Result<File, StoreError> {
    let io = |source| StoreError::Io {
        store: store.to_owned(),
        source,
    };
    let mut options = File::options();
    let file = options
        .write(true)
        .create(true)
        .truncate(false)
        .open(store.join("lock"));
    let file = file.map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse {
            store: store.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

/// Checks or writes version and secret.
fn claim(store: &Path, db: &sled::Db, meta: &sled::Tree, wanted: Option<u64>) -> Result<u64, StoreError> {
    let (version, kept) = guarded(store, || Ok((meta.get("version")?, meta.get("secret")?)))?;
    if let Some(version) = version {
        if version != VERSION {
            return Err(StoreError::Version {
                store: store.to_owned(),
                got: String::from_utf8_lossy(&version).into_owned(),
            });
        }
        let kept = kept.and_then(|kept| Some(u64::from_be_bytes(kept.as_ref().try_into().ok()?)));
        let kept = kept.ok_or_else(|| StoreError::Damaged {
            store: store.to_owned(),
            what: "its secret is missing".to_owned(),
        })?;
        return match wanted {
            Some(wanted) if wanted != kept => Err(StoreError::Seed {
                store: store.to_owned(),
            }),
            _ => Ok(kept),
        };
    }
    let secret = wanted
        .map_or_else(system_secret, Ok)
        .map_err(|source| StoreError::Io {
            store: store.to_owned(),
            source,
        })?;
    guarded(store, || {
        meta.insert("secret", &secret.to_be_bytes())?;
        meta.insert("version", VERSION)?;
        db.flush()?;
        Ok(())
    })?;
    Ok(secret)
}

fn system_secret() -> std::io::Result<u64> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u64::from_be_bytes(bytes))
}

/// Calls sled; its errors and its panics become one error that names the store.
fn guarded<T>(store: &Path, call: impl FnOnce() -> sled::Result<T>) -> Result<T, StoreError> {
    let store = store.to_owned();
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(sled::Error::Io(source))) if source.kind() == ErrorKind::StorageFull => {
            Err(StoreError::Full { store })
        }
        Ok(Err(sled::Error::Io(source))) => Err(StoreError::Io { store, source }),
        Ok(Err(error)) => Err(StoreError::Damaged {
            store,
            what: error.to_string(),
        }),
        Err(_) => Err(StoreError::Damaged {
            store,
            what: "its files cannot be understood".to_owned(),
        }),
    }
}
