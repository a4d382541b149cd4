use foldhash::fast::RandomState;
use haggle_core::{CategoryState, Loyalty, PriceMinor, SessionContext, ShelfEntry};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Snapshots kept at most; beyond it the session that began longest ago is forgotten.
const SNAPSHOTS_MAX: usize = 65_536;

/// What one session saw when it first stood in front of one category. All its items are priced on this, so that the
/// agents of a category move at the same time, as they do in the environment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sight {
    /// The category.
    pub category: usize,
    /// What is planned for each item.
    pub shelf: Vec<ShelfEntry>,
    /// What earlier visits left behind.
    pub state: CategoryState,
    /// What the user chose before.
    pub loyalty: Loyalty,
}

/// A session in front of one category: what it saw first, and what happened to each item since.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    /// What it saw first.
    pub sight: Arc<Sight>,
    /// What happened since, item by item.
    pub items: Vec<ItemOfSession>,
}

/// What a session did with one item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemOfSession {
    /// It was bought: that is a choice, and counts once.
    pub chosen: bool,
    /// The price that it was shown last, and since when.
    pub told: Option<(PriceMinor, i64)>,
    /// The lowest price at which it was put into the cart.
    pub carted: Option<PriceMinor>,
}

/// What is remembered of one session.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Open {
    /// Who it is, as it said last.
    context: SessionContext,
    snapshots: Vec<Snapshot>,
}

/// The snapshots of the sessions that are open, oldest first to go.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sessions {
    by_id: HashMap<Box<str>, Open, RandomState>,
    order: VecDeque<Box<str>>,
    snapshots: usize,
}

impl Sessions {
    /// The snapshot of a session in front of a category.
    #[must_use]
    pub fn find(&self, session: &str, category: usize) -> Option<&Snapshot> {
        let snapshots = &self.by_id.get(session)?.snapshots;
        snapshots
            .iter()
            .find(|snapshot| snapshot.sight.category == category)
    }

    /// The same, to be changed.
    pub fn find_mut(&mut self, session: &str, category: usize) -> Option<&mut Snapshot> {
        let snapshots = &mut self.by_id.get_mut(session)?.snapshots;
        snapshots
            .iter_mut()
            .find(|snapshot| snapshot.sight.category == category)
    }

    /// Who the session is, as it said last, in front of whichever category.
    #[must_use]
    pub fn context(&self, session: &str) -> Option<SessionContext> {
        Some(self.by_id.get(session)?.context)
    }

    /// Keeps who the session is, and what it sees of a category. What happened to the items stays. Forgets the oldest session
    /// when there are too many snapshots.
    pub fn keep(&mut self, session: &str, context: SessionContext, sight: Arc<Sight>) {
        let open = if let Some(open) = self.by_id.get_mut(session) {
            open
        } else {
            self.order.push_back(session.into());
            self.by_id.entry(session.into()).or_insert_with(|| Open {
                context,
                snapshots: Vec::new(),
            })
        };
        open.context = context;
        let same = |kept: &&mut Snapshot| kept.sight.category == sight.category;
        if let Some(kept) = open.snapshots.iter_mut().find(same) {
            kept.sight = sight;
            return;
        }
        let items = vec![ItemOfSession::default(); sight.shelf.len()];
        open.snapshots.push(Snapshot { sight, items });
        self.snapshots += 1;
        while self.snapshots > SNAPSHOTS_MAX && self.order.len() > 1 {
            let oldest = self.order.pop_front();
            let gone = oldest.and_then(|oldest| self.by_id.remove(&oldest));
            self.snapshots -= gone.map_or(0, |gone| gone.snapshots.len());
        }
    }

    /// Forgets every session that is not `kept`.
    pub fn forget(&mut self, kept: impl Fn(&str) -> bool) {
        self.by_id.retain(|id, _| kept(id));
        self.order.retain(|id| kept(id));
        self.snapshots = self.by_id.values().map(|open| open.snapshots.len()).sum();
    }

    /// Sessions that are remembered.
    #[must_use]
    pub fn count(&self) -> usize {
        self.by_id.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sight(category: usize) -> Arc<Sight> {
        Arc::new(Sight {
            category,
            shelf: Vec::new(),
            state: CategoryState { items: Vec::new() },
            loyalty: Loyalty::default(),
        })
    }

    #[test]
    fn the_oldest_session_goes_first() {
        let mut sessions = Sessions::default();
        for n in 0..SNAPSHOTS_MAX / 2 + 1 {
            for category in [0, 1, 1] {
                sessions.keep(&format!("s{n}"), SessionContext::default(), sight(category));
            }
        }
        assert_eq!(sessions.count(), SNAPSHOTS_MAX / 2);
        assert!(sessions.find("s0", 0).is_none());
        assert!(sessions.find("s1", 1).is_some());
    }
}
