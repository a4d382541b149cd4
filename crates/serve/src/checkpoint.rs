//! A checkpoint: everything that the daemon remembers as it was at one number of the journal, so that a start reads only the
//! records from there on. The journal is the truth; a checkpoint that is missing, damaged or of another journal costs time only.
//!
//! Layout of the folder `checkpoint` in a store: `state` (eight bytes `HAGGLEC3`, the CRC-32C of the rest, the [`State`] as
//! the codec writes records), replaced whole, and the archive that the state names, byte for byte. What makes a checkpoint never looks at the
//! memory of a running daemon: it is what a restart would find, written down.

use crate::archive::{Archive, Places};
use crate::canary::Canary;
use crate::decide::Mode;
use crate::engine::{Core, SinceStart};
use crate::error::ServeError;
use crate::journal::{JournalReader, sync_folder};
use crate::learner::Desk;
use crate::ledger::Ledger;
use crate::lessons::{Learnt, Lessons};
use crate::market::{Market, Memory};
use crate::recovery::kept;
use crate::settings::Settings;
use crate::store_error::StoreError;
use crate::trial::Trial;
use haggle_core::{Digest, Policy, decode_record, encode_record};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MAGIC: [u8; 8] = *b"HAGGLEC3";
const HEAD_BYTES: usize = 12;

/// What the daemon remembers; the ledger says at which number of the journal.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct State<'a> {
    /// Digest of all records before that number.
    chain: Digest,
    /// Which history warmed the market.
    history: Option<Digest>,
    /// Name of the archive's file.
    archive: Cow<'a, str>,
    places: Cow<'a, Places>,
    memory: Cow<'a, Memory>,
    ledger: Cow<'a, Ledger>,
    served: Cow<'a, [(Digest, i64)]>,
    bundle: Digest,
    previous: Option<Digest>,
    shadow: Option<Digest>,
    canary: Option<(Digest, Cow<'a, Trial>)>,
    mode: Mode,
    thawed: Mode,
    learnt: Learnt<'a>,
}

/// Writes down what a replay of the journal has come to. Returns the archive that belongs to it; none where nothing was
/// written, because there is no archive.
///
/// # Errors
/// When it cannot be written, or the journal cannot be read.
pub(crate) fn save(
    core: &mut Core,
    reader: &JournalReader,
    history: Option<Digest>,
) -> Result<Option<Archive>, StoreError> {
    let full_or_io = StoreError::full_or_io(reader.store());
    core.ledger.archive_settled().map_err(&full_or_io)?;
    let Some(archive) = core.ledger.archive().cloned() else {
        return Ok(None);
    };
    archive.sync().map_err(&full_or_io)?;
    let lessons = core.desk.lock();
    let state = State {
        chain: reader.chain_before(core.ledger.next)?,
        history,
        archive: archive.path().file_name().unwrap_or_default().to_string_lossy(),
        places: Cow::Borrowed(archive.places()),
        memory: Cow::Borrowed(&core.market.memory),
        ledger: Cow::Borrowed(&core.ledger),
        served: Cow::Borrowed(&core.served),
        bundle: core.bundle.digest(),
        previous: core.previous.as_ref().map(|bundle| bundle.digest()),
        shadow: core.shadow.as_ref().map(|bundle| bundle.digest()),
        canary: core
            .canary
            .as_ref()
            .map(|canary| (canary.bundle.digest(), Cow::Borrowed(&canary.trial))),
        mode: core.mode,
        thawed: core.thawed,
        learnt: lessons.learnt(),
    };
    write(&folder(reader.store()), &encode_record(&state)).map_err(&full_or_io)?;
    Ok(Some(archive))
}

/// What the last checkpoint of a store says, if it is of this journal and of this history; why not, where there is one.
///
/// # Errors
/// When a bundle that it names cannot be loaded, or the journal cannot be read.
pub(crate) fn load(
    reader: &JournalReader,
    bundles: &Path,
    history: Option<Digest>,
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
    if state.history != history {
        return Err(unusable("it was warmed with another history").into());
    }
    if state.ledger.next > reader.next() || reader.chain_before(state.ledger.next)? != state.chain {
        return Err(unusable("it is of another journal").into());
    }
    let archive = Archive::open(&folder.join(&*state.archive), state.places.into_owned());
    let archive = archive.map_err(StoreError::io(reader.store()))?;
    let load = |digest: Digest| kept(bundles, digest).map(Arc::new);
    let bundle = load(state.bundle)?;
    let taught = state.learnt.policies().map(|digest| kept(bundles, digest));
    let taught = taught.collect::<Result<Vec<_>, ServeError>>()?;
    let lessons = Lessons::resume(state.learnt, &taught).map_err(|error| unusable(&error.to_string()))?;
    let mut ledger = state.ledger.into_owned();
    ledger.resume(archive);
    Ok(Some(Core {
        previous: state.previous.map(load).transpose()?,
        shadow: state.shadow.map(load).transpose()?,
        canary: state
            .canary
            .map(|(digest, trial)| {
                let (bundle, trial) = (load(digest)?, trial.into_owned());
                Ok::<_, ServeError>(Canary { bundle, trial })
            })
            .transpose()?,
        market: Market::resume(bundle.terms(), state.memory.into_owned()),
        bundle,
        ledger,
        settings: Settings::default(),
        mode: state.mode,
        thawed: state.thawed,
        since_start: SinceStart::default(),
        desk: Arc::new(Desk::new(lessons)),
        served: state.served.into_owned(),
    }))
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
        Archive::create(&folder.join("archive"))
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
        sync_folder(store)
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
        Ok(()) => sync_folder(&folder),
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

fn write(folder: &Path, state: &[u8]) -> io::Result<()> {
    let draft = folder.join(".state");
    let write = || {
        let mut options = File::options();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&draft)?;
        file.write_all(&MAGIC)?;
        file.write_all(&crc32c::crc32c(state).to_le_bytes())?;
        file.write_all(state)?;
        file.sync_all()?;
        fs::rename(&draft, folder.join("state"))?;
        sync_folder(folder)
    };
    let written = write();
    if written.is_err() {
        // On a full disk it is in the way of everybody.
        let _ = fs::remove_file(&draft);
    }
    written
}
