use super::check::{Checked, check};
use super::pieces::{Piece, Pieces};
use super::volume::{self, HEADER_BYTES};
use super::{JournalReader, base, expect_outside, lost, tail::Tail};
use crate::store_error::StoreError;
use crate::whole_file::sync_folder;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Copies a store, also while it is written, into a new folder: everything that is durable when it begins, and nothing
/// after it. The copy is a store of its own; it is read through before this returns.
///
/// # Errors
/// When the folder is there already or lies in the store, something cannot be copied, or the copy is not sound.
pub fn backup(journal: &JournalReader, out: &Path) -> Result<Checked, StoreError> {
    expect_outside(journal.store(), out)?;
    if out.exists() {
        return Err(StoreError::There(out.to_owned()));
    }
    let _kept = journal.hold();
    let next = journal.next();
    copy(journal, out, next).map_err(StoreError::full_or_io(out))?;
    let checked = check(out, false)?;
    if checked.sound() {
        Ok(checked)
    } else if !checked.bundles.is_empty() {
        Err(StoreError::Bundles {
            store: out.to_owned(),
            what: checked.bundles.join("; "),
        })
    } else {
        Err(StoreError::Damaged {
            store: out.to_owned(),
            what: [checked.damage, checked.breaks].concat().join("; "),
        })
    }
}

fn copy(journal: &JournalReader, out: &Path, next: u64) -> io::Result<()> {
    let (store, log) = (journal.store(), out.join("log"));
    // Not recursive: an older copy must not be mixed with this one.
    DirBuilder::new().mode(0o700).create(out)?;
    DirBuilder::new().mode(0o700).create(&log)?;
    copy_file(&store.join("identity"), &out.join("identity"))?;
    for file in base::FILES.into_iter().chain([lost::FILE]) {
        if store.join(file).exists() {
            copy_file(&store.join(file), &out.join(file))?;
        }
    }
    for first in journal.firsts().into_iter().filter(|first| *first <= next) {
        let bytes = fs::read(volume::path(&journal.log(), first))?;
        write_file(
            &volume::path(&log, first),
            &bytes[..end_before(&bytes, first, next)],
        )?;
    }
    Tail::open(out)?.write(next)?;
    let bundles = store.join("bundles");
    if bundles.is_dir() {
        copy_folder(&bundles, &out.join("bundles"))?;
    }
    for folder in [&log, out] {
        sync_folder(folder)?;
    }
    Ok(())
}

/// Where the first frame begins that tells of a record from `next` on.
fn end_before(bytes: &[u8], first: u64, next: u64) -> usize {
    let mut end = HEADER_BYTES.min(bytes.len());
    let mut pieces = Pieces::new(bytes, first);
    while let Some(piece) = pieces.next() {
        if matches!(piece, Piece::Sound(_, frame) if frame.next() > next) {
            break;
        }
        end = pieces.offset();
    }
    end
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            copy_file(&entry.path(), &target)?;
        }
    }
    sync_folder(to)
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    File::open(to)?.sync_all()
}

fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::write(path, bytes)?;
    File::open(path)?.sync_all()
}
