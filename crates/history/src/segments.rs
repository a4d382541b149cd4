//! Offers as segment files: what the daemon seals, and what primes it.

use crate::{History, HistoryError, Selection};
use haggle_core::{Offer, SEGMENT_EXTENSION, read_segment, write_segment};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Writes the past of some weeks ([`past_offers`]) as one segment, `history-<first>-<last>.seg`: what a daemon reads
/// before its first day. Returns the number of offers.
///
/// # Errors
/// When the file exists or cannot be written; then nothing is left behind.
pub fn write_segments(
    history: &History,
    selection: &Selection,
    weeks: &Range<u32>,
    folder: &Path,
) -> Result<usize, HistoryError> {
    let offers = past_offers(history, selection, weeks);
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

/// What a daemon has to know of some weeks, as offers without propensity, session by session, items in the selection's
/// order: every purchase of a selected item; in a week's first session also the items that it left on the shelf (units 0),
/// for their posted prices; and one unsold offer of a session that bought nothing, for its having been there.
#[must_use]
pub fn past_offers(history: &History, selection: &Selection, weeks: &Range<u32>) -> Vec<Offer> {
    let items = selection.categories.iter().flat_map(|category| &category.items);
    let items: Vec<u32> = items
        .filter_map(|item| history.item_number(&item.id))
        .map(|item| item as u32)
        .collect();
    let mut offers = Vec::new();
    let mut week = None;
    for session in &history.sessions[history.sessions_in(weeks)] {
        let opens_week = week.replace(session.week) != Some(session.week);
        let before = offers.len();
        for item in &items {
            let line = history.lines[session.lines.clone()]
                .iter()
                .find(|line| line.item == *item);
            if line.is_some() || opens_week {
                offers.push(history.offer(session, *item, line));
            }
        }
        if let (true, Some(first)) = (offers.len() == before, items.first()) {
            offers.push(history.offer(session, *first, None));
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
