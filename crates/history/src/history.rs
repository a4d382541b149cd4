use haggle_core::{Digest, PriceMinor, ShelfEntry};
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
    /// The digest of the store that it was read from.
    pub digest: Digest,
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

/// Posted prices and promotions per week and item.
#[derive(Clone, Debug, PartialEq)]
pub struct Shelf {
    /// The first week.
    pub first_week: u32,
    /// Number of weeks.
    pub weeks: usize,
    /// Number of items: the width of a week's row.
    pub items: usize,
    /// Row by row: `entries[(week - first_week) * items + item]`.
    pub entries: Vec<ShelfEntry>,
}

impl Shelf {
    /// What was posted for an item in a week; weeks outside the log answer its nearest end.
    #[must_use]
    pub fn entry(&self, week: u32, item: usize) -> &ShelfEntry {
        let row = (week.saturating_sub(self.first_week) as usize).min(self.weeks - 1);
        &self.entries[row * self.items + item]
    }
}

impl History {
    /// The indices of the sessions whose week lies in `weeks`.
    #[must_use]
    pub fn sessions_in(&self, weeks: &Range<u32>) -> Range<usize> {
        let first = self
            .sessions
            .partition_point(|session| session.week < weeks.start);
        let end = self.sessions.partition_point(|session| session.week < weeks.end);
        first..end.max(first)
    }
}
