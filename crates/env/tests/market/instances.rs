//! Closed forms and fixed points on random parameters, against solvers that share nothing with them.

use crate::files::{market, oracle};
use haggle_env::market::Market;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const INSTANCES: usize = 6;

fn between(rng: &mut ChaCha8Rng, low: f64, high: f64) -> f64 {
    low + (high - low) * rng.random::<f64>()
}

#[track_caller]
fn near(got: f64, other: f64, relative: f64) {
    assert!((got / other - 1.0).abs() < relative, "{got} is not {other}");
}

#[test]
fn continuous_time_obeys_its_differential_equation() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..INSTANCES {
        let (rate, scale) = (between(&mut rng, 0.1, 3.0), between(&mut rng, 1.0, 80.0));
        let (periods, stock) = (between(&mut rng, 5.0, 60.0), rng.random_range(1..30usize));
        let text = |x: f64| format!("{x:?}");
        let a1 = oracle(
            "a1",
            &[
                ("arrival_rate", &text(rate)),
                ("price_scale", &text(scale)),
                ("periods", &text(periods)),
                ("stock", &stock.to_string()),
            ],
        );
        // dJ_n/dt = max_p rate exp(-p / scale) (p - (J_n - J_{n-1})), at p = scale + J_n - J_{n-1}; Runge-Kutta.
        let slope = |value: &[f64]| -> Vec<f64> {
            let gain = |n: usize| rate * scale * (-1.0 - (value[n] - value[n - 1]) / scale).exp();
            (0..=stock).map(|n| if n == 0 { 0.0 } else { gain(n) }).collect()
        };
        let along = |value: &[f64], slope: &[f64], step: f64| -> Vec<f64> {
            value.iter().zip(slope).map(|(v, k)| v + step * k).collect()
        };
        let (mut value, steps) = (vec![0.0; stock + 1], 20_000);
        let h = periods / f64::from(steps);
        for _ in 0..steps {
            let k1 = slope(&value);
            let k2 = slope(&along(&value, &k1, h / 2.0));
            let k3 = slope(&along(&value, &k2, h / 2.0));
            let k4 = slope(&along(&value, &k3, h));
            for n in 0..=stock {
                value[n] += h / 6.0 * (k1[n] + 2.0 * k2[n] + 2.0 * k3[n] + k4[n]);
            }
        }
        near(a1.v_star, value[stock], 1e-8);
        near(
            a1.first_action.expect("a price"),
            scale + value[stock] - value[stock - 1],
            1e-7,
        );
    }
}

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

/// Lambert's W on the principal branch (Newton).
fn lambert(x: f64) -> f64 {
    let mut w = x.ln_1p();
    for _ in 0..60 {
        w -= (w * w.exp() - x) / (w.exp() * (w + 1.0));
    }
    w
}

/// What a shopper with log odds `a - b p` brings at the best price above a cost: `W(e^(a - b c - 1)) / b`.
fn best_profit(a: f64, b: f64, cost: f64) -> f64 {
    lambert((a - b * cost - 1.0).exp()) / b
}

