//! Equilibria and cartels on random parameters: nobody gains by another price.

use crate::files::{market, oracle};
use crate::instances::{INSTANCES, between, near};
use haggle_env::market::Market;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[test]
fn no_seller_gains_by_leaving_the_equilibrium_nor_all_by_leaving_the_cartel() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for _ in 0..INSTANCES {
        let sellers = rng.random_range(1..5usize);
        let list = |rng: &mut ChaCha8Rng, low: f64, high: f64| -> String {
            let each: Vec<String> = (0..sellers)
                .map(|_| format!("{:?}", between(rng, low, high)))
                .collect();
            format!("[{}]", each.join(", "))
        };
        let c = market(
            "c",
            &[
                ("sellers", &sellers.to_string()),
                ("costs", &list(&mut rng, 0.2, 1.5)),
                ("quality", &list(&mut rng, 1.0, 3.0)),
                ("mu", &format!("{:?}", between(&mut rng, 0.1, 1.0))),
                ("outside_quality", &format!("{:?}", between(&mut rng, -1.0, 1.0))),
            ],
        );
        let equilibrium = c
            .oracle()
            .expect("an answer")
            .equilibrium
            .expect("an equilibrium");
        let Market::LogitOligopoly(game) = &c else {
            panic!("another market")
        };
        let nash: Vec<f64> = (0..sellers).map(|n| equilibrium.nash_price.seller(n)).collect();
        let cartel: Vec<f64> = (0..sellers)
            .map(|n| equilibrium.monopoly_price.seller(n))
            .collect();
        let joint = |prices: &[f64]| game.profits(prices).iter().sum::<f64>();
        for seller in 0..sellers {
            near(
                equilibrium.nash_profit.seller(seller),
                game.profits(&nash)[seller],
                1e-12,
            );
            for n in 0..2000 {
                let mut moved = nash.clone();
                moved[seller] = f64::from(n) * 0.005;
                assert!(game.profits(&moved)[seller] <= game.profits(&nash)[seller] + 1e-12);
            }
        }
        for _ in 0..5000 {
            let moved: Vec<f64> = cartel
                .iter()
                .map(|price| price + between(&mut rng, -0.3, 0.3))
                .collect();
            assert!(joint(&moved) <= joint(&cartel) + 1e-12);
        }
    }
}

#[test]
fn on_a_ladder_no_seller_gains_by_another_rung_nor_all_by_other_rungs() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    for _ in 0..INSTANCES {
        let mut prices: Vec<f64> = (0..5).map(|_| between(&mut rng, 1.0, 2.5)).collect();
        prices.sort_by(f64::total_cmp);
        let costs = [between(&mut rng, 0.2, 1.0), between(&mut rng, 0.2, 1.0)];
        let c = market(
            "c",
            &[
                ("prices", &format!("{prices:?}")),
                ("costs", &format!("{costs:?}")),
            ],
        );
        let oracle = c.oracle().expect("an answer");
        let equilibrium = oracle.equilibrium.expect("an equilibrium");
        // Profits from scratch.
        let profit = |own: usize, other: usize, cost: f64| {
            let pull = |rung: usize| ((2.0 - prices[rung]) / 0.25).exp();
            (prices[own] - cost) * pull(own) / (pull(own) + pull(other) + 1.0)
        };
        let stays = |own: usize, other: usize, cost: f64| {
            (0..5).all(|rung| profit(rung, other, cost) <= profit(own, other, cost))
        };
        let joint = |a: usize, b: usize| profit(a, b, costs[0]) + profit(b, a, costs[1]);
        let pairs = || (0..5).flat_map(|b| (0..5).map(move |a| (a, b)));
        let nash: Vec<(usize, usize)> = pairs()
            .filter(|&(a, b)| stays(a, b, costs[0]) && stays(b, a, costs[1]))
            .collect();
        let told: Vec<[f64; 2]> = equilibrium
            .nash_points
            .iter()
            .map(|point| [point.price.seller(0), point.price.seller(1)])
            .collect();
        let found: Vec<[f64; 2]> = nash.iter().map(|&(a, b)| [prices[a], prices[b]]).collect();
        assert_eq!(told, found, "{prices:?} {costs:?}");
        let least = nash
            .iter()
            .map(|&(a, b)| joint(a, b))
            .fold(f64::INFINITY, f64::min);
        near(oracle.references["joint_nash"], least, 1e-12);
        near(
            oracle.v_star,
            pairs().map(|(a, b)| joint(a, b)).fold(0.0, f64::max),
            1e-12,
        );
        near(
            oracle.v_fixed,
            (0..5).map(|a| joint(a, a)).fold(0.0, f64::max),
            1e-12,
        );
    }
}

#[test]
fn no_seller_with_a_capacity_gains_by_another_price() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for _ in 0..INSTANCES {
        let capacity = between(&mut rng, 250.0, 490.0);
        let mu = between(&mut rng, 0.15, 0.4);
        let c2 = oracle(
            "c2",
            &[("capacity", &format!("{capacity:?}")), ("mu", &format!("{mu:?}"))],
        );
        let equilibrium = c2.equilibrium.expect("an equilibrium");
        let (nash, cartel) = (
            equilibrium.nash_price.seller(0),
            equilibrium.monopoly_price.seller(0),
        );
        let profit = |own: f64, other: f64| {
            let pull = |price: f64| ((2.0 - price) / mu).exp();
            let sold = (1000.0 * pull(own) / (pull(own) + pull(other) + 1.0)).min(capacity);
            (own - 1.0) * sold
        };
        let prices = (0..4000).map(|n| 1.0 + f64::from(n) * 0.0005);
        let both = |price: f64| 2.0 * profit(price, price);
        for price in prices {
            assert!(
                profit(price, nash) <= profit(nash, nash) + 1e-6,
                "{capacity} {mu} {price} {nash}"
            );
            assert!(both(price) <= both(cartel) + 1e-6);
        }
    }
}
