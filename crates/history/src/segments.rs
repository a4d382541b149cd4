//! Offers as segment files: what the daemon seals, and what primes it.

use crate::{History, HistoryError, Selection};
use haggle_core::{Offer, SEGMENT_EXTENSION, read_segment, write_segment};
use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Writes the purchases of the selected items in some weeks as one segment, `history-<first>-<last>.seg`, in the order
/// of sessions, without propensities: what a daemon reads before its first day. Returns the number of offers.
///
/// # Errors
/// When the file exists or cannot be written; then nothing is left behind.
pub fn write_segments(
    history: &History,
    selection: &Selection,
    weeks: &Range<u32>,
    folder: &Path,
) -> Result<usize, HistoryError> {
    let offers = purchases(history, selection, weeks);
    fs::create_dir_all(folder).map_err(HistoryError::io("create", folder))?;
    let last = weeks.end.saturating_sub(1);
    let path = folder.join(format!("history-{}-{last}.{SEGMENT_EXTENSION}", weeks.start));
    if path.exists() {
        return Err(HistoryError::Exists(path));
    }
    let part = path.with_extension("part");
    let written = crate::folder::write_synced(&part, &write_segment(&offers))
        .and_then(|()| fs::rename(&part, &path).map_err(HistoryError::io("write", &path)))
        .and_then(|()| crate::folder::sync(folder));
    if written.is_err() {
        let _ = fs::remove_file(&part); // the first error is the one to tell
    }
    written.map(|()| offers.len())
}

/// The purchases of the selected items in some weeks, as offers in the order of sessions.
#[must_use]
pub fn purchases(history: &History, selection: &Selection, weeks: &Range<u32>) -> Vec<Offer> {
    let items = selection.categories.iter().flat_map(|category| &category.items);
    let chosen: BTreeSet<usize> = items.filter_map(|item| history.item_number(&item.id)).collect();
    let mut offers = Vec::new();
    for session in &history.sessions[history.sessions_in(weeks)] {
        for line in session.lines.clone() {
            if chosen.contains(&(history.lines[line].item as usize)) {
                offers.push(history.offer(session, line));
            }
        }
    }
    offers
}

/// Reads all segments (`*.seg`) of a folder, in order of their names.
///
/// # Errors
/// When there is none, or one of them is cut off or damaged: the message names file and byte, and how many records
/// before it were sound.
pub fn import_segments(folder: &Path) -> Result<Vec<Offer>, HistoryError> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).map_err(HistoryError::io("read", folder))? {
        let path = entry.map_err(HistoryError::io("read", folder))?.path();
        if path.extension().is_some_and(|ending| ending == SEGMENT_EXTENSION) {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(HistoryError::NoSegments(folder.to_owned()));
    }
    paths.sort();
    let mut offers = Vec::new();
    for path in paths {
        let bytes = fs::read(&path).map_err(HistoryError::io("read", &path))?;
        offers.extend(read_segment(&bytes).map_err(|source| HistoryError::Segment { path, source })?);
    }
    Ok(offers)
}
