//! A small shop whose demand is known exactly, and a log of sessions that it made.

use haggle_core::{
    Catalog, Digest, Item, ItemTraits, Ladder, Loyalty, MemoryRates, PriceMinor, SavedCategory, Seeds,
    ShelfEntry, Visit,
};
use haggle_demand::{Demand, Response};
use haggle_env::World;
use haggle_history::{
    History, ItemInfo, Line, Replay, SelectedCategory, SelectedItem, Selection, Session, Shelf, Source,
};
use rand::RngExt;
use std::sync::Arc;

pub const MULTIPLES: [f64; 5] = [0.8, 0.9, 1.0, 1.1, 1.2];
const CATEGORIES: [(&str, &[u32]); 2] = [("bread", &[200, 300, 400]), ("milk", &[100, 150])];

/// One logit per category with an outside option: utility `strength - slope ln(price / base) + habit ln(n share)`, at
/// most one unit. Member `m` has a slope of `slope + 0.1 m`.
pub struct Shoppers {
    pub slope: f64,
    pub strength: f64,
    pub habit: f64,
    pub members: usize,
}

impl Shoppers {
    pub fn new(slope: f64) -> Self {
        Self {
            slope,
            strength: -1.0,
            habit: 0.5,
            members: 3,
        }
    }

    fn chances(&self, visit: &Visit<'_>, prices_minor: &[f64], member: usize, out: &mut [Response]) {
        let items = visit.catalog.items_of(visit.category);
        let slope = self.slope + 0.1 * member as f64;
        let mut total = 1.0;
        for (agent, (item, price)) in items.iter().zip(prices_minor).enumerate() {
            let even = (items.len() as f64).ln();
            let share = f64::from(visit.loyalty.log_share(agent, items.len())) + even;
            let relative = (price / item.base_minor.as_f64()).ln();
            let weight = (self.strength - slope * relative + self.habit * share).exp();
            total += weight;
            out[agent] = Response {
                purchases: weight,
                units: 1.0,
            };
        }
        for response in out {
            response.purchases /= total;
        }
    }
}

impl Demand for Shoppers {
    fn members(&self) -> usize {
        self.members
    }

    fn respond(&self, visit: &Visit<'_>, prices_minor: &[f64], member: usize, out: &mut [Response]) {
        self.chances(visit, prices_minor, member, out);
    }

    fn shop(
        &self,
        visit: &Visit<'_>,
        prices_minor: &[f64],
        member: usize,
        uniform: &mut dyn FnMut() -> f64,
        units: &mut [u32],
    ) {
        let mut chances = [Response::default(); 8];
        let chances = &mut chances[..units.len()];
        self.chances(visit, prices_minor, member, chances);
        let mut left = uniform();
        units.fill(0);
        for (units, chance) in units.iter_mut().zip(chances) {
            if left < chance.purchases {
                *units = 1;
                return;
            }
            left -= chance.purchases;
        }
    }
}

pub fn catalog() -> Catalog {
    let group = |(name, bases): &(&str, &[u32])| SavedCategory {
        name: (*name).to_owned(),
        items: bases.iter().map(|base| item(name, *base)).collect(),
    };
    Catalog::new(CATEGORIES.iter().map(group).collect()).unwrap()
}

fn item(category: &str, base: u32) -> Item {
    Item {
        id: format!("{category}-{base}"),
        base_minor: PriceMinor(base),
        low_minor: PriceMinor(base * 4 / 5),
        high_minor: PriceMinor(base * 6 / 5),
        cost_minor: Some(PriceMinor(base / 2)),
        ladder: Ladder::of_multiples(PriceMinor(base), &MULTIPLES).unwrap(),
        traits: ItemTraits {
            anchor_log: 0.0,
            revenue_slope: 1.0,
            share: 0.4,
            sales_rate: 0.2,
        },
    }
}

/// What is posted in a week, as a multiple of the base price.
pub type Posted = fn(week: u32, item: usize) -> f64;

