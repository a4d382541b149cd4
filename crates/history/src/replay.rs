use haggle_core::{SessionContext, ShelfEntry};
use std::ops::Range;

/// What every session looked like when it began, for the items of a selection: contexts, shelves, purchases.
///
/// Nothing in it looks into a session's future: contexts and loyalties are sums over earlier sessions only.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// Sessions in time order.
    pub sessions: Vec<ReplaySession>,
    /// Number of users; sessions refer to them by index.
    pub users: usize,
    /// Number of agents per category, in the selection's order.
    pub agents: Vec<usize>,
    pub(crate) first_week: u32,
    pub(crate) weeks: usize,
    /// `[week][item]`, items of all categories one after the other (the catalogue's global numbers).
    pub(crate) shelf: Vec<ShelfEntry>,
    pub(crate) bought: Vec<Bought>,
    /// `[session][category]` -> range of `bought`, as offsets of length sessions * categories + 1.
    pub(crate) bought_from: Vec<u32>,
}

/// One session of a [`Replay`].
#[derive(Clone, Debug, PartialEq)]
pub struct ReplaySession {
    /// The shop's name for it.
    pub id: String,
    /// Index of the user, if registered.
    pub user: Option<u32>,
    /// The shop's week.
    pub week: u32,
    /// What was known of it when it began.
    pub context: SessionContext,
}

/// One purchase of a selected item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bought {
    /// Agent number inside the category.
    pub agent: u8,
    /// Units.
    pub units: u32,
    /// The unit price paid.
    pub paid_minor: u32,
}

impl Replay {
    /// The shelf of one category in one week, in agent order; `items` is the category's range of global item numbers.
    #[must_use]
    pub fn shelf(&self, week: u32, items: Range<usize>) -> &[ShelfEntry] {
        let width: usize = self.agents.iter().sum();
        let row = (week.saturating_sub(self.first_week) as usize).min(self.weeks - 1);
        &self.shelf[row * width + items.start..row * width + items.end]
    }

    /// What a session bought of a category.
    #[must_use]
    pub fn bought(&self, session: usize, category: usize) -> &[Bought] {
        let at = session * self.agents.len() + category;
        &self.bought[self.bought_from[at] as usize..self.bought_from[at + 1] as usize]
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
}