#[test]
fn segments_and_types_agree_with_lambert() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for _ in 0..INSTANCES {
        let (a, b) = (between(&mut rng, 2.0, 6.0), between(&mut rng, 0.03, 0.12));
        let (other_a, other_b) = (between(&mut rng, 2.0, 6.0), between(&mut rng, 0.03, 0.12));
        let cost = between(&mut rng, 5.0, 30.0);
        let keys = [
            ("weights", "[0.7, 0.3]".to_owned()),
            ("intercepts", format!("[{a:?}, {other_a:?}]")),
            ("slopes", format!("[{b:?}, {other_b:?}]")),
            ("costs", format!("{cost:?}")),
        ];
        let sets: Vec<(&str, &str)> = keys.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let e1 = oracle("e1", &sets);
        near(
            e1.v_star,
            0.7 * best_profit(a, b, cost) + 0.3 * best_profit(other_a, other_b, cost),
            1e-9,
        );
        let chance = |a: f64, b: f64, price: f64| 1.0 / (1.0 + (b * price - a).exp());
        let single =
            |price: f64| (price - cost) * (0.7 * chance(a, b, price) + 0.3 * chance(other_a, other_b, price));
        let prices = || (0..40_000).map(|n| cost + f64::from(n) * 0.01);
        near(e1.v_fixed, prices().map(single).fold(0.0, f64::max), 1e-6);
        // The corridor, by trying every middle and every price inside.
        let corridor: Vec<(&str, &str)> = sets.iter().copied().chain([("corridor", "0.15")]).collect();
        let held = |reference: f64| {
            let best = |a: f64, b: f64| {
                let inside = (0..=300).map(|n| reference * (0.85 + 0.001 * f64::from(n)));
                inside
                    .map(|price| (price - cost) * chance(a, b, price))
                    .fold(f64::MIN, f64::max)
            };
            0.7 * best(a, b) + 0.3 * best(other_a, other_b)
        };
        let middles = (0..2000).map(|n| cost + f64::from(n) * 0.1);
        near(
            oracle("e1", &corridor).v_star,
            middles.map(held).fold(0.0, f64::max),
            1e-4,
        );
        // E2 with one kind of x1: Simpson's rule over x2.
        let spread = between(&mut rng, 0.2, 1.2);
        let e2 = oracle(
            "e2",
            &[
                ("intercept", &format!("{a:?}")),
                ("intercept_slope", &format!("{spread:?}")),
                ("slope", &format!("{b:?}")),
                ("slope_slope", "0.0"),
                ("costs", &format!("{cost:?}")),
            ],
        );
        let cells = 600;
        let simpson = (0..=cells).map(|n| {
            let x = -9.0 + 18.0 * f64::from(n) / f64::from(cells);
            let weight = if n == 0 || n == cells {
                1.0
            } else if n % 2 == 1 {
                4.0
            } else {
                2.0
            };
            let density = (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt();
            weight * 18.0 / f64::from(cells) / 3.0 * density * best_profit(a + spread * x, b, cost)
        });
        near(e2.v_star, simpson.sum(), 1e-8);
    }
}

#[test]
fn one_stock_and_its_linear_programme() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for _ in 0..50 {
        let mut chances: Vec<f64> = (0..4).map(|_| rng.random::<f64>()).collect();
        chances.sort_by(|a, b| b.total_cmp(a));
        let stock = rng.random_range(1..100usize);
        let b1 = oracle(
            "b1",
            &[
                ("periods", "100"),
                ("stock", &stock.to_string()),
                ("probabilities", &format!("{chances:?}")),
            ],
        );
        // Its dual in one unknown, the worth of a unit: the least lies where two offers tie, or at a price.
        let prices = [29.9, 34.9, 39.9, 44.9];
        let dual = |worth: f64| {
            let best = prices
                .iter()
                .zip(&chances)
                .map(|(price, chance)| chance * (price - worth));
            worth * stock as f64 / 100.0 + best.fold(0.0, f64::max)
        };
        let ties = (0..4)
            .flat_map(|i| (0..4).map(move |j| (i, j)))
            .map(|(i, j)| (chances[i] * prices[i] - chances[j] * prices[j]) / (chances[i] - chances[j]));
        let worths = ties.filter(|worth| *worth >= 0.0).chain([0.0]).chain(prices);
        near(
            b1.references["lp_per_period"],
            worths.map(dual).fold(f64::INFINITY, f64::min),
            1e-9,
        );
        assert!(b1.v_star <= b1.references["lp"] * (1.0 + 1e-9));
    }
}

#[test]
fn the_best_price_of_a_line_is_found_by_trying() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    for _ in 0..INSTANCES {
        let (a, b) = (between(&mut rng, 50.0, 200.0), between(&mut rng, 0.5, 3.0));
        let (c, d) = (between(&mut rng, 50.0, 200.0), between(&mut rng, 0.5, 3.0));
        let regimes = format!("{{ regimes = [[{a:?}, {b:?}], [{c:?}, {d:?}]] }}");
        let h = oracle("h1", &[("periods", "10"), ("change", &regimes)]);
        let prices = || (0..=75_000).map(|n| 15.0 + f64::from(n) * 0.001);
        let most = |revenue: &dyn Fn(f64) -> f64| prices().map(revenue).fold(f64::MIN, f64::max);
        let line = |a: f64, b: f64, price: f64| 5.0 * price * (a - b * price);
        near(
            h.v_star,
            most(&|price| line(a, b, price)) + most(&|price| line(c, d, price)),
            1e-6,
        );
        near(
            h.v_fixed,
            most(&|price| line(a, b, price) + line(c, d, price)),
            1e-6,
        );
    }
}

