//! Best prices state by state, and what sellers do in the long run.
#![allow(missing_docs, clippy::unwrap_used)]

use crate::files::{market, oracle};
use haggle_env::market::{Chart, Market};

/// Asks every row for the rung that `rung(observation)` says.
fn certain(
    rungs: usize,
    width: usize,
    rung: impl Fn(&[f32]) -> usize,
) -> impl FnMut(&[f32], &[u64], &mut [f32]) {
    move |obs, _, out| {
        out.fill(0.0);
        for (obs, out) in obs.chunks_exact(width).zip(out.chunks_exact_mut(rungs)) {
            out[rung(obs)] = 1.0;
        }
    }
}

fn even(rungs: usize) -> impl FnMut(&[f32], &[u64], &mut [f32]) {
    move |_, masks, out| {
        for (mask, out) in masks.iter().zip(out.chunks_exact_mut(rungs)) {
            let allowed = |rung: usize| mask >> rung & 1 == 1;
            let count = (0..rungs).filter(|rung| allowed(*rung)).count();
            let p = |rung| if allowed(rung) { 1.0 / count as f32 } else { 0.0 };
            out.iter_mut().enumerate().for_each(|(rung, out)| *out = p(rung));
        }
    }
}

fn chart(market: &Market) -> (Vec<f64>, Chart) {
    let prices = market.prices().unwrap();
    let chart = market.chart(&mut even(prices.len())).unwrap().unwrap();
    (prices, chart)
}

/// What the chart's best prices earn when they are played, beside the optimum.
fn played(market: &Market, width: usize, place: impl Fn(&Chart, &[f32]) -> usize) -> [f64; 2] {
    let (prices, chart) = chart(market);
    let rung = |obs: &[f32]| {
        let best = chart.best[place(&chart, obs)];
        prices
            .iter()
            .position(|price| (price - best).abs() < 1e-9)
            .unwrap()
    };
    let value = market
        .exact_value(&mut certain(prices.len(), width, rung))
        .unwrap()
        .unwrap();
    [value.value, market.oracle().unwrap().v_star]
}

#[test]
fn the_best_prices_of_a_chart_earn_the_optimum() {
    let stocked = |chart: &Chart, obs: &[f32]| {
        let count = |share: f32, of: &[f64]| (share * of.len() as f32).round() as usize - 1;
        count(obs[1], &chart.ys) * chart.xs.len() + count(obs[0], &chart.xs)
    };
    let one_hot = |obs: &[f32]| obs.iter().position(|seen| *seen == 1.0).unwrap();
    for [value, optimum] in [
        played(&market("a2", &[("stock", "10")]), 3, stocked),
        played(&market("a4", &[]), 3, stocked),
        played(
            &market("e1", &[("prices", "[40, 50, 60, 70, 80, 90, 100]")]),
            4,
            |_, obs| one_hot(obs),
        ),
        played(&market("g0", &[]), 62, |_, obs| one_hot(&obs[1..])),
    ] {
        assert!(
            (value - optimum).abs() < 1e-9 * optimum,
            "{value} against {optimum}"
        );
    }
}

#[test]
fn a_coin_asks_the_mean_of_the_ladder() {
    let (prices, chart) = chart(&market("a2", &[("stock", "10")]));
    let mean = prices.iter().sum::<f64>() / prices.len() as f64;
    assert_eq!((chart.xs.len(), chart.ys.len()), (100, 10));
    assert!(chart.price.iter().all(|price| (price - mean).abs() < 1e-5));
    let first = oracle("a2", &[("stock", "10")]).first_action.unwrap();
    assert_eq!(chart.best.last(), Some(&first));
}

#[test]
fn grim_sellers_punish_a_deviation_for_ever() {
    // Two rungs: the cartel's price as long as both asked it, else the equilibrium's for ever. A quarter of the starts is
    // in the cartel and stays there; who leaves it wins once and then loses in every period.
    let market = market("c", &[("prices", "[1.472927, 1.924981]")]);
    let Market::LogitOligopoly(game) = &market else {
        panic!("C")
    };
    let profit = |prices: [f64; 2]| game.profits(&prices)[0];
    let [low, high] = [1.472_927, 1.924_981];
    let grim = |obs: &[f32]| usize::from(obs[1] == 1.0 && obs[3] == 1.0);
    let conduct = market.conduct(&mut certain(2, 6, grim)).unwrap().unwrap();
    let near = |number: f64, expected: f64| assert!((number - expected).abs() < 1e-7, "{number} {expected}");
    let mean = |cartel: f64, war: f64| 0.25 * cartel + 0.75 * war;
    let (cartel, war) = (profit([high; 2]), profit([low; 2]));
    near(conduct.prices[0], mean(high, low));
    near(conduct.profits[1], mean(cartel, war));
    let later: f64 = (1..20).map(|period| 0.95f64.powi(period)).sum();
    let won = 0.25 * (profit([low, high]) - cartel + later * (war - cartel));
    for deviation in &conduct.deviations {
        near(deviation.gain, won / ((1.0 + later) * mean(cartel, war)));
        near(deviation.own[0], low);
        near(deviation.others[0], mean(high, low));
        near(deviation.others[1], low);
        assert!(deviation.gain < -0.03);
    }
}

#[test]
fn sellers_who_see_nothing_do_not_punish() {
    // Both always at 1.4: a deviation to the better rung 1.442993 wins its one-shot gain, and then all is as before.
    let market = market("c", &[("prices", "[1.4, 1.442993]")]);
    let Market::LogitOligopoly(game) = &market else {
        panic!("C")
    };
    let conduct = market.conduct(&mut certain(2, 6, |_| 0)).unwrap().unwrap();
    let stayed = game.profits(&[1.4, 1.4])[0];
    let horizon: f64 = (0..20).map(|period| 0.95f64.powi(period)).sum();
    let gain = (game.profits(&[1.442_993, 1.4])[0] - stayed) / (horizon * stayed);
    let deviation = &conduct.deviations[0];
    assert!((deviation.gain - gain).abs() < 1e-9 && gain > 0.0);
    assert!(deviation.others.iter().all(|price| (price - 1.4).abs() < 1e-9));
    assert!(deviation.own[1..].iter().all(|price| (price - 1.4).abs() < 1e-9));
}
