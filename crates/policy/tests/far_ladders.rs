//! Ladders that reach far beyond what people pay. As long as nothing sells, demand seems low everywhere and the dearest price
//! the best: a bandit that believes it never learns what a cheaper one would sell.

use haggle_core::{Mask, Seeds};
use haggle_policy::bandit::{Bandit, BanditConfig, Context};
use rand::RngExt;

const VISITS: usize = 3000;

/// A purchase at `price` by people who pay 30, give or take 3.5.
fn chance(price: f64) -> f64 {
    0.6 / (1.0 + ((price - 30.0) / 3.5).exp())
}

/// What the bandit earns over a season, as a share of the best single price.
fn share(config: BanditConfig) -> f64 {
    let (prices, seed) = (config.prices.clone(), config.seed);
    let mut bandit = Bandit::new(config).expect("a bandit");
    let mut rng = Seeds::new(seed).named("far ladders").rng();
    let context = Context { segment: 0, x: &[] };
    let mut earned = 0.0;
    for _ in 0..VISITS {
        let pmf = bandit.pmf(context, Mask::all(prices.len())).expect("a pmf");
        let mut left: f64 = rng.random();
        let drawn = pmf.probabilities().iter().position(|p| {
            left -= p;
            left < 0.0
        });
        let rung = drawn.unwrap_or(0);
        let p = chance(prices[rung]);
        earned += p * prices[rung];
        let sold = f64::from(u8::from(rng.random::<f64>() < p));
        bandit.update(context, rung, sold).expect("an update");
    }
    let best = prices
        .iter()
        .map(|price| price * chance(*price))
        .fold(0.0, f64::max);
    earned / (best * VISITS as f64)
}

/// Ten times what people pay, by steps.
fn steps() -> Vec<f64> {
    (1..=20).map(|rung| 15.0 * f64::from(rung)).collect()
}

/// A hundred times what people pay, by factors.
fn factors() -> Vec<f64> {
    (0..12).map(|rung| 3000f64.powf(f64::from(rung) / 11.0)).collect()
}

fn least(make: fn(Vec<f64>, usize, u64) -> BanditConfig, prices: &[f64]) -> f64 {
    let shares = (1..=4).map(|seed| share(make(prices.to_vec(), 0, seed)));
    shares
        .inspect(|share| println!("{share:.3}"))
        .fold(f64::INFINITY, f64::min)
}

#[test]
fn thompson_sampling_comes_down_from_prices_that_nobody_pays() {
    assert!(least(BanditConfig::logit_thompson, &steps()) > 0.93);
    assert!(least(BanditConfig::logit_thompson, &factors()) > 0.93);
}

#[test]
fn so_do_the_other_rules_on_the_logit_model() {
    for prices in [steps(), factors()] {
        assert!(least(BanditConfig::square_cb, &prices) > 0.85);
        assert!(least(BanditConfig::logit_epsilon_greedy, &prices) > 0.75);
    }
}

/// A line fits such demand badly, and its bounds are as wide at a price of 3000 as at 3: by factors they stay there for long.
#[test]
fn linear_demand_does_where_the_ladder_is_not_absurd() {
    assert!(least(BanditConfig::linear_thompson, &steps()) > 0.6);
    assert!(least(BanditConfig::linear_upper_bound, &steps()) > 0.6);
}