/// `weeks` weeks of `per_week` sessions of 40 users (every eighth session is a stranger's), bought by `shoppers`' member 0.
pub fn world(shoppers: Shoppers, posted: Posted, weeks: u32, per_week: u32, seed: u64) -> World {
    let catalog = catalog();
    let rates = MemoryRates::default();
    let shelf = shelf(&catalog, posted, weeks);
    let empty = history(&catalog, shelf.clone(), weeks, per_week, seed, |_| Vec::new());
    let selection = selection(&catalog, weeks);
    let bare = Replay::new(&empty, &selection);
    let before = World::new(catalog.clone(), bare, Arc::new(Shoppers::new(1.0)), rates).unwrap();
    let mut rng = Seeds::new(seed).named("shop").rng();
    let mut loyalties = vec![[Loyalty::default(), Loyalty::default()]; 41];
    let bought = |session: usize| {
        let user = empty.sessions[session].user.map_or(40, |user| user as usize);
        let mut bought = Vec::new();
        for (category, group) in catalog.categories().iter().enumerate() {
            let entries = before.shelf(session, category);
            let prices: Vec<f64> = entries.iter().map(|entry| entry.posted_minor.as_f64()).collect();
            let state = haggle_core::CategoryState::initial(&catalog, category);
            let visit = Visit {
                catalog: &catalog,
                category,
                session: &before.replay().sessions[session].context,
                shelf: entries,
                state: &state,
                loyalty: &loyalties[user][category],
            };
            let mut units = vec![0; prices.len()];
            shoppers.shop(&visit, &prices, 0, &mut || rng.random(), &mut units);
            for (agent, units) in units.iter().enumerate().filter(|(_, units)| **units > 0) {
                if user < 40 {
                    loyalties[user][category].on_chosen(agent, prices.len(), &rates);
                }
                bought.push(Line {
                    item: (group.items.start + agent) as u32,
                    units: *units,
                    price_minor: entries[agent].posted_minor,
                });
            }
        }
        bought
    };
    let full = history(&catalog, shelf, weeks, per_week, seed, bought);
    let replay = Replay::new(&full, &selection);
    World::new(catalog, replay, Arc::new(shoppers), rates).unwrap()
}

fn shelf(catalog: &Catalog, posted: Posted, weeks: u32) -> Shelf {
    let items = catalog.items();
    let entry = |week: u32, number: usize| ShelfEntry {
        posted_minor: PriceMinor::rounded(items[number].base_minor.as_f64() * posted(week, number)),
        mailer: 0.0,
        display: 0.0,
    };
    Shelf {
        first_week: 1,
        weeks: weeks as usize,
        items: items.len(),
        entries: (1..=weeks)
            .flat_map(|week| (0..items.len()).map(move |number| (week, number)))
            .map(|(week, number)| entry(week, number))
            .collect(),
    }
}

fn history(
    catalog: &Catalog,
    shelf: Shelf,
    weeks: u32,
    per_week: u32,
    seed: u64,
    mut bought: impl FnMut(usize) -> Vec<Line>,
) -> History {
    let mut rng = Seeds::new(seed).named("arrivals").rng();
    let mut sessions = Vec::new();
    let mut lines = Vec::new();
    for number in 0..weeks * per_week {
        let from = lines.len();
        lines.extend(bought(number as usize));
        sessions.push(Session {
            id: format!("s{number:06}"),
            user: (number % 8 != 7).then(|| rng.random_range(0..40)),
            time_s: i64::from(number) * 7 * 86_400 / i64::from(per_week),
            week: 1 + number / per_week,
            lines: from..lines.len(),
        });
    }
    let info = |item: &Item| ItemInfo {
        id: item.id.clone(),
        category: item.id[..item.id.len() - 4].to_owned(),
        department: "grocery".to_owned(),
    };
    History {
        sessions,
        lines,
        items: catalog.items().iter().map(info).collect(),
        users: (0..40).map(|user| format!("u{user:02}")).collect(),
        shelf,
        offers: Vec::new(),
        source: Source::default(),
        digest: Digest::of(b"a small shop"),
    }
}

fn selection(catalog: &Catalog, weeks: u32) -> Selection {
    let mut index = 0;
    let mut item = |item: &Item| {
        index += 1;
        SelectedItem {
            index: index - 1,
            id: item.id.clone(),
            base_minor: item.base_minor,
            low_minor: item.low_minor,
            high_minor: item.high_minor,
        }
    };
    let groups: Vec<SavedCategory> = catalog.clone().into();
    Selection {
        categories: groups
            .iter()
            .map(|group| SelectedCategory {
                name: group.name.clone(),
                items: group.items.iter().map(&mut item).collect(),
            })
            .collect(),
        train_weeks: 1..weeks + 1,
    }
}
