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
    /// `[user][category]` -> range of `choices`, as offsets.
    choices_from: Vec<usize>,
    /// Session and agent of each choice, in time order.
    choices: Vec<(u32, u8)>,
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
        let (choices_from, choices) = choices(replay, categories);
        Self {
            rates,
            checkpoints,
            choices_from,
            choices,
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
        catalog: &Catalog,
        category: usize,
        user: u32,
        session: usize,
        out: &mut Loyalty,
    ) {
        out.counts.clear();
        out.last = None;
        let agents = catalog.categories()[category].items.len();
        let at = user as usize * catalog.categories().len() + category;
        let own = &self.choices[self.choices_from[at]..self.choices_from[at + 1]];
        for (_, agent) in own.iter().take_while(|(when, _)| (*when as usize) < session) {
            out.on_chosen(usize::from(*agent), agents, &self.rates);
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

fn choices(replay: &Replay, categories: usize) -> (Vec<usize>, Vec<(u32, u8)>) {
    let mut all: Vec<(usize, u32, u8)> = Vec::new();
    for (number, session) in replay.sessions.iter().enumerate() {
        let Some(user) = session.user else { continue };
        for category in 0..categories {
            let at = user as usize * categories + category;
            let bought = replay.bought(number, category);
            all.extend(bought.iter().map(|bought| (at, number as u32, bought.agent)));
        }
    }
    all.sort_by_key(|(at, session, _)| (*at, *session));
    let from = (0..=replay.users * categories)
        .map(|at| all.partition_point(|choice| choice.0 < at))
        .collect();
    (
        from,
        all.into_iter()
            .map(|(_, session, agent)| (session, agent))
            .collect(),
    )
}
