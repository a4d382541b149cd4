//! Tests on a shop whose demand is known: sessions are drawn from a model, another is fitted on them.

use crate::look::{Kind, KindItem, Scale};
use crate::model::{Content, Member};
use crate::quantity::Quantity;
use crate::{Demand, DemandModel, FitConfig, Response, Rung, fit};
use haggle_core::{
    Catalog, CategoryState, Digest, ItemState, Loyalty, MemoryRates, PriceMinor, Seeds, SessionContext,
    ShelfEntry, Visit,
};
use haggle_history::{
    History, ItemInfo, Line, Replay, SelectedCategory, SelectedItem, Selection, Session, Shelf, Source,
};
use proptest::prelude::*;
use rand::RngExt;
use std::collections::BTreeMap;

const AGENTS: usize = 3;
const CATEGORIES: usize = 3;
const USERS: u32 = 300;
const WEEKS: u32 = 24;
const SESSIONS_A_WEEK: usize = 400;
const PRICE: [f64; CATEGORIES] = [1.0, 2.0, 3.0];
const OUTSIDE: f64 = 0.5;
const KAPPA: f64 = 1.0;
const LOYALTY: f64 = 0.8;
const MAILER: f64 = 0.6;

fn kinds() -> Vec<Kind> {
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

fn selection(kinds: &[Kind]) -> Selection {
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
fn truth() -> DemandModel {
    let kinds = kinds();
    let member = |news: f64, outside: f64| Member {
        choice: crate::choice::known(&kinds, &PRICE, LOYALTY, MAILER, news),
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

fn shelf(seed: u64) -> Shelf {
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
fn simulate(truth: &DemandModel, seed: u64) -> (History, Replay) {
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

fn config(members: usize) -> FitConfig {
    FitConfig {
        train_weeks: 1..WEEKS + 1,
        members,
        seed: 3,
        rates: MemoryRates::default(),
    }
}

fn fitted(truth: &DemandModel, seed: u64, members: usize) -> DemandModel {
    let (history, replay) = simulate(truth, seed);
    fit(&history, truth.selection(), &replay, &config(members)).unwrap()
}

/// Price slope, loyalty, outside slope and kappa of one category under every member.
fn estimates(model: &DemandModel, category: usize) -> Vec<[f64; 4]> {
    let of = |member: &Member| {
        let [loyalty, _, price] = crate::choice::estimates(&member.choice, category);
        let kappa = Quantity::of(&member.quantity, category, AGENTS).kappa();
        [
            price,
            loyalty,
            crate::visit::outside(&member.visit, category),
            kappa,
        ]
    };
    model.content.members.iter().map(of).collect()
}

fn deviation(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64).sqrt()
}

#[test]
fn a_known_truth_is_recovered_within_its_uncertainty() {
    let truth = truth();
    let model = fitted(&truth, 11, 9);
    for (category, price) in PRICE.iter().enumerate() {
        let members = estimates(&model, category);
        for (which, (name, true_value)) in [
            ("price", *price),
            ("loyalty", LOYALTY),
            ("outside", OUTSIDE),
            ("kappa", KAPPA),
        ]
        .into_iter()
        .enumerate()
        {
            let spread = deviation(
                &members[1..]
                    .iter()
                    .map(|member| member[which])
                    .collect::<Vec<_>>(),
            );
            let gap = (members[0][which] - true_value).abs();
            assert!(
                gap < 4.0 * spread + 0.05,
                "{name} of category {category}: off by {gap:.3}, spread {spread:.3}"
            );
            assert!(spread < 0.5, "{name} of category {category}: spread {spread:.3}");
        }
    }
}

#[test]
fn the_ensemble_spreads_like_repeated_samples() {
    let truth = truth();
    let slopes: Vec<f64> = (0..10)
        .map(|seed| estimates(&fitted(&truth, 100 + seed, 1), 1)[0][0])
        .collect();
    let members: Vec<f64> = estimates(&fitted(&truth, 100, 17), 1)[1..]
        .iter()
        .map(|member| member[0])
        .collect();
    let ratio = deviation(&members) / deviation(&slopes);
    assert!(
        (0.4..2.5).contains(&ratio),
        "members spread {ratio:.2} times as much as samples"
    );
}

#[test]
fn the_same_model_whatever_the_threads() {
    let truth = truth();
    let (history, replay) = simulate(&truth, 5);
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| fit(&history, truth.selection(), &replay, &config(3)).unwrap())
    };
    assert_eq!(with(1), with(2));
}

#[test]
fn too_little_data_is_an_error() {
    let truth = truth();
    let (history, replay) = simulate(&truth, 5);
    let none = FitConfig {
        train_weeks: 90..95,
        ..config(2)
    };
    let error = fit(&history, truth.selection(), &replay, &none)
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "too little data for a demand model: weeks 90-94 hold 0 choices of selected items, at least 100 are needed"
    );
    let backwards = FitConfig {
        train_weeks: 5..5,
        ..config(2)
    };
    assert!(fit(&history, truth.selection(), &replay, &backwards).is_err());
}

#[test]
fn an_artefact_reads_back_as_itself_and_damage_is_refused() {
    let model = truth();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.json");
    model.save(&path).unwrap();
    assert_eq!(DemandModel::load(&path).unwrap(), model);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);

    let text = std::fs::read_to_string(&path).unwrap();
    let refused = |changed: &str| {
        std::fs::write(&path, changed).unwrap();
        DemandModel::load(&path).unwrap_err().to_string()
    };
    assert!(
        refused(&text.replacen("\"format\":1", "\"format\":2", 1))
            .ends_with("its format is 2, this program reads format 1")
    );
    assert!(refused(&text.replacen("\"seed\":1", "\"seed\":2", 1)).contains("its digest says"));
    assert!(refused(&text.replacen("[1.2,1.2,1.2]", "[1.2,1.2]", 1)).contains("multiplicities of member 0"));
    assert!(refused(&text[..text.len() / 2]).contains("EOF"));
}

/// Any visit to the true shop.
fn visits() -> impl Strategy<Value = (usize, Vec<ShelfEntry>, CategoryState, Loyalty, Vec<f64>)> {
    let entry = (100u32..500, 0.0f32..1.0, 0.0f32..1.0).prop_map(|(price, mailer, display)| ShelfEntry {
        posted_minor: PriceMinor(price),
        mailer,
        display,
    });
    let item = (50.0f32..600.0).prop_map(|reference_minor| ItemState {
        reference_minor,
        last_minor: reference_minor,
        sales_rate: 0.1,
        stock_left: 1.0,
    });
    let loyalty = prop::collection::vec(0usize..AGENTS, 0..12).prop_map(|choices| {
        let mut loyalty = Loyalty::default();
        for agent in choices {
            loyalty.on_chosen(agent, AGENTS, &MemoryRates::default());
        }
        loyalty
    });
    let state = prop::collection::vec(item, AGENTS).prop_map(|items| CategoryState { items });
    (
        0..CATEGORIES,
        prop::collection::vec(entry, AGENTS),
        state,
        loyalty,
        prop::collection::vec(20.0f64..900.0, AGENTS),
    )
}

fn respond(
    model: &DemandModel,
    catalog: &Catalog,
    case: &(usize, Vec<ShelfEntry>, CategoryState, Loyalty, Vec<f64>),
    prices: &[f64],
    member: usize,
) -> [Response; AGENTS] {
    let (category, shelf, state, loyalty, _) = case;
    let session = SessionContext {
        time_s: 1_000_000,
        basket_lines_mean: 12.0,
        spend_mean_minor: 3000.0,
        recency_days: 3.0,
        visits_56d: 9.0,
    };
    let mut out = [Response::default(); AGENTS];
    model.respond(
        &Visit {
            catalog,
            category: *category,
            session: &session,
            shelf,
            state,
            loyalty,
        },
        prices,
        member,
        &mut out,
    );
    out
}

proptest! {
    #[test]
    fn a_higher_own_price_never_sells_more(case in visits(), agent in 0..AGENTS, raise in 1.0f64..3.0) {
        let model = truth();
        let catalog = model.catalog(&[1.0], None).unwrap();
        let mut raised = case.4.clone();
        raised[agent] *= raise;
        for member in 0..model.members() {
            let before = respond(&model, &catalog, &case, &case.4, member)[agent];
            let after = respond(&model, &catalog, &case, &raised, member)[agent];
            prop_assert!(after.purchases <= before.purchases + 1e-12);
            prop_assert!(after.units <= before.units + 1e-12 && after.units >= 1.0);
        }
    }

    #[test]
    fn outside_the_logged_range_nothing_changes(case in visits(), agent in 0..AGENTS, beyond in 1.0f64..4.0) {
        let model = truth();
        let catalog = model.catalog(&[1.0], None).unwrap();
        let item = &catalog.items_of(case.0)[agent];
        for (edge, outside) in [(item.high_minor.as_f64(), beyond), (item.low_minor.as_f64(), 1.0 / beyond)] {
            let at = |price: f64| {
                let mut prices = case.4.clone();
                prices[agent] = price;
                respond(&model, &catalog, &case, &prices, 1)
            };
            prop_assert_eq!(at(edge), at(edge * outside));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn shoppers_buy_what_is_expected_of_them(case in visits()) {
        let model = truth();
        let catalog = model.catalog(&[1.0], None).unwrap();
        let expected: f64 = respond(&model, &catalog, &case, &case.4, 0).iter().map(|r| r.purchases * r.units).sum();
        let mut rng = Seeds::new(9).rng();
        let session = SessionContext { time_s: 1_000_000, basket_lines_mean: 12.0, spend_mean_minor: 3000.0, recency_days: 3.0, visits_56d: 9.0 };
        let visit = Visit { catalog: &catalog, category: case.0, session: &session, shelf: &case.1, state: &case.2, loyalty: &case.3 };
        let (mut sum, mut square, shoppers) = (0.0, 0.0, 4000.0);
        for _ in 0..shoppers as usize {
            let mut units = [0; AGENTS];
            model.shop(&visit, &case.4, 0, &mut || rng.random(), &mut units);
            let bought = f64::from(units.iter().sum::<u32>());
            sum += bought;
            square += bought * bought;
        }
        let mean = sum / shoppers;
        let error = ((square / shoppers - mean * mean) / shoppers).sqrt();
        prop_assert!((mean - expected).abs() < 5.0 * error + 0.002, "bought {mean}, expected {expected}, s.e. {error}");
    }
}
