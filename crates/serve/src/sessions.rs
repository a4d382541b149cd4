use haggle_core::{CategoryState, Loyalty, SessionContext, ShelfEntry};
use std::collections::{HashMap, VecDeque};

/// Snapshots kept at most; beyond it the session that began longest ago is forgotten.
const SNAPSHOTS_MAX: usize = 65_536;

/// What one session saw when it first stood in front of one category. All its items are priced on this, so that the
/// agents of a category move at the same time, as they do in the environment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The category.
    pub category: usize,
    /// What is planned for each item.
    pub shelf: Vec<ShelfEntry>,
    /// What earlier visits left behind.
    pub state: CategoryState,
    /// What the user chose before.
    pub loyalty: Loyalty,
    /// Which items the session has chosen: each counts once.
    pub chosen: Vec<bool>,
}

/// What is remembered of one session.
#[derive(Debug)]
struct Open {
    /// Who it is, as it said last.
    context: SessionContext,
    snapshots: Vec<Snapshot>,
}

/// The snapshots of the sessions that are open, oldest first to go.
#[derive(Debug, Default)]
pub struct Sessions {
    by_id: HashMap<Box<str>, Open>,
    order: VecDeque<Box<str>>,
    snapshots: usize,
}

impl Sessions {
    /// The snapshot of a session in front of a category.
    #[must_use]
    pub fn find(&self, session: &str, category: usize) -> Option<&Snapshot> {
        let snapshots = &self.by_id.get(session)?.snapshots;
        snapshots.iter().find(|snapshot| snapshot.category == category)
    }

    /// The same, to be changed.
    pub fn find_mut(&mut self, session: &str, category: usize) -> Option<&mut Snapshot> {
        let snapshots = &mut self.by_id.get_mut(session)?.snapshots;
        snapshots
            .iter_mut()
            .find(|snapshot| snapshot.category == category)
    }

    /// Who the session is, as it said last, in front of whichever category.
    #[must_use]
    pub fn context(&self, session: &str) -> Option<SessionContext> {
        Some(self.by_id.get(session)?.context)
    }

    /// Keeps who the session is, and its snapshot in place of the one of the same category. Forgets the oldest session
    /// when there are too many snapshots.
    pub fn keep(&mut self, session: &str, context: SessionContext, snapshot: Snapshot) {
        if !self.by_id.contains_key(session) {
            self.order.push_back(session.into());
        }
        let open = self.by_id.entry(session.into()).or_insert_with(|| Open {
            context,
            snapshots: Vec::new(),
        });
        open.context = context;
        let same = |kept: &&mut Snapshot| kept.category == snapshot.category;
        if let Some(kept) = open.snapshots.iter_mut().find(same) {
            *kept = snapshot;
            return;
        }
        open.snapshots.push(snapshot);
        self.snapshots += 1;
        while self.snapshots > SNAPSHOTS_MAX && self.order.len() > 1 {
            let oldest = self.order.pop_front();
            let gone = oldest.and_then(|oldest| self.by_id.remove(&oldest));
            self.snapshots -= gone.map_or(0, |gone| gone.snapshots.len());
        }
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

    fn snapshot(category: usize) -> Snapshot {
        Snapshot {
            category,
            shelf: Vec::new(),
            state: CategoryState { items: Vec::new() },
            loyalty: Loyalty::default(),
            chosen: Vec::new(),
        }
    }

    #[test]
    fn the_oldest_session_goes_first() {
        let mut sessions = Sessions::default();
        for n in 0..SNAPSHOTS_MAX / 2 + 1 {
            for category in [0, 1, 1] {
                sessions.keep(&format!("s{n}"), SessionContext::default(), snapshot(category));
            }
        }
        assert_eq!(sessions.count(), SNAPSHOTS_MAX / 2);
        assert!(sessions.find("s0", 0).is_none());
        assert!(sessions.find("s1", 1).is_some());
    }
}
