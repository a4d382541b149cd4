//! The sessions of a replay as the model sees them: streamed once, in order, through the state that the simulator keeps.

use crate::look::{AGENTS_MAX, ItemLook, Kind, Look, Scale, TASTES, relative_prices};
use haggle_core::{Catalog, CategoryState, Loyalty, MemoryRates, Visit};
use haggle_history::Replay;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// All sessions of some weeks in front of one category.
pub(crate) struct CategoryRows {
    agents: usize,
    total: Vec<f32>,
    habit: Vec<f32>,
    /// `[row][agent]`.
    items: Vec<ItemRow>,
    tastes: Arc<Vec<[f64; TASTES]>>,
}

#[derive(Clone, Copy)]
struct ItemRow {
    loyalty: f32,
    last: bool,
    mailer: f32,
    display: f32,
    reference: f32,
    posted: f32,
}

impl CategoryRows {
    /// A visit and the posted prices (relative logs) that it met.
    pub fn look(&self, row: usize) -> (Look, [f64; AGENTS_MAX]) {
        let mut look = Look {
            tastes: self.tastes[row],
            total: f64::from(self.total[row]),
            habit: f64::from(self.habit[row]),
            items: [ItemLook::default(); AGENTS_MAX],
        };
        let mut posted = [0.0; AGENTS_MAX];
        for (j, item) in self.items[row * self.agents..(row + 1) * self.agents]
            .iter()
            .enumerate()
        {
            posted[j] = f64::from(item.posted);
            look.items[j] = ItemLook {
                loyalty: f64::from(item.loyalty),
                last: f64::from(u8::from(item.last)),
                mailer: f64::from(item.mailer),
                display: f64::from(item.display),
                reference: f64::from(item.reference),
            };
        }
        (look, posted)
    }
}

impl CategoryRows {
    /// The part of a visit that the visit model looks at, promotions and prices apart.
    pub fn habit(&self, row: usize) -> (&[f64; TASTES], f64) {
        (&self.tastes[row], f64::from(self.habit[row]))
    }
}

/// Streams the replay through the state of every category and keeps the rows of `window` (session indices).
///
/// The state sees every session from the first one on, at posted prices.
pub(crate) fn collect(
    catalog: &Catalog,
    kinds: &[Kind],
    scale: &Scale,
    rates: &MemoryRates,
    replay: &Replay,
    window: &Range<usize>,
) -> Vec<CategoryRows> {
    let tastes: Vec<_> = replay.sessions[window.clone()]
        .par_iter()
        .map(|session| scale.tastes(&session.context))
        .collect();
    let tastes = Arc::new(tastes);
    (0..kinds.len())
        .into_par_iter()
        .map(|category| {
            let mut rows = CategoryRows {
                agents: kinds[category].items.len(),
                total: Vec::with_capacity(window.len()),
                habit: Vec::with_capacity(window.len()),
                items: Vec::with_capacity(window.len() * kinds[category].items.len()),
                tastes: Arc::clone(&tastes),
            };
            stream(catalog, category, rates, replay, window.end, |session, visit| {
                if session >= window.start {
                    rows.push(&kinds[category], scale, visit);
                }
            });
            rows
        })
        .collect()
}

impl CategoryRows {
    fn push(&mut self, kind: &Kind, scale: &Scale, visit: &Visit<'_>) {
        let look = Look::of(kind, scale, visit);
        let mut prices = [0.0; AGENTS_MAX];
        for (price, shelf) in prices.iter_mut().zip(visit.shelf) {
            *price = shelf.posted_minor.as_f64();
        }
        let posted = relative_prices(kind, &prices);
        self.total.push(look.total as f32);
        self.habit.push(look.habit as f32);
        for (item, posted) in look.items.iter().zip(posted).take(self.agents) {
            self.items.push(ItemRow {
                loyalty: item.loyalty as f32,
                last: item.last > 0.0,
                mailer: item.mailer as f32,
                display: item.display as f32,
                reference: item.reference as f32,
                posted: posted as f32,
            });
        }
    }
}

/// Shows every visit of one category up to session `end`, in order, with the state at its beginning.
fn stream(
    catalog: &Catalog,
    category: usize,
    rates: &MemoryRates,
    replay: &Replay,
    end: usize,
    mut visit: impl FnMut(usize, &Visit<'_>),
) {
    let range = catalog.categories()[category].items.clone();
    let mut state = CategoryState::initial(catalog, category);
    let mut loyalties = vec![Loyalty::default(); replay.users];
    let stranger = Loyalty::default();
    for (index, session) in replay.sessions[..end].iter().enumerate() {
        let shelf = replay.shelf(session.week, range.clone());
        let user = session.user.map(|user| user as usize);
        visit(
            index,
            &Visit {
                catalog,
                category,
                session: &session.context,
                shelf,
                state: &state,
                loyalty: user.map_or(&stranger, |user| &loyalties[user]),
            },
        );
        for (agent, entry) in shelf.iter().enumerate() {
            state.on_shown(agent, entry.posted_minor, rates);
        }
        for bought in replay.bought(index, category) {
            state.on_bought(usize::from(bought.agent), bought.units, rates);
        }
        if let Some(user) = user {
            replay.remember(index, category, rates, &mut loyalties[user]);
        }
    }
}
