//! A checkpoint: everything that the daemon remembers as it was at one number of the journal, so that a start reads only the
//! records from there on. The journal is the truth; a checkpoint that is missing, damaged or of another journal costs time only.
//!
//! Layout of the folder `checkpoint` in a store: `state` (eight bytes `HAGGLEC4`, the CRC-32C of the rest, the [`State`] as
//! the codec writes records), replaced whole, and the files of the archive that the state names, byte for byte. What makes a
//! checkpoint never looks at the memory of a running daemon: it is what a restart would find, written down.

use crate::archive::Archive;
use crate::engine::Core;
use crate::engine_config::EngineConfig;
use crate::error::ServeError;
use crate::journal::JournalReader;
use crate::state::State;
use crate::store_error::StoreError;
use crate::whole_file;
use haggle_core::{Digest, decode_record};
use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

const MAGIC: [u8; 8] = *b"HAGGLEC4";
const HEAD_BYTES: usize = 12;

/// Writes down what a replay of the journal has come to. Returns the archive that belongs to it; none where nothing was
/// written, because there is no archive or a bundle is damaged.
///
/// # Errors
/// When it cannot be written, or the journal cannot be read.
pub(crate) fn save(
    core: &mut Core,
    reader: &JournalReader,
    history: Option<Digest>,
) -> Result<Option<Archive>, StoreError> {
    if core.missing.is_some() {
        tracing::warn!("no checkpoint while a bundle stands in for a damaged one");
        return Ok(None);
    }
    let full_or_io = StoreError::full_or_io(reader.store());
    core.ledger.archive_settled().map_err(&full_or_io)?;
    let Some(archive) = core.ledger.archive().cloned() else {
        return Ok(None);
    };
    let chain = reader.chain_before(core.ledger.next)?;
    let state = State::encode(core, chain, history);
    let sum = crc32c::crc32c(&state).to_le_bytes();
    let folder = folder(reader.store());
    whole_file::replace(&folder.join("state"), &[&MAGIC, &sum, &state]).map_err(&full_or_io)?;
    // What is left behind is removed after the next one.
    let _ = archive.clean();
    Ok(Some(archive))
}

/// What the last checkpoint of a store says, if it is of this journal and of this history; why not, where there is one. Files
/// of the archive that are open in `known` are not read again.
///
/// # Errors
/// When a bundle that it names cannot be loaded, or the journal cannot be read.
pub(crate) fn load(
    reader: &JournalReader,
    config: &EngineConfig,
    known: Option<&Archive>,
) -> Result<Option<Core>, ServeError> {
    let folder = folder(reader.store());
    let state: State<'static> = match read(&folder) {
        Ok(state) => state,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io(reader.store())(error).into()),
    };
    let unusable = |what: &str| StoreError::Damaged {
        store: reader.store().to_owned(),
        what: format!("its checkpoint: {what}"),
    };
    if state.history != config.history_digest()? {
        return Err(unusable("it was warmed with another history").into());
    }
    if state.ledger.next > reader.next() || reader.chain_before(state.ledger.next)? != state.chain {
        return Err(unusable("it is of another journal").into());
    }
    let archive = Archive::open(&folder, state.archive.clone(), known);
    let mut archive = archive.map_err(StoreError::io(reader.store()))?;
    // A checkpoint that is older than the base knows decisions that the journal knows no more.
    archive.hide_before(reader.firsts().first().copied().unwrap_or(0));
    let mut core = state.restore(&config.bundles())?;
    core.ledger.adopt(archive);
    Ok(Some(core))
}

/// An archive for a store that has no checkpoint, in the place of whatever was there.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn begin_archive(store: &Path) -> Result<Archive, StoreError> {
    let folder = folder(store);
    let make = || {
        drop_state(store)?;
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let archive = Archive::new(&folder);
        archive.clean()?;
        Ok(archive)
    };
    make().map_err(StoreError::full_or_io(store))
}

/// Drops the checkpoint of a store, durably: the journal before it is to be changed.
///
/// # Errors
/// When its files cannot be removed.
pub(crate) fn drop_checkpoint(store: &Path) -> Result<(), StoreError> {
    let drop = || {
        match fs::remove_dir_all(folder(store)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        whole_file::sync_folder(store)
    };
    drop().map_err(StoreError::io(store))
}

/// Makes the next start read the whole journal.
///
/// # Errors
/// When the file cannot be removed.
pub(crate) fn drop_state(store: &Path) -> io::Result<()> {
    let folder = folder(store);
    match fs::remove_file(folder.join("state")) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Err(_) => Ok(()),
        Ok(()) => whole_file::sync_folder(&folder),
    }
}

fn folder(store: &Path) -> PathBuf {
    store.join("checkpoint")
}

fn read(folder: &Path) -> io::Result<State<'static>> {
    let bytes = fs::read(folder.join("state"))?;
    let damaged = |what: &str| io::Error::new(ErrorKind::InvalidData, format!("its checkpoint: {what}"));
    let (head, body) = bytes
        .split_at_checked(HEAD_BYTES)
        .ok_or_else(|| damaged("it is cut off"))?;
    if head[..8] != MAGIC || head[8..] != crc32c::crc32c(body).to_le_bytes() {
        return Err(damaged("its bytes cannot be understood"));
    }
    decode_record(body).map_err(|error| damaged(&error.to_string()))
}
