//! What the true shop answers to prices.

use super::shop::{AGENTS, CATEGORIES, truth};
use crate::{Demand, DemandModel, Response};
use haggle_core::{
    Catalog, CategoryState, ItemState, Loyalty, MemoryRates, PriceMinor, Seeds, SessionContext, ShelfEntry,
    Visit,
};
use proptest::prelude::*;
use rand::RngExt;

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
