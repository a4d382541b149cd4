//! Optimal plans made apart from the solver earn the optimum when they are played.

use crate::files::{market, oracle};
use crate::harness::rows;
use haggle_env::Env;
use haggle_env::market::{Market, MarketEnv};

/// Dense backward induction, written apart from the solver: value, and best rung at `[left][last][stock]`.
fn plan(
    periods: usize,
    stock: usize,
    prices: &[f64],
    salvage: f64,
    demand: impl Fn(usize, usize, usize) -> f64,
    allowed: impl Fn(usize, usize) -> bool,
) -> (f64, Vec<Vec<Vec<usize>>>) {
    let rungs = prices.len();
    let bound = (0..rungs).any(|last| !(0..rungs).all(|rung| allowed(last, rung)));
    let lasts = if bound { 0..rungs + 1 } else { rungs..rungs + 1 };
    let mut value: Vec<Vec<f64>> = vec![(0..=stock).map(|n| n as f64 * salvage).collect(); rungs + 1];
    let mut best = vec![vec![vec![0; stock + 1]; rungs + 1]; periods + 1];
    for (left, best) in best.iter_mut().enumerate().skip(1) {
        let mut now = vec![vec![0.0; stock + 1]; rungs + 1];
        for last in lasts.clone() {
            for n in 1..=stock {
                let mut most = f64::NEG_INFINITY;
                for rung in (0..rungs).filter(|rung| last == rungs || allowed(last, *rung)) {
                    let (mut worth, mut rest) = (0.0, 1.0);
                    for sold in 0..n {
                        let p = demand(left, rung, sold);
                        worth += p
                            * (sold as f64 * prices[rung]
                                + value[if bound { rung } else { rungs }][n - sold]);
                        rest -= p;
                    }
                    worth += rest * n as f64 * prices[rung];
                    if worth > most {
                        most = worth;
                        best[last][n] = rung;
                    }
                }
                now[last][n] = most;
            }
        }
        value = now;
    }
    (value[rungs][stock], best)
}

fn poisson(mean: f64, count: usize) -> f64 {
    (1..=count).fold((-mean).exp(), |p, n| p * mean / n as f64)
}

/// Plays the plan by what is observed: shares of time and stock, and the last rung as one of the last entries.
fn exact_of_plan(
    market: &Market,
    periods: usize,
    stock: usize,
    best: &[Vec<Vec<usize>>],
    last_from: usize,
) -> f64 {
    let width = MarketEnv::new(market, 1)
        .expect("an environment")
        .spec()
        .obs_width;
    let policy = |obs: &[f32], _: u64, pmf: &mut [f32]| {
        let left = (obs[0] * periods as f32).round() as usize;
        let n = (obs[1] * stock as f32).round() as usize;
        let last = obs[last_from..]
            .iter()
            .position(|x| *x == 1.0)
            .unwrap_or(pmf.len());
        pmf.fill(0.0);
        pmf[best[left][last][n]] = 1.0;
    };
    let exact = market.exact_value(&mut rows(width, policy)).expect("a value");
    exact.expect("finite states").value
}

#[test]
fn playing_the_optimal_plan_earns_the_optimum() {
    let arrivals: Vec<f64> = (2..=20).map(|n| f64::from(n) * 10.0).collect();
    let single = |_: usize, rung: usize, sold: usize| {
        let chance = 0.6 * (-arrivals[rung] / 50.0).exp();
        [1.0 - chance, chance].get(sold).copied().unwrap_or(0.0)
    };
    for (name, reach) in [("a2", 99), ("a3", 1)] {
        let (value, best) = plan(100, 10, &arrivals, 0.0, single, |last, rung| {
            last.abs_diff(rung) <= reach
        });
        check(
            &market(name, &[]),
            value,
            exact_of_plan(&market(name, &[]), 100, 10, &best, 3),
        );
    }
    let ladder: Vec<f64> = (1..=20).map(|n| f64::from(n) * 0.2).collect();
    let many = |_: usize, rung: usize, sold: usize| poisson(2.0 * (-ladder[rung]).exp(), sold);
    let (value, best) = plan(100, 50, &ladder, 0.0, many, |_, _| true);
    check(
        &market("a4", &[]),
        value,
        exact_of_plan(&market("a4", &[]), 100, 50, &best, 3),
    );
    let marked: Vec<f64> = (3..=10).map(|n| f64::from(n) * 5.0).collect();
    let week = [1.0, 1.0, 1.0, 0.9, 1.3, 1.6, 1.2];
    let daily = |left: usize, rung: usize, sold: usize| {
        let day = (14 - left) as f64;
        let elasticity = 2.2 - 0.6 * day / 13.0;
        let weight = week[(14 - left) % 7] * (1.0 - 0.3 * day / 13.0);
        poisson(
            2.0 * weight * (-elasticity * (marked[rung] / 50.0 - 1.0)).exp(),
            sold,
        )
    };
    for down in [false, true] {
        let f = market("f", &[("only_down", &down.to_string())]);
        let (value, best) = plan(14, 40, &marked, 5.0, daily, |last, rung| !down || rung <= last);
        check(&f, value, exact_of_plan(&f, 14, 40, &best, 10));
    }
}

#[track_caller]
fn check(market: &Market, planned: f64, played: f64) {
    let v_star = market.oracle().expect("an optimum").v_star;
    assert!(
        (planned / v_star - 1.0).abs() < 1e-9,
        "{planned} planned, {v_star} solved"
    );
    assert!(
        (played / v_star - 1.0).abs() < 1e-9,
        "{played} played, {v_star} solved"
    );
}

#[test]
fn in_the_last_period_every_product_of_a_network_asks_what_pays_best_now() {
    let file = std::fs::read_to_string("../../envs/b3.toml").unwrap();
    let file: toml::Value = toml::from_str(&file).unwrap();
    let numbers = |name: &str, product: usize| -> Vec<f64> {
        let list = file[name][product].as_array().unwrap().iter();
        list.map(|number| {
            number
                .as_float()
                .or(number.as_integer().map(|whole| whole as f64))
                .unwrap()
        })
        .collect()
    };
    let best = |product: usize| {
        let (prices, chances) = (numbers("prices", product), numbers("probabilities", product));
        let offers = prices.into_iter().zip(chances).rev(); // of two that pay alike the cheaper one
        offers
            .max_by(|a, b| (a.0 * a.1).total_cmp(&(b.0 * b.1)))
            .map(|(price, _)| price)
    };
    let first = oracle("b3", &[("periods", "1")]).first_actions.unwrap();
    assert_eq!(first, (0..3).map(best).collect::<Vec<_>>());
    // With a seat for each of three shoppers and three periods none is scarce: the same again.
    assert_eq!(oracle("b3", &[("periods", "3")]).first_actions.unwrap(), first);
    // One seat and a long time: cheap prices wait, and what needs two flights gives way to what needs one.
    let scarce = oracle("b3", &[("stock", "[1, 1]")]).first_actions.unwrap();
    assert!(
        scarce
            .iter()
            .zip(&first)
            .all(|(late, now)| late.is_none_or(|price| Some(price) >= *now)),
        "{scarce:?}"
    );
    assert_ne!(scarce, first);
}
