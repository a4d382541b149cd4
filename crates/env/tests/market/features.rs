//! Markets whose observations are numbers of their past or of a shopper (H, E2).

use crate::files::market;
use crate::harness::{draw, rows};
use haggle_core::Seeds;
use haggle_env::market::{Market, MarketEnv};
use haggle_env::{Env, StepBuffers, StepEnd};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Earnings of an episode of one copy where `rung(period)` is played.
fn episode(env: &mut MarketEnv, rung: impl Fn(usize) -> usize) -> f64 {
    let mut step = StepBuffers::new(env.spec());
    let mut earned = 0.0;
    for period in 0.. {
        step.rungs = vec![rung(period) as u8];
        step.play(env);
        earned += f64::from(step.reward[0]);
        if step.end[0] != StepEnd::Go {
            break;
        }
    }
    earned
}

#[test]
fn demand_that_changes_pays_what_its_clairvoyant_and_its_best_fixed_price_earn() {
    for name in ["h1", "h2"] {
        let h = market(name, &[]);
        let Market::ChangingDemand(line) = &h else {
            panic!("another market")
        };
        assert_eq!(
            h.exact_value(&mut |_: &[f32], _: &[u64], _: &mut [f32]| ())
                .expect("an answer"),
            None
        );
        let (prices, oracle) = (h.prices().expect("a ladder"), h.oracle().expect("an optimum"));
        let nearest = |price: f64| {
            (0..prices.len())
                .min_by(|a, b| (prices[*a] - price).abs().total_cmp(&(prices[*b] - price).abs()))
                .expect("a rung")
        };
        let mut env = MarketEnv::new(&h, 1).expect("an environment");
        let best = |t: usize| {
            let (a, b) = line.demand(t);
            nearest(a / (2.0 * b))
        };
        // Noise: 10 units x 50 x sqrt(5000) = 35,000, 0.3 %; a ladder of 2.5 costs 0.02 %.
        let clairvoyant = episode(&mut env, best);
        assert!((clairvoyant / oracle.v_star - 1.0).abs() < 0.01, "{clairvoyant}");
        let fixed = episode(&mut env, |_| nearest(oracle.fixed_price));
        assert!((fixed / oracle.v_fixed - 1.0).abs() < 0.01, "{fixed}");
    }
}

#[test]
fn the_last_prices_and_what_they_sold_are_seen() {
    let h = market("h1", &[("noise", "0.0")]);
    let mut env = MarketEnv::new(&h, 1).expect("an environment");
    let mut step = StepBuffers::new(env.spec());
    for rung in [0, 30] {
        step.rungs = vec![rung];
        step.play(&mut env);
    }
    step.observe(&env);
    // At 90 the first line sells 10, at 15 it sells 85; the largest intercept is 140.
    let seen: Vec<f32> = vec![1.0, 10.0 / 140.0, 0.0, 85.0 / 140.0];
    assert!(step.obs[..4].iter().zip(&seen).all(|(a, b)| (a - b).abs() < 1e-6));
    assert!(step.obs[4..].iter().all(|x| *x == 0.0));
}

#[test]
fn shoppers_with_two_features_are_valued_by_quadrature() {
    let e2 = market("e2", &[("prices", "[35, 45, 55, 65, 75]")]);
    let prices = e2.prices().expect("a ladder");
    let smooth = |obs: &[f32], pmf: &mut [f32]| {
        let aim = 52.0 - 8.0 * obs[0] + 5.0 * obs[1];
        for (p, price) in pmf.iter_mut().zip(&prices) {
            *p = (-(*price as f32 - aim).powi(2) / 200.0).exp().max(1e-30);
        }
        let total: f32 = pmf.iter().sum();
        pmf.iter_mut().for_each(|p| *p /= total);
    };
    let exact = e2
        .exact_value(&mut rows(2, |obs, _, pmf| smooth(obs, pmf)))
        .expect("a value")
        .expect("a value");
    let copies = 100_000;
    let mut env = MarketEnv::new(&e2, copies).expect("an environment");
    env.reset(&Seeds::new(4));
    let mut step = StepBuffers::new(env.spec());
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let mut pmf = vec![0.0; 5];
    step.observe(&env);
    step.rungs = step
        .obs
        .chunks_exact(2)
        .map(|obs| {
            smooth(obs, &mut pmf);
            draw(&pmf, rng.random())
        })
        .collect();
    step.play(&mut env);
    let mean = step.reward.iter().map(|x| f64::from(*x)).sum::<f64>() / copies as f64;
    // A visit earns 0 to 55: the mean of 100,000 is good to 0.06.
    assert!(
        (mean - exact.value).abs() < 0.25,
        "{mean} rolled out, {} solved",
        exact.value
    );
    assert!(exact.value < e2.oracle().expect("an optimum").v_star);
}
