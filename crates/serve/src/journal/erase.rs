use super::Journal;
use super::check::rewrite;
use super::examined::Examined;
use super::frame::{Entry, Frame};
use super::volume;
use crate::store_error::StoreError;
use std::collections::BTreeSet;
use std::fs;

impl Journal {
    /// Erases records for good: each leaves its number and its digest behind, so that the chain of digests stays as it
    /// was. Every volume that holds one of them is written again in one piece, and the old file is given back to the disk.
    /// The journal is let go of, because its last volume may be another file now.
    ///
    /// # Errors
    /// When a volume is damaged, or cannot be read or written; what was not erased then is erased by another call.
    pub fn erase(self, numbers: &BTreeSet<u64>) -> Result<(), StoreError> {
        let store = self.reader.store();
        let (log, firsts) = (self.reader.log(), self.reader.firsts());
        for (place, first) in firsts.iter().enumerate() {
            let until = firsts.get(place + 1).copied();
            if numbers.range(*first..until.unwrap_or(self.next)).next().is_none() {
                continue;
            }
            let bytes = fs::read(volume::path(&log, *first)).map_err(self.reader.io())?;
            let end = until.unwrap_or(self.next);
            let mut examined = Examined::new(&bytes, *first, end, until.is_none() && !self.sealed, None);
            if let Some(what) = examined.damage.first() {
                return Err(StoreError::Damaged {
                    store: store.to_owned(),
                    what: format!("volume {first:020}: {what}"),
                });
            }
            for frame in &mut examined.frames {
                if numbers.contains(&frame.number) {
                    erase(frame);
                }
            }
            rewrite(&log, &examined, None).map_err(StoreError::full_or_io(store))?;
        }
        Ok(())
    }
}

fn erase(frame: &mut Frame<'_>) {
    if let (Entry::Record { .. }, Some(digest)) = (frame.entry, frame.entry.digest(frame.number)) {
        frame.entry = Entry::Erased(digest);
    }
}
