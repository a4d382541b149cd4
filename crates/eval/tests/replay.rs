#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../../env/tests/shop/mod.rs"]
mod shop;

use haggle_core::Guardrails;
use haggle_env::{Pricing, Unit, WalkPlan, World};
use haggle_eval::{Contender, Evaluation, compare_on_replay, resimulate};
use shop::Shoppers;

fn posted(week: u32, item: usize) -> f64 {
    [1.0, 0.9, 1.1][(week as usize + item) % 3]
}

fn plan(members: &[usize]) -> WalkPlan {
    WalkPlan {
        weeks: 2..7,
        members: members.to_vec(),
        unit: Unit::Offer,
        guardrails: Guardrails::default(),
        seed: 5,
    }
}

fn compare(world: &World, members: &[usize]) -> Evaluation {
    let contender = |name: &str, rungs: &'static [usize]| Contender {
        name: name.to_owned(),
        pricing: Pricing::Fixed(rungs),
    };
    let contenders = [contender("dear", &[4; 5]), contender("usual", &[2; 5])];
    compare_on_replay(world, "0123456789ab", &contenders, &plan(members)).unwrap()
}

#[test]
fn the_truth_lies_in_the_intervals_and_differences_are_paired() {
    // shoppers with slope 0.5: 20 % dearer prices must bring more, and by how much can be said without simulation
    let world = shop::world(Shoppers::new(0.5), |_, _| 1.0, 6, 200, 3);
    let table = compare(&world, &[0, 1, 2]);
    let [logged, dear, usual] = table.rows.as_slice() else {
        panic!("three rows")
    };
    assert_eq!(logged.name, "logged prices");
    assert_eq!(
        (logged.revenue_gain.low, logged.revenue_gain.high),
        (0.0, 0.0),
        "nothing differs from itself"
    );
    assert!(
        usual.revenue_gain.contains(0.0) && usual.revenue_gain.high < 1e-9,
        "posted prices are base prices"
    );
    assert!((dear.price_index.value - 1.2).abs() < 1e-9);
    assert!(dear.revenue_gain.low > 0.0 && dear.revenue_gain.high < 0.2);
    let paired = dear.revenue_gain.high - dear.revenue_gain.low;
    let alone = (dear.revenue.high - dear.revenue.low) / dear.revenue.value;
    assert!(paired < 0.5 * alone, "paired {paired}, alone {alone}");
    assert!(dear.margin_gain.unwrap().value > dear.revenue_gain.value);
}

#[test]
fn more_members_widen_the_interval() {
    let world = shop::world(Shoppers::new(1.2), posted, 6, 200, 3);
    let width = |members: &[usize]| {
        let gain = compare(&world, members).rows[1].revenue_gain;
        gain.high - gain.low
    };
    assert!(width(&[0, 1, 2]) > 1.5 * width(&[0]));
}

#[test]
fn the_table_says_under_what_it_was_simulated() {
    let world = shop::world(Shoppers::new(1.2), posted, 6, 60, 3);
    let table = compare(&world, &[0, 1]);
    let text = table.to_string();
    assert!(
        text.starts_with("simulated under demand model 0123456789ab, 2 members, weeks 2-6"),
        "{text}"
    );
    assert!(text.contains("dear") && text.contains("margin"));
    let json = serde_json::to_string(&table).unwrap();
    assert_eq!(serde_json::from_str::<Evaluation>(&json).unwrap(), table);
}

#[test]
fn the_model_that_made_the_log_gives_it_back_and_another_does_not() {
    let world = shop::world(Shoppers::new(1.2), posted, 6, 400, 4);
    let own = resimulate(&world, "own", &plan(&[0])).unwrap();
    assert!(own.passed(), "{own}");
    let mut eager = Shoppers::new(1.2);
    eager.strength = -0.7; // e^.3: a third more purchases
    let other = World::new(
        world.catalog().clone(),
        world.replay().clone(),
        std::sync::Arc::new(eager),
        *world.rates(),
    );
    let other = resimulate(&other.unwrap(), "another", &plan(&[0])).unwrap();
    assert!(!other.passed(), "{other}");
}
