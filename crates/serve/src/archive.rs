//! The archive: what is known of decisions that nothing is waited for any more, in a file beside the checkpoint.
//!
//! The file is a row of frames (the codec's, with CRC-32C), each an [`Archived`]; it only grows. Whoever changes an archived
//! decision appends it again: the last one counts. The checkpoint says how long the file is and where each decision lies in
//! it, and the CRC-32C of everything up to there; bytes behind that end were written for a checkpoint that never came about,
//! and are overwritten.

use crate::known::Known;
use haggle_core::{Digest, Frames, decode_record, encode_record, write_frame};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of the head of a frame, the first four of which are the length of the rest.
const FRAME_HEAD_BYTES: usize = 8;
/// Bytes read at once: most entries are shorter.
const READ_BYTES: usize = 512;
/// Bytes read at once where all of them are read.
const VERIFIED_BYTES: usize = 1 << 20;

/// An archived decision.
#[derive(Debug, Serialize, Deserialize)]
pub struct Archived {
    /// Its id.
    pub id: String,
    /// What is known of it.
    pub known: Known,
    /// The policy that made it.
    pub policy: Digest,
}

/// Where decisions lie in the file: by the hash of their id, in order; the later of two entries counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Places {
    entries: Vec<(u64, u64)>,
    /// Bytes of the file that count.
    bytes: u64,
    /// CRC-32C of those bytes: entries that are sound, but not the ones that were written there, are found out by it.
    crc: u32,
}

/// The archive as it is at one checkpoint; a clone goes on seeing it so.
#[derive(Clone, Debug)]
pub struct Archive {
    path: PathBuf,
    file: Arc<File>,
    places: Arc<Places>,
}

impl Archive {
    /// A new one, without entries.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(path: &Path) -> io::Result<Self> {
        // Whoever reads an old one goes on with it.
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = File::options();
        let file = options.read(true).write(true).create_new(true).mode(0o600);
        Ok(Self {
            path: path.to_owned(),
            file: Arc::new(file.open(path)?),
            places: Arc::default(),
        })
    }

    /// The one in a file, all of which is read.
    ///
    /// # Errors
    /// When the file cannot be read, or does not hold the bytes that the places are of.
    pub fn open(path: &Path, places: Places) -> io::Result<Self> {
        let mut file = File::options().read(true).write(true).open(path)?;
        if crc_of(&mut file, places.bytes)? != Some(places.crc) {
            return Err(damaged("the archive is not the one that its checkpoint is of"));
        }
        Ok(Self {
            path: path.to_owned(),
            file: Arc::new(file),
            places: Arc::new(places),
        })
    }

    /// Where the file lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where its decisions lie.
    #[must_use]
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// What is known of a decision. A decision that is not here costs no look at the disk.
    ///
    /// # Errors
    /// When its entry is damaged, or another one lies in its place.
    pub fn find(&self, id: &str) -> io::Result<Option<Archived>> {
        let hash = hash_of(id);
        let entries = &self.places.entries;
        let end = entries.partition_point(|(other, _)| *other <= hash);
        for (_, at) in entries[..end]
            .iter()
            .rev()
            .take_while(|(other, _)| *other == hash)
        {
            let archived = self.read(*at)?;
            if archived.id == id {
                return Ok(Some(archived));
            }
            // Of two ids with one hash the other's entry is passed over.
            if hash_of(&archived.id) != hash {
                return Err(damaged("an entry of another decision lies in its place"));
            }
        }
        Ok(None)
    }

    /// Appends entries; they are durable after [`Archive::sync`], and count for a checkpoint that is made after it.
    ///
    /// # Errors
    /// When they cannot be written; then nothing has changed.
    pub fn append(&mut self, archived: impl Iterator<Item = Archived>) -> io::Result<()> {
        let (mut bytes, mut entries) = (Vec::new(), Vec::new());
        for archived in archived {
            entries.push((hash_of(&archived.id), self.places.bytes + bytes.len() as u64));
            write_frame(&mut bytes, &encode_record(&archived));
        }
        if entries.is_empty() {
            return Ok(());
        }
        self.file.write_all_at(&bytes, self.places.bytes)?;
        entries.extend(&self.places.entries);
        entries.sort_unstable();
        self.places = Arc::new(Places {
            entries,
            bytes: self.places.bytes + bytes.len() as u64,
            crc: crc32c::crc32c_append(self.places.crc, &bytes),
        });
        Ok(())
    }

    /// Waits until what was appended is on disk.
    ///
    /// # Errors
    /// When nobody knows whether it is.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn read(&self, at: u64) -> io::Result<Archived> {
        let left = self.places.bytes.saturating_sub(at);
        let mut bytes = vec![0; READ_BYTES.min(left as usize)];
        self.file.read_exact_at(&mut bytes, at)?;
        let length = bytes
            .first_chunk()
            .map_or(0, |length| u32::from_le_bytes(*length)) as usize;
        let whole = FRAME_HEAD_BYTES + length;
        if whole > bytes.len() && whole as u64 <= left {
            bytes.resize(whole, 0);
            self.file.read_exact_at(&mut bytes, at)?;
        }
        bytes.truncate(whole);
        let frame = Frames::new(&bytes).next();
        let payload = frame.ok_or_else(|| damaged("an entry is cut off"))?;
        decode_record(payload.map_err(damaged)?).map_err(damaged)
    }
}

/// CRC-32C of the first bytes of a file; nothing where it has fewer.
fn crc_of(file: &mut File, bytes: u64) -> io::Result<Option<u32>> {
    let (mut crc, mut left) = (0, bytes);
    let mut buffer = vec![0; VERIFIED_BYTES.min(bytes as usize)];
    while left > 0 {
        let wanted = buffer.len().min(left as usize);
        let read = match file.read(&mut buffer[..wanted]) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            read => read?,
        };
        if read == 0 {
            return Ok(None);
        }
        crc = crc32c::crc32c_append(crc, &buffer[..read]);
        left -= read as u64;
    }
    Ok(Some(crc))
}

fn damaged(what: impl Into<Box<dyn Error + Send + Sync>>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

fn hash_of(id: &str) -> u64 {
    let digest = Digest::of(id.as_bytes());
    digest
        .as_bytes()
        .first_chunk()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes))
}
