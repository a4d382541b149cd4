use crate::Shelf;
use haggle_core::{Digest, Offer, PriceMinor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;

/// The sessions of a shop in memory: the session store after loading, in time order.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// Sessions, ordered by time, then id.
    pub sessions: Vec<Session>,
    /// What was bought, session by session.
    pub lines: Vec<Line>,
    /// Everything that was ever sold, ordered by id.
    pub items: Vec<ItemInfo>,
    /// Users, ordered by id.
    pub users: Vec<String>,
    /// What was posted per week and item.
    pub shelf: Shelf,
    /// The offers with their propensities, in the order of the log, where it held offers rather than purchases; else empty.
    pub offers: Vec<Offer>,
    /// Where it came from.
    pub source: Source,
    /// The digest of the store that it was read from; before it is saved, of what it was made from.
    pub digest: Digest,
}

/// Where a history came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The format that was imported.
    pub format: String,
    /// The files that were read, with the digests of their bytes.
    pub files: BTreeMap<String, Digest>,
}

/// One visit of one user.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// The shop's name for it.
    pub id: String,
    /// Index into [`History::users`]; `None` for an unregistered visitor.
    pub user: Option<u32>,
    /// When it began: seconds since 1970, shop's local time.
    pub time_s: i64,
    /// The shop's week number, from 1.
    pub week: u32,
    /// Its lines, as a range of [`History::lines`].
    pub lines: Range<usize>,
}

/// One purchase line: at most one per session and item (duplicates are merged).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// Index into [`History::items`].
    pub item: u32,
    /// Units bought, at least 1.
    pub units: u32,
    /// The unit price that the shopper saw.
    pub price_minor: PriceMinor,
}

/// What the shop says of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemInfo {
    /// The shop's name for it.
    pub id: String,
    /// The group inside which shoppers choose (complete-journey: the product type).
    pub category: String,
    /// The group above the category (complete-journey: the department).
    pub department: String,
}

impl Source {
    /// The digest of all of it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut parts = vec![self.format.as_bytes()];
        for (file, digest) in &self.files {
            parts.extend([file.as_bytes(), digest.as_bytes()]);
        }
        Digest::of_parts(&parts)
    }
}

impl History {
    /// The number of an item.
    #[must_use]
    pub fn item_number(&self, id: &str) -> Option<usize> {
        self.items.binary_search_by(|item| item.id.as_str().cmp(id)).ok()
    }

    /// The indices of the sessions whose week lies in `weeks`.
    #[must_use]
    pub fn sessions_in(&self, weeks: &Range<u32>) -> Range<usize> {
        let first = self
            .sessions
            .partition_point(|session| session.week < weeks.start);
        let end = self.sessions.partition_point(|session| session.week < weeks.end);
        first..end.max(first)
    }

    /// The first week with a session and one past the last.
    #[must_use]
    pub fn weeks(&self) -> Range<u32> {
        match (self.sessions.first(), self.sessions.last()) {
            (Some(first), Some(last)) => first.week..last.week + 1,
            _ => 0..0,
        }
    }

    /// Half of the users with all their sessions, drawn by the digest of the user's name (a session without a user, by
    /// its own name); the other half is `half(!first)`. Items, users and shelf keep their numbers, so that a selection
    /// made on the whole fits both.
    #[must_use]
    pub fn half(&self, first: bool) -> Self {
        let is_first = |name: &str| Digest::of(name.as_bytes()).as_bytes()[0] & 1 == 0;
        let mut lines = Vec::new();
        let mut sessions = Vec::new();
        for session in &self.sessions {
            let user = session.user.map(|user| &self.users[user as usize]);
            if is_first(user.unwrap_or(&session.id)) != first {
                continue;
            }
            let start = lines.len();
            lines.extend_from_slice(&self.lines[session.lines.clone()]);
            sessions.push(Session {
                lines: start..lines.len(),
                ..session.clone()
            });
        }
        let mut offers = self.offers.clone();
        offers.retain(|offer| is_first(offer.user.as_ref().unwrap_or(&offer.session)) == first);
        let name: &[u8] = if first { b"first half" } else { b"second half" };
        Self {
            sessions,
            lines,
            offers,
            items: self.items.clone(),
            users: self.users.clone(),
            shelf: self.shelf.clone(),
            source: self.source.clone(),
            digest: Digest::of_parts(&[self.digest.as_bytes(), name]),
        }
    }
}
