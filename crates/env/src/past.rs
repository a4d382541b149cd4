//! What the log left behind before each session: category states and loyalties, without a look into the future.

use haggle_core::{Catalog, CategoryState, Loyalty, MemoryRates};
use haggle_history::Replay;

/// A category's state is kept at every so many sessions and rolled forward from there.
const STRIDE: usize = 64;

#[derive(Debug)]
pub(crate) struct Past {
    rates: MemoryRates,
    /// `[category][session / STRIDE]`.
    checkpoints: Vec<Vec<CategoryState>>,
    /// `[user][category]` -> range of `buyers`, as offsets.
    buyers_from: Vec<usize>,
    /// The sessions in which a user bought something of a category, in order.
    buyers: Vec<u32>,
}

impl Past {
    pub(crate) fn of(catalog: &Catalog, replay: &Replay, rates: MemoryRates) -> Self {
        let categories = catalog.categories().len();
        let checkpoints = (0..categories)
            .map(|category| {
                let mut state = CategoryState::initial(catalog, category);
                let mut kept = Vec::with_capacity(replay.sessions.len() / STRIDE + 1);
                for session in 0..replay.sessions.len() {
                    if session % STRIDE == 0 {
                        kept.push(state.clone());
                    }
                    roll(&mut state, catalog, replay, category, session, &rates);
                }
                kept
            })
            .collect();
        let (buyers_from, buyers) = buyers(replay, categories);
        Self {
            rates,
            checkpoints,
            buyers_from,
            buyers,
        }
    }

    /// The category as the log had left it when `session` began.
    pub(crate) fn state(
        &self,
        catalog: &Catalog,
        replay: &Replay,
        category: usize,
        session: usize,
        state: &mut CategoryState,
    ) {
        let from = session / STRIDE;
        state.items.clone_from(&self.checkpoints[category][from].items);
        for earlier in from * STRIDE..session {
            roll(state, catalog, replay, category, earlier, &self.rates);
        }
    }

    /// What a user had chosen in a category when `session` began.
    pub(crate) fn loyalty(
        &self,
        replay: &Replay,
        category: usize,
        user: u32,
        session: usize,
        out: &mut Loyalty,
    ) {
        out.counts.clear();
        out.last = None;
        let at = user as usize * replay.agents.len() + category;
        let own = &self.buyers[self.buyers_from[at]..self.buyers_from[at + 1]];
        for earlier in own.iter().take_while(|earlier| (**earlier as usize) < session) {
            replay.remember(*earlier as usize, category, &self.rates, out);
        }
    }
}

/// One logged visit passes: posted prices shown, logged units bought.
fn roll(
    state: &mut CategoryState,
    catalog: &Catalog,
    replay: &Replay,
    category: usize,
    session: usize,
    rates: &MemoryRates,
) {
    let items = catalog.categories()[category].items.clone();
    let shelf = replay.shelf(replay.sessions[session].week, items);
    for (agent, entry) in shelf.iter().enumerate() {
        state.on_shown(agent, entry.posted_minor, rates);
    }
    for bought in replay.bought(session, category) {
        state.on_bought(usize::from(bought.agent), bought.units, rates);
    }
}

fn buyers(replay: &Replay, categories: usize) -> (Vec<usize>, Vec<u32>) {
    let mut all: Vec<(usize, u32)> = Vec::new();
    for category in 0..categories {
        for session in replay.buyers(category) {
            if let Some(user) = replay.sessions[*session as usize].user {
                all.push((user as usize * categories + category, *session));
            }
        }
    }
    all.sort_unstable();
    let from = (0..=replay.users * categories)
        .map(|at| all.partition_point(|buyer| buyer.0 < at))
        .collect();
    (from, all.into_iter().map(|(_, session)| session).collect())
}
