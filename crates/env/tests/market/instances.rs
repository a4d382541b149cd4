//! Closed forms and fixed points on random parameters, against solvers that share nothing with them.

use crate::files::oracle;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub const INSTANCES: usize = 6;

pub fn between(rng: &mut ChaCha8Rng, low: f64, high: f64) -> f64 {
    low + (high - low) * rng.random::<f64>()
}

#[track_caller]
pub fn near(got: f64, other: f64, relative: f64) {
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
