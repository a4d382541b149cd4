use crate::past::Past;
use crate::replay_config::ReplayError;
use haggle_core::{
    Bounds, Catalog, CategoryState, Guardrails, Loyalty, Mask, MemoryRates, ShelfEntry, Visit, allowed_rungs,
};
use haggle_demand::Demand;
use haggle_history::Replay;
use std::sync::Arc;

/// What replay and evaluation share: items, logged sessions, and the demand model that answers other prices.
pub struct World {
    catalog: Catalog,
    replay: Replay,
    demand: Arc<dyn Demand>,
    rates: MemoryRates,
    past: Past,
}

impl World {
    /// A world of sessions that answer by a demand model.
    ///
    /// # Errors
    /// When catalogue and sessions do not have the same agents.
    pub fn new(
        catalog: Catalog,
        replay: Replay,
        demand: Arc<dyn Demand>,
        rates: MemoryRates,
    ) -> Result<Self, ReplayError> {
        let known: Vec<usize> = catalog
            .categories()
            .iter()
            .map(|category| category.items.len())
            .collect();
        if known.len() != replay.agents.len() {
            return Err(ReplayError::Config(format!(
                "the catalogue has {} categories, the sessions have {}",
                known.len(),
                replay.agents.len()
            )));
        }
        for (category, (catalog, sessions)) in known.iter().zip(&replay.agents).enumerate() {
            if catalog != sessions {
                return Err(ReplayError::Mismatch {
                    category,
                    catalog: *catalog,
                    sessions: *sessions,
                });
            }
        }
        let past = Past::of(&catalog, &replay, rates);
        Ok(Self {
            catalog,
            replay,
            demand,
            rates,
            past,
        })
    }

    /// The items that are priced.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The logged sessions.
    #[must_use]
    pub fn replay(&self) -> &Replay {
        &self.replay
    }

    /// What answers.
    #[must_use]
    pub fn demand(&self) -> &dyn Demand {
        &*self.demand
    }

    /// How fast memories fade.
    #[must_use]
    pub fn rates(&self) -> &MemoryRates {
        &self.rates
    }

    /// The posted prices in front of a session.
    #[must_use]
    pub fn shelf(&self, session: usize, category: usize) -> &[ShelfEntry] {
        let items = self.catalog.categories()[category].items.clone();
        self.replay.shelf(self.replay.sessions[session].week, items)
    }

    /// A session in front of a category.
    pub(crate) fn visit<'a>(
        &'a self,
        session: usize,
        category: usize,
        state: &'a CategoryState,
        loyalty: &'a Loyalty,
    ) -> Visit<'a> {
        Visit {
            catalog: &self.catalog,
            category,
            session: &self.replay.sessions[session].context,
            shelf: self.shelf(session, category),
            state,
            loyalty,
        }
    }

    /// The category as the log had left it when a session began.
    pub fn logged_state(&self, category: usize, session: usize, state: &mut CategoryState) {
        self.past
            .state(&self.catalog, &self.replay, category, session, state);
    }

    /// What a user had chosen in a category, by the log, when a session began.
    pub fn logged_loyalty(&self, category: usize, user: u32, session: usize, loyalty: &mut Loyalty) {
        self.past.loyalty(&self.replay, category, user, session, loyalty);
    }

    /// The allowed rungs of every item under standing rules.
    ///
    /// # Errors
    /// When an item is left without any.
    pub fn masks(&self, guardrails: &Guardrails) -> Result<Vec<Mask>, ReplayError> {
        let of = |item| match allowed_rungs(item, guardrails, &Bounds::default()) {
            Ok((mask, _)) => Ok(mask),
            Err(error) => Err(ReplayError::Config(error.to_string())),
        };
        self.catalog.items().iter().map(of).collect()
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (sessions, items) = (self.replay.sessions.len(), self.catalog.items().len());
        write!(f, "World of {sessions} sessions and {items} items")
    }
}
