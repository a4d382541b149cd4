//! What leaves the memory for the archive, and comes back.

use super::Ledger;
use crate::archive::{Archive, Archived};
use crate::known::Known;
use haggle_core::Digest;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

/// Archived decisions that were only looked up and stay in memory, at most.
const RECALLED_MAX: usize = 4_096;

impl Ledger {
    /// Brings a decision that is archived back into memory.
    ///
    /// # Errors
    /// When the archive is damaged.
    pub fn recall(&mut self, id: &str) -> io::Result<()> {
        let Some(archive) = self.archive.as_ref().filter(|_| !self.decisions.contains_key(id)) else {
            return Ok(());
        };
        let Some(mut archived) = archive.find(id)? else {
            return Ok(());
        };
        archived.known.policy = self.place_of(archived.policy);
        let id: Arc<str> = id.into();
        self.decisions.insert(Arc::clone(&id), Box::new(archived.known));
        self.recalled.push_back(id);
        if self.recalled.len() > RECALLED_MAX
            && let Some(oldest) = self.recalled.pop_front()
            && self.find(&oldest).is_some_and(|known| known.touched == 0)
        {
            self.decisions.remove(&oldest);
        }
        Ok(())
    }

    /// Goes on from what was written down, which says nothing of when windows close, and of what is to be archived.
    pub fn resume(&mut self) {
        for (id, known) in &mut self.decisions {
            if known.settled() {
                known.touched = self.next;
                self.settled.push_back((self.next, Arc::clone(id)));
            } else {
                self.due.push(Reverse((known.due_s, Arc::clone(id))));
            }
        }
    }

    /// Where settled decisions go; none for a ledger that keeps all of them in memory.
    pub fn archive(&self) -> Option<&Archive> {
        self.archive.as_ref()
    }

    /// Moves every settled decision that is in memory into the archive.
    ///
    /// # Errors
    /// When the archive cannot be written; then they stay.
    pub fn archive_settled(&mut self) -> io::Result<()> {
        let ids = self.settled_ids();
        let Some(archive) = &mut self.archive else {
            return Ok(());
        };
        archive.append(ids.iter().filter_map(|id| {
            let known = self.decisions.get(id)?;
            Some(Archived {
                id: id.to_string(),
                policy: self.policies[known.policy as usize],
                touched: known.touched,
                known: (**known).clone(),
            })
        }))?;
        self.settled.clear();
        for id in &ids {
            self.decisions.remove(id);
        }
        Ok(())
    }

    /// Lets go of every settled decision in memory that is not `wanted`: they are in another ledger's archive, or nowhere.
    ///
    /// # Errors
    /// When nobody can say whether one is.
    pub fn let_go(&mut self, wanted: impl Fn(&str) -> io::Result<bool>) -> io::Result<()> {
        for id in self.settled_ids() {
            if !wanted(&id)? {
                self.decisions.remove(&id);
            }
        }
        Ok(())
    }

    /// Settled decisions in memory that are not archived as they are, in the order of their ids.
    fn settled_ids(&self) -> Vec<Arc<str>> {
        let ids: BTreeSet<Arc<str>> = self.settled.iter().map(|(_, id)| Arc::clone(id)).collect();
        let settled = |id: &Arc<str>| self.decisions.get(id).is_some_and(|known| known.settled());
        ids.into_iter().filter(settled).collect()
    }

    /// From now on settled decisions are looked up in another archive, that of a checkpoint. What is hidden stays hidden.
    pub fn adopt(&mut self, mut archive: Archive) {
        archive.hide_before(self.archive.as_ref().map_or(0, Archive::horizon));
        self.archive = Some(archive);
    }

    /// From now on decisions that were changed last by a record before a number, and wait for nothing, are not known any more.
    pub fn hide_before(&mut self, horizon: u64) {
        if let Some(archive) = &mut self.archive {
            archive.hide_before(horizon);
        }
        for id in std::mem::take(&mut self.recalled) {
            if self.find(&id).is_some_and(|known| known.touched == 0) {
                self.decisions.remove(&id);
            }
        }
    }

    /// Makes room where much of the archive is hidden.
    ///
    /// # Errors
    /// When a file cannot be written; then nothing has changed.
    pub fn shrink_archive(&mut self) -> io::Result<()> {
        self.archive.as_mut().map_or(Ok(()), Archive::shrink)
    }

    /// The number of the oldest decision that something is waited for.
    #[must_use]
    pub fn oldest_open(&self) -> Option<u64> {
        let open = self.decisions.values().filter(|known| !known.settled());
        open.map(|known| known.record).min()
    }

    /// Lets go of decisions that a checkpoint of the records before a number has archived: looks at `count_max` of them, and
    /// says whether there may be more.
    pub fn evict(&mut self, before: u64, count_max: usize) -> bool {
        for _ in 0..count_max {
            if self.settled.front().is_none_or(|(number, _)| *number >= before) {
                return false;
            }
            let Some((_, id)) = self.settled.pop_front() else {
                return false;
            };
            // One that changed again since is in the row again.
            let archived = |known: &Known| known.settled() && known.touched < before;
            if self.find(&id).is_some_and(archived) {
                self.decisions.remove(&id);
            }
        }
        true
    }

    /// The place of a policy among those that made decisions.
    pub(super) fn place_of(&mut self, policy: Digest) -> u32 {
        let place = self.policies.iter().rposition(|digest| *digest == policy);
        let place = place.unwrap_or_else(|| {
            self.policies.push(policy);
            self.policies.len() - 1
        });
        place as u32
    }
}
