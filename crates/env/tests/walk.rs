#![allow(missing_docs, clippy::unwrap_used)]

mod shop;

use haggle_core::{Digest, Guardrails, Mask, Observation, Pmf, Policy, PolicyError};
use haggle_env::{Earning, FixedPlan, Pricing, Unit, Walk, WalkPlan, World, best_fixed, walk};
use shop::Shoppers;

struct Even;

impl Policy for Even {
    fn digest(&self) -> Digest {
        Digest::of(b"even")
    }

    fn pmf(&self, _: Observation<'_>, allowed: Mask) -> Result<Pmf, PolicyError> {
        Ok(Pmf::from_logits(&[0.0; 5], allowed, 0.0)?)
    }
}

fn posted(week: u32, item: usize) -> f64 {
    [1.0, 0.9, 1.1][(week as usize + item) % 3]
}

fn run(world: &World, pricing: Pricing<'_>, unit: Unit) -> Walk {
    let plan = WalkPlan {
        weeks: 2..7,
        members: vec![0, 2],
        unit,
        guardrails: Guardrails::default(),
        seed: 5,
    };
    walk(world, pricing, &plan).unwrap()
}

#[test]
fn logged_prices_have_an_index_of_one_and_their_revenue_comes_back() {
    let world = shop::world(Shoppers::new(1.2), posted, 6, 400, 2);
    let walked = run(&world, Pricing::Logged, Unit::Offer);
    let total = walked.total(0);
    assert_eq!(total.price_index(), 1.0);
    assert!(
        (total.revenue / total.basket_paid - 1.0).abs() < 0.04,
        "{total:?}"
    );
    assert_eq!((walked.clusters, walked.sessions), (40 + 250, 2000));
    let parts: f64 = (0..2)
        .flat_map(|category| walked.category(category, 1))
        .map(|part| part.revenue)
        .sum();
    assert!((walked.total(1).revenue - parts).abs() < 1e-9 * parts);
}

#[test]
fn fixed_prices_and_policies_are_priced_on_the_logged_baskets() {
    let world = shop::world(Shoppers::new(1.2), |_, _| 1.0, 6, 60, 2);
    let high = run(&world, Pricing::Fixed(&[4; 5]), Unit::Offer).total(0);
    let base = run(&world, Pricing::Fixed(&[2; 5]), Unit::Offer).total(0);
    assert!((high.price_index() - 1.2).abs() < 1e-9);
    assert!(high.units < base.units && base.margin < base.revenue);
    let even = run(&world, Pricing::Policy(&Even), Unit::Offer);
    assert!(
        (even.total(0).price_index() - 1.0).abs() < 1e-9,
        "the mean of the ladder is the base price"
    );
    assert!((even.edge_share - 0.4).abs() < 0.03);
    let kept = run(&world, Pricing::Policy(&Even), Unit::Period);
    assert!((kept.total(0).units / even.total(0).units - 1.0).abs() < 0.1);
}

#[test]
fn threads_do_not_change_a_walk() {
    let world = shop::world(Shoppers::new(1.2), posted, 6, 60, 2);
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| run(&world, Pricing::Policy(&Even), Unit::Offer).total(1))
    };
    assert_eq!(on(1), on(4));
}

fn plan(limit: Option<f64>, reward: Earning) -> FixedPlan {
    FixedPlan {
        weeks: 1..7,
        reward,
        price_index_limit: limit,
        guardrails: Guardrails::default(),
        visits: 60,
    }
}

#[test]
fn inelastic_shoppers_are_charged_the_top_of_the_mask_unless_the_index_forbids_it() {
    let world = shop::world(Shoppers::new(0.6), |_, _| 1.0, 6, 60, 3);
    let free = best_fixed(&world, &plan(None, Earning::Revenue)).unwrap();
    assert_eq!(free.rungs, [4; 5]);
    assert_eq!(free.multiplier, 0.0);
    assert!((free.price_index - 1.2).abs() < 1e-9);
    let kept = best_fixed(&world, &plan(Some(1.0), Earning::Revenue)).unwrap();
    assert!(kept.price_index <= 1.0 && kept.price_index > 0.93, "{kept:?}");
    assert!(kept.multiplier > 0.0 && kept.reward < free.reward);
    assert!(best_fixed(&world, &plan(Some(0.5), Earning::Revenue)).is_err());
}

#[test]
fn no_other_price_of_one_item_beats_the_best_fixed_prices() {
    let world = shop::world(Shoppers::new(2.5), posted, 6, 60, 3);
    let found = best_fixed(&world, &plan(None, Earning::Margin)).unwrap();
    for item in 0..5 {
        for rung in (0..5).filter(|rung| *rung != found.rungs[item]) {
            let mut other = found.rungs.clone();
            other[item] = rung;
            let all = |rungs: &[usize]| run(&world, Pricing::Fixed(rungs), Unit::Offer).total(0).margin;
            assert!(all(&other) < 1.005 * all(&found.rungs), "item {item} rung {rung}");
        }
    }
}