#[test]
fn a_hidden_type_is_filtered_as_a_tree_of_all_histories() {
    /// Most that can be earned from here, given the unnormalised weight of each type.
    fn tree(weights: &[f64], left: usize, prices: &[f64], chances: &[Vec<f64>]) -> f64 {
        if left == 0 {
            return 0.0;
        }
        let worth = |rung: usize| {
            let after = |taken: bool| -> Vec<f64> {
                let each = weights.iter().zip(chances);
                each.map(|(w, row)| w * if taken { row[rung] } else { 1.0 - row[rung] })
                    .collect()
            };
            let sold: f64 = after(true).iter().sum();
            sold * prices[rung]
                + tree(&after(true), left - 1, prices, chances)
                + tree(&after(false), left - 1, prices, chances)
        };
        (0..prices.len()).map(worth).fold(0.0, f64::max)
    }
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for _ in 0..INSTANCES {
        let chances: Vec<Vec<f64>> = (0..3)
            .map(|_| (0..3).map(|_| rng.random::<f64>()).collect())
            .collect();
        let hidden = oracle(
            "hidden-type",
            &[
                ("periods", "5"),
                ("weights", "[0.5, 0.3, 0.2]"),
                ("prices", "[3, 5, 8]"),
                ("probabilities", &format!("{chances:?}")),
            ],
        );
        near(
            hidden.v_star,
            tree(&[0.5, 0.3, 0.2], 5, &[3.0, 5.0, 8.0], &chances),
            1e-10,
        );
        assert!(hidden.references["memoryless"] <= hidden.v_star * (1.0 + 1e-12));
        assert!(hidden.v_fixed <= hidden.references["memoryless"] * (1.0 + 1e-12));
        assert!(hidden.v_star <= hidden.references["clairvoyant"] * (1.0 + 1e-12));
    }
}

/// The dual of a season's constraint at a worth of a sold unit, by plain backward induction: an upper bound of the optimum.
fn season_dual(periods: usize, stock: usize, share: f64, worth: f64) -> f64 {
    let pmf = |price: f64| -> Vec<f64> {
        let mean = 2.0 * (-price).exp();
        let next = |p: &mut f64, n: usize| {
            let now = *p;
            *p *= mean / (n + 1) as f64;
            Some(now)
        };
        (0..stock.min(30)).scan((-mean).exp(), next).collect() // more are never sold in a period
    };
    let prices: Vec<(f64, Vec<f64>)> = (1..=20)
        .map(|n| f64::from(n) * 0.2)
        .map(|price| (price, pmf(price)))
        .collect();
    let mut value = vec![0.0; stock + 1];
    for _ in 0..periods {
        let best = |left: usize| {
            let earns = |(price, pmf): &(f64, Vec<f64>)| {
                let (mut sum, mut rest) = (0.0, 1.0);
                for (sold, p) in pmf.iter().enumerate().take(left) {
                    sum += p * (sold as f64 * (price + worth) + value[left - sold]);
                    rest -= p;
                }
                sum + rest * left as f64 * (price + worth)
            };
            prices.iter().map(earns).fold(0.0, f64::max)
        };
        value = (0..=stock).map(best).collect();
    }
    value[stock] - worth * share * stock as f64
}

#[test]
fn a_constrained_season_is_bounded_by_every_worth_of_a_sale() {
    let sets = [("periods", "12"), ("stock", "8"), ("sell_through_min", "0.8")];
    let bound = oracle("sell-through", &sets);
    let free = bound.references["unconstrained"];
    assert!(bound.references["unconstrained_sell_through"] < 0.8);
    assert!(bound.v_star < free && bound.v_fixed <= bound.v_star);
    // The least dual is the optimum.
    let duals: Vec<f64> = (0..4000)
        .map(|n| season_dual(12, 8, 0.8, f64::from(n) * 0.0005))
        .collect();
    assert!(duals.iter().all(|dual| bound.v_star <= dual + 1e-9));
    near(
        bound.v_star,
        duals.into_iter().fold(f64::INFINITY, f64::min),
        1e-4,
    );
}

#[test]
fn a_share_near_all_of_the_stock_is_no_extrapolation() {
    for (text, share) in [("0.999", 0.999), ("0.9999999", 0.9999999)] {
        let bound = oracle("sell-through", &[("sell_through_min", text)]);
        let duals = (0..44).map(|n| season_dual(100, 100, share, 1.5f64.powi(n)));
        let least = duals.fold(f64::INFINITY, f64::min);
        assert!(
            bound.v_star <= least + 1e-6,
            "{share}: {} above {least}",
            bound.v_star
        );
        assert!(
            bound.v_star >= 0.99 * least,
            "{share}: {} far below {least}",
            bound.v_star
        );
        assert!(bound.v_fixed <= bound.v_star);
    }
}
