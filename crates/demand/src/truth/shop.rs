//! A shop whose demand is known, and sessions drawn from it.

use crate::look::{Kind, KindItem, Scale};
use crate::model::{Content, Member};
use crate::{Demand, DemandModel, FitConfig, Rung, fit};
use haggle_core::{
    CategoryState, Digest, Loyalty, MemoryRates, PriceMinor, Seeds, SessionContext, ShelfEntry, Visit,
};
use haggle_history::{
    History, ItemInfo, Line, Replay, SelectedCategory, SelectedItem, Selection, Session, Shelf, Source,
};
use rand::RngExt;
use std::collections::BTreeMap;

pub(super) const AGENTS: usize = 3;
pub(super) const CATEGORIES: usize = 3;
pub(super) const USERS: u32 = 300;
pub(super) const WEEKS: u32 = 24;
pub(super) const SESSIONS_A_WEEK: usize = 400;
pub(super) const PRICE: [f64; CATEGORIES] = [1.0, 2.0, 3.0];
/// By which share the price slope of each item differs from its category's.
pub(super) const TILTS: [f64; AGENTS] = [0.4, 0.0, -0.4];
pub(super) const OUTSIDE: f64 = 0.5;
pub(super) const KAPPA: f64 = 1.0;
pub(super) const LOYALTY: f64 = 0.8;
pub(super) const MAILER: f64 = 0.6;

pub(super) fn kinds() -> Vec<Kind> {
    let item = |category: usize, agent: usize| {
        let base = 200 + 50 * agent as u32;
        let mut item = KindItem::of(
            &format!("{category}-{agent}"),
            base,
            base * 7 / 10,
            base * 13 / 10,
        )
        .unwrap();
        (item.share, item.sales_rate) = (1.0 / AGENTS as f64, 0.1);
        item
    };
    let kind = |category: usize| Kind {
        name: format!("category {category}"),
        items: (0..AGENTS).map(|agent| item(category, agent)).collect(),
        visit_rate: 0.3,
    };
    (0..CATEGORIES).map(kind).collect()
}

pub(super) fn selection(kinds: &[Kind]) -> Selection {
    let item = |category: usize, agent: usize, item: &KindItem| SelectedItem {
        index: (category * AGENTS + agent) as u32,
        id: item.id.clone(),
        base_minor: PriceMinor(item.base_minor),
        low_minor: PriceMinor(item.low_minor),
        high_minor: PriceMinor(item.high_minor),
    };
    let category = |(number, kind): (usize, &Kind)| SelectedCategory {
        name: kind.name.clone(),
        items: kind
            .items
            .iter()
            .enumerate()
            .map(|(agent, known)| item(number, agent, known))
            .collect(),
    };
    Selection {
        categories: kinds.iter().enumerate().map(category).collect(),
        train_weeks: 1..WEEKS + 1,
    }
}

/// The true model; its second member is another one, so that "all members" means something.
pub(super) fn truth() -> DemandModel {
    let kinds = kinds();
    let member = |news: f64, outside: f64| Member {
        choice: crate::choice::known(&kinds, &PRICE, &TILTS, LOYALTY, MAILER, news),
        visit: crate::visit::known(CATEGORIES, -0.8, outside),
        quantity: crate::quantity::known(&kinds, -0.7, KAPPA),
        multiplicity: vec![1.2; CATEGORIES],
    };
    let context = SessionContext::default();
    DemandModel::of(Content {
        history: Digest::of(b"none"),
        selection: selection(&kinds),
        train_weeks: 1..WEEKS + 1,
        seed: 1,
        rung: Rung::R1,
        rates: MemoryRates::default(),
        scale: Scale::of(std::iter::once(&context), 0, &MemoryRates::default()),
        members: vec![member(0.0, OUTSIDE), member(0.7, 1.0)],
        kinds: kinds.clone(),
    })
}

