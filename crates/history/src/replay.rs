use crate::context::contexts;
use crate::{History, Selection};
use haggle_core::{Loyalty, MemoryRates, SessionContext, ShelfEntry};
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
    first_week: u32,
    weeks: usize,
    /// `[week][item]`, items of all categories one after the other (the catalogue's global numbers).
    shelf: Vec<ShelfEntry>,
    bought: Vec<Bought>,
    /// `[session][category]` -> range of `bought`, as offsets of length sessions * categories + 1.
    bought_from: Vec<u32>,
    /// Per category the sessions that bought something of it, in order.
    buyers: Vec<Vec<u32>>,
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
    /// The sessions of a history as they looked when they began. Items are found by their names, so a selection made on
    /// another history of the same shop fits; an item that this history lacks stands at its base price, unpromoted.
    #[must_use]
    pub fn new(history: &History, selection: &Selection) -> Self {
        let contexts = contexts(history);
        let sessions = history.sessions.iter().zip(contexts);
        let mut replay = Self {
            sessions: sessions
                .map(|(session, context)| ReplaySession {
                    id: session.id.clone(),
                    user: session.user,
                    week: session.week,
                    context,
                })
                .collect(),
            users: history.users.len(),
            agents: selection
                .categories
                .iter()
                .map(|category| category.items.len())
                .collect(),
            first_week: history.shelf.first_week,
            weeks: history.shelf.weeks,
            shelf: shelf_of(history, selection),
            bought: Vec::new(),
            bought_from: vec![0],
            buyers: vec![Vec::new(); selection.categories.len()],
        };
        replay.add_purchases(history, &places(history, selection));
        replay
    }

    /// What every user had chosen in a category before a session began: of each earlier session every item that it
    /// bought counts as one choice, in agent order ([`Loyalty::on_chosen`]), as the daemon and the environment count.
    /// Earlier means an earlier time, so sessions at the same instant do not see each other.
    ///
    /// # Panics
    /// When there is no such session or category.
    #[must_use]
    pub fn loyalty_before(&self, session: usize, category: usize, rates: &MemoryRates) -> Vec<Loyalty> {
        let mut loyalties = vec![Loyalty::default(); self.users];
        let now_s = self.sessions[session].context.time_s;
        for &buyer in &self.buyers[category] {
            let buyer = buyer as usize;
            if buyer >= session {
                break;
            }
            let earlier = &self.sessions[buyer];
            if let (Some(user), true) = (earlier.user, earlier.context.time_s < now_s) {
                self.remember(buyer, category, rates, &mut loyalties[user as usize]);
            }
        }
        loyalties
    }

    /// Counts what a session chose of a category in its user's loyalty: each item once, in agent order.
    pub fn remember(&self, session: usize, category: usize, rates: &MemoryRates, loyalty: &mut Loyalty) {
        for bought in self.bought(session, category) {
            loyalty.on_chosen(usize::from(bought.agent), self.agents[category], rates);
        }
    }

    /// The sessions that bought something of a category, in order.
    #[must_use]
    pub fn buyers(&self, category: usize) -> &[u32] {
        &self.buyers[category]
    }

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

    fn add_purchases(&mut self, history: &History, places: &[Option<(u32, u8)>]) {
        for (number, session) in history.sessions.iter().enumerate() {
            let mut here: Vec<(u32, Bought)> = Vec::new();
            for line in &history.lines[session.lines.clone()] {
                if let Some((category, agent)) = places[line.item as usize] {
                    let bought = Bought {
                        agent,
                        units: line.units,
                        paid_minor: line.price_minor.0,
                    };
                    here.push((category, bought));
                }
            }
            here.sort_unstable_by_key(|(category, bought)| (*category, bought.agent));
            let mut rest = here.as_slice();
            for category in 0..self.agents.len() {
                let of_category = rest.partition_point(|(other, _)| *other as usize == category);
                let (first, left) = rest.split_at(of_category);
                rest = left;
                self.bought.extend(first.iter().map(|(_, bought)| *bought));
                self.bought_from.push(self.bought.len() as u32);
                if !first.is_empty() {
                    self.buyers[category].push(number as u32);
                }
            }
        }
    }
}

/// Per item of the history its category and agent number, where it is selected.
fn places(history: &History, selection: &Selection) -> Vec<Option<(u32, u8)>> {
    let mut places = vec![None; history.items.len()];
    for (category, selected) in (0..).zip(&selection.categories) {
        for (agent, item) in (0..).zip(&selected.items) {
            if let Some(number) = history.item_number(&item.id) {
                places[number] = Some((category, agent));
            }
        }
    }
    places
}

fn shelf_of(history: &History, selection: &Selection) -> Vec<ShelfEntry> {
    let items = || selection.categories.iter().flat_map(|category| &category.items);
    let numbers: Vec<Option<usize>> = items().map(|item| history.item_number(&item.id)).collect();
    let mut entries = Vec::with_capacity(history.shelf.weeks * numbers.len());
    for week in (history.shelf.first_week..).take(history.shelf.weeks) {
        for (item, number) in items().zip(&numbers) {
            entries.push(match number {
                Some(number) => *history.shelf.entry(week, *number),
                None => ShelfEntry {
                    posted_minor: item.base_minor,
                    mailer: 0.0,
                    display: 0.0,
                },
            });
        }
    }
    entries
}
