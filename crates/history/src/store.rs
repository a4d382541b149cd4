//! The session store: a folder with four Parquet tables and `store.json`, which names its version and the digest of
//! every table. `docs/session-store.md` describes it for readers in other languages.
//!
//! Losses to prevent: a half-written store taken for a whole one; a table that was changed or swapped unnoticed.

use crate::assemble::RawLine;
use crate::folder::write_folder;
use crate::{History, HistoryError, Source, offer_table, tables};
use haggle_core::Digest;
use parquet::errors::ParquetError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The version of the session store that this program writes and reads.
pub const STORE_VERSION: u32 = 1;
const FORMAT: &str = "haggle session store";
const MANIFEST: &str = "store.json";
const OFFERS: &str = "offers.parquet";
const SESSIONS: &str = "sessions.parquet";
const ITEMS: &str = "items.parquet";
const SHELF: &str = "shelf.parquet";

/// What `store.json` says.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: String,
    version: u32,
    source: Source,
    /// Whether `offers.parquet` holds offers as they were logged, or one row per purchase line.
    offers_as_logged: bool,
    files: BTreeMap<String, StoredFile>,
}

/// The part that every version of `store.json` has.
#[derive(Deserialize)]
struct AnyManifest {
    format: String,
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredFile {
    rows: usize,
    bytes: usize,
    blake3: Digest,
}

impl History {
    /// Writes the session store; returns its digest, which is the digest of `store.json`. The folder appears whole or
    /// not at all; with `overwrite`, an older store of that name is replaced.
    ///
    /// # Errors
    /// When the folder exists (and is not to be overwritten, or is no store), or the disk refuses.
    pub fn save(&self, folder: &Path, overwrite: bool) -> Result<Digest, HistoryError> {
        if folder.exists() && !overwrite {
            return Err(HistoryError::Exists(folder.to_owned()));
        }
        if folder.exists() && !folder.join(MANIFEST).is_file() {
            return Err(HistoryError::NotAStore(folder.to_owned()));
        }
        let offers = self.to_offers();
        let tables = [
            (OFFERS, offers.len(), offer_table::offers_bytes(&offers)),
            (SESSIONS, self.sessions.len(), tables::sessions_bytes(self)),
            (ITEMS, self.items.len(), tables::items_bytes(&self.items)),
            (SHELF, self.shelf.entries.len(), tables::shelf_bytes(&self.shelf)),
        ];
        let mut manifest = Manifest {
            format: FORMAT.to_owned(),
            version: STORE_VERSION,
            source: self.source.clone(),
            offers_as_logged: !self.offers.is_empty(),
            files: BTreeMap::new(),
        };
        let mut files = Vec::new();
        for (name, rows, bytes) in tables {
            let bytes = bytes.map_err(|source| HistoryError::Parquet {
                path: folder.join(name),
                source,
            })?;
            let stored = StoredFile {
                rows,
                bytes: bytes.len(),
                blake3: Digest::of(&bytes),
            };
            manifest.files.insert(name.to_owned(), stored);
            files.push((name, bytes));
        }
        let text = serde_json::to_vec_pretty(&manifest)
            .map_err(|error| HistoryError::io("write", &folder.join(MANIFEST))(error.into()))?;
        let digest = Digest::of(&text);
        files.push((MANIFEST, text));
        write_folder(folder, &files)?;
        Ok(digest)
    }

    /// Reads a session store.
    ///
    /// # Errors
    /// When a file is missing, of another version, or not what was written.
    pub fn load(folder: &Path) -> Result<Self, HistoryError> {
        let (manifest, digest) = read_manifest(folder)?;
        let read = |name: &str| read_table(folder, name, &manifest);
        let damaged = |name: &str| {
            let path = folder.join(name);
            move |error: ParquetError| HistoryError::Damaged {
                path,
                what: error.to_string(),
            }
        };
        let items = tables::read_items(read(ITEMS)?).map_err(damaged(ITEMS))?;
        let sessions = tables::read_sessions(read(SESSIONS)?).map_err(damaged(SESSIONS))?;
        let shelf = tables::read_shelf(read(SHELF)?, items.len()).map_err(damaged(SHELF))?;
        let offers_bytes = read(OFFERS)?;
        let offers = if manifest.offers_as_logged {
            offer_table::read_offers(offers_bytes.clone()).map_err(damaged(OFFERS))?
        } else {
            Vec::new()
        };
        let (sessions, lines, users) =
            offer_table::read_lines(offers_bytes, &sessions, &items).map_err(damaged(OFFERS))?;
        Ok(Self {
            sessions,
            lines: lines.iter().map(RawLine::linked).collect(),
            items,
            users,
            shelf,
            offers,
            source: manifest.source,
            digest,
        })
    }
}

fn read_manifest(folder: &Path) -> Result<(Manifest, Digest), HistoryError> {
    let path = folder.join(MANIFEST);
    let bytes = fs::read(&path).map_err(HistoryError::io("read", &path))?;
    let damaged = |what: String| HistoryError::Damaged {
        path: path.clone(),
        what,
    };
    let any: AnyManifest = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    if any.format != FORMAT {
        return Err(damaged(format!("it describes `{}`, not a {FORMAT}", any.format)));
    }
    if any.version != STORE_VERSION {
        return Err(HistoryError::Version {
            path,
            got: any.version,
            expected: STORE_VERSION,
        });
    }
    let manifest = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    Ok((manifest, Digest::of(&bytes)))
}

fn read_table(folder: &Path, name: &str, manifest: &Manifest) -> Result<Vec<u8>, HistoryError> {
    let path = folder.join(name);
    let bytes = fs::read(&path).map_err(HistoryError::io("read", &path))?;
    let what = match manifest.files.get(name) {
        None => format!("{MANIFEST} does not name it"),
        Some(stored) if stored.bytes != bytes.len() => {
            format!("{} bytes where {MANIFEST} says {}", bytes.len(), stored.bytes)
        }
        Some(stored) if stored.blake3 != Digest::of(&bytes) => {
            format!("its digest is not the one in {MANIFEST}")
        }
        Some(_) => return Ok(bytes),
    };
    Err(HistoryError::Damaged { path, what })
}