pub(super) fn shelf(seed: u64) -> Shelf {
    let mut rng = Seeds::new(seed).named("shelf").rng();
    let kinds = kinds();
    let items: Vec<&KindItem> = kinds.iter().flat_map(|kind| &kind.items).collect();
    let mut entries = Vec::new();
    for _ in 0..WEEKS {
        for item in &items {
            entries.push(ShelfEntry {
                posted_minor: PriceMinor::rounded(f64::from(item.base_minor) * rng.random_range(0.72..1.28)),
                mailer: if rng.random_bool(0.3) { 1.0 } else { 0.0 },
                display: 0.0,
            });
        }
    }
    Shelf {
        first_week: 1,
        weeks: WEEKS as usize,
        items: items.len(),
        entries,
    }
}

/// A history in which the shoppers of the truth met randomly changing prices.
pub(super) fn simulate(truth: &DemandModel, seed: u64) -> (History, Replay) {
    let catalog = truth.catalog(&[1.0], None).unwrap();
    let shelf = shelf(seed);
    let mut rng = Seeds::new(seed).named("shoppers").rng();
    let mut states: Vec<CategoryState> = (0..CATEGORIES)
        .map(|category| CategoryState::initial(&catalog, category))
        .collect();
    let mut loyalties = vec![Loyalty::default(); USERS as usize * CATEGORIES];
    let (mut sessions, mut lines) = (Vec::new(), Vec::new());
    let context = SessionContext::default();
    for number in 0..WEEKS as usize * SESSIONS_A_WEEK {
        let week = (number / SESSIONS_A_WEEK) as u32 + 1;
        let user = rng.random_range(0..USERS);
        let start = lines.len();
        for (category, state) in states.iter_mut().enumerate() {
            let first = (week - 1) as usize * shelf.items + category * AGENTS;
            let row = &shelf.entries[first..first + AGENTS];
            let prices: Vec<f64> = row.iter().map(|entry| entry.posted_minor.as_f64()).collect();
            let loyalty = user as usize * CATEGORIES + category;
            let mut units = [0; AGENTS];
            truth.shop(
                &Visit {
                    catalog: &catalog,
                    category,
                    session: &context,
                    shelf: row,
                    state,
                    loyalty: &loyalties[loyalty],
                },
                &prices,
                0,
                &mut || rng.random(),
                &mut units,
            );
            for agent in 0..AGENTS {
                state.on_shown(agent, row[agent].posted_minor, &truth.rates());
                if units[agent] > 0 {
                    loyalties[loyalty].on_chosen(agent, AGENTS, &truth.rates());
                    let item = (category * AGENTS + agent) as u32;
                    lines.push(Line {
                        item,
                        units: units[agent],
                        price_minor: row[agent].posted_minor,
                    });
                }
            }
        }
        sessions.push(Session {
            id: format!("s{number:06}"),
            user: Some(user),
            time_s: number as i64 * 1500,
            week,
            lines: start..lines.len(),
        });
    }
    let info = |item: &KindItem, kind: &Kind| ItemInfo {
        id: item.id.clone(),
        category: kind.name.clone(),
        department: "all".into(),
    };
    let history = History {
        sessions,
        lines,
        items: truth
            .content
            .kinds
            .iter()
            .flat_map(|kind| kind.items.iter().map(|item| info(item, kind)))
            .collect(),
        users: (0..USERS).map(|user| format!("u{user:04}")).collect(),
        shelf,
        offers: Vec::new(),
        source: Source {
            format: "simulated".into(),
            files: BTreeMap::new(),
        },
        digest: Digest::of(&seed.to_le_bytes()),
    };
    let replay = Replay::new(&history, truth.selection());
    (history, replay)
}

pub(super) fn config(members: usize) -> FitConfig {
    FitConfig {
        train_weeks: 1..WEEKS + 1,
        members,
        seed: 3,
        rates: MemoryRates::default(),
    }
}

pub(super) fn fitted(truth: &DemandModel, seed: u64, members: usize) -> DemandModel {
    let (history, replay) = simulate(truth, seed);
    fit(&history, truth.selection(), &replay, &config(members)).unwrap()
}
