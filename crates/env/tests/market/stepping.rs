//! Every market that can be stepped: stepping and solving are the same market, and a run repeats bit for bit.

use crate::files::{market, oracle};
use crate::harness::{roll_out, rows, some_policy};
use haggle_core::Seeds;
use haggle_env::market::{Market, MarketEnv, OracleError};
use haggle_env::{Env, StepBuffers, StepEnd};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const GRID: (&str, &str) = (
    "prices",
    "[40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90, 95, 100, 105, 110]",
);

/// Markets to try, with copies for the roll-out and what a discounted sum is multiplied with.
fn steppable() -> Vec<(Market, usize, f64)> {
    let short = ("episode_periods", "400");
    vec![
        (market("a2", &[]), 2000, 1.0),
        (market("a3", &[]), 2000, 1.0),
        (market("a4", &[]), 2000, 1.0),
        (market("b1", &[("periods", "100"), ("stock", "25")]), 2000, 1.0),
        (market("b3", &[("periods", "60"), ("stock", "[9, 7]")]), 2000, 1.0),
        (
            market(
                "b3",
                &[("periods", "60"), ("stock", "[9, 7]"), ("common_share", "0.3")],
            ),
            2000,
            1.0,
        ),
        (market("season", &[]), 2000, 1.0),
        (
            market("sell-through", &[("periods", "40"), ("stock", "20")]),
            2000,
            1.0,
        ),
        (market("hidden-type", &[]), 4000, 1.0),
        (
            market("c2", &[short, ("prices", "[1.4, 1.6, 1.8, 2.0]")]),
            1000,
            0.05,
        ),
        (market("f", &[]), 4000, 1.0),
        (market("f", &[("only_down", "true")]), 4000, 1.0),
        (market("e1", &[GRID]), 100_000, 1.0),
        (market("e1", &[GRID, ("corridor", "0.2")]), 100_000, 1.0),
        (market("d", &[short]), 1000, 0.05),
        (
            market("d", &[short, ("steps", "24"), ("rival", "\"myopic\"")]),
            1000,
            0.05,
        ),
        (market("g0", &[short, ("reference_price", "33.5")]), 500, 1.0),
        (market("c", &[short]), 1000, 0.05),
        (
            market(
                "c",
                &[
                    short,
                    ("sellers", "3"),
                    ("rungs", "5"),
                    ("costs", "[1.0, 0.75, 1.1]"),
                ],
            ),
            1000,
            0.05,
        ),
        (market("c", &[short, ("rivals", "[1.5]")]), 1000, 0.05),
        (
            market(
                "c",
                &[
                    short,
                    ("sellers", "3"),
                    ("rungs", "7"),
                    ("rivals", "[\"matcher\"]"),
                ],
            ),
            1000,
            0.05,
        ),
        (
            market(
                "c",
                &[
                    short,
                    ("sellers", "3"),
                    ("rungs", "9"),
                    ("rivals", "[1.6, \"undercutter\"]"),
                ],
            ),
            1000,
            0.05,
        ),
        (market("c", &[short, ("rivals", "[\"best-reply\"]")]), 1000, 0.05),
    ]
}

#[test]
fn stepping_and_solving_are_the_same_market() {
    for (market, copies, scale) in steppable() {
        let width = MarketEnv::new(&market, 1)
            .expect("an environment")
            .spec()
            .obs_width;
        let exact = market
            .exact_value(&mut rows(width, some_policy))
            .expect("a value")
            .expect("finite states");
        let (mean, error, cost) = roll_out(&market, copies);
        let (mean, error) = (mean * scale, error * scale);
        assert!(
            (mean - exact.value).abs() < 4.0 * error,
            "{market:?}: {mean} +- {error} rolled out, {} solved",
            exact.value
        );
        if let [expected] = exact.costs[..] {
            assert!(
                (cost - expected).abs() < 0.01,
                "{cost} rolled out, {expected} solved"
            );
        }
        assert!(
            error < 0.02 * exact.value.abs(),
            "{market:?}: {error} of {}",
            exact.value
        );
    }
}

#[test]
fn a_run_repeats_and_a_saved_one_goes_on_bit_for_bit() {
    for (market, _, _) in steppable() {
        let mut env = MarketEnv::new(&market, 7).expect("an environment");
        let play = |env: &mut MarketEnv, steps: usize| {
            let mut step = StepBuffers::new(env.spec());
            let mut rng = ChaCha8Rng::seed_from_u64(3);
            let mut seen = Vec::new();
            for _ in 0..steps {
                step.observe(env);
                let allowed = |mask: &u64, n: u32| (n % 64..64).chain(0..64).find(|r| mask >> r & 1 == 1);
                step.rungs = step
                    .mask
                    .iter()
                    .map(|mask| allowed(mask, rng.next_u32()).expect("a rung") as u8)
                    .collect();
                step.play(env);
                seen.extend(step.obs.iter().chain(&step.reward).map(|x| x.to_bits()));
            }
            seen
        };
        env.reset(&Seeds::new(1));
        let begun = play(&mut env, 30);
        let saved = env.save();
        let rest = play(&mut env, 200);
        env.reset(&Seeds::new(1));
        assert_eq!(play(&mut env, 30), begun);
        let mut other = MarketEnv::new(&market, 7).expect("an environment");
        other.load(&saved).expect("a saved state");
        assert_eq!(play(&mut other, 200), rest);
        assert!(other.load(&saved[1..]).is_err());
        let mut more = MarketEnv::new(&market, 8).expect("an environment");
        assert!(more.load(&saved).is_err());
    }
}

#[test]
fn a_copy_does_not_depend_on_how_many_there_are() {
    let play = |copies: usize| {
        let mut env = MarketEnv::new(&market("a4", &[]), copies).expect("an environment");
        env.reset(&Seeds::new(2));
        let mut step = StepBuffers::new(env.spec());
        let mut first = Vec::new();
        step.rungs.fill(4);
        for _ in 0..300 {
            step.play(&mut env);
            first.push(step.reward[0]);
        }
        first
    };
    assert_eq!(play(1), play(64));
}

#[test]
fn the_best_fixed_price_earns_v_fixed_and_no_other_more() {
    for (market, _, _) in steppable() {
        if matches!(
            &market,
            Market::LogitOligopoly(_) | Market::CapacityDuopoly(_) | Market::Network(_)
        ) {
            continue; // fixed prices beside the ladder, or another one for each product
        }
        let oracle = market.oracle().expect("an optimum");
        let prices = market.prices().expect("a ladder");
        let width = MarketEnv::new(&market, 1)
            .expect("an environment")
            .spec()
            .obs_width;
        // A guardrail binds a fixed price nowhere but in the corridor.
        let value = |rung: usize| {
            let policy = |_: &[f32], _: u64, pmf: &mut [f32]| {
                pmf.fill(0.0);
                pmf[rung] = 1.0;
            };
            market
                .exact_value(&mut rows(width, policy))
                .ok()
                .flatten()
                .map(|exact| exact.value)
        };
        let best = prices
            .iter()
            .position(|price| *price == oracle.fixed_price)
            .expect("a rung");
        let Some(earned) = value(best) else { continue };
        assert!(
            (earned / oracle.v_fixed - 1.0).abs() < 1e-9,
            "{market:?}: {earned} {}",
            oracle.v_fixed
        );
        let others = (0..prices.len()).filter_map(value).fold(0.0, f64::max);
        let bound = !oracle.references.contains_key("unconstrained");
        assert!(!bound || others <= oracle.v_fixed * (1.0 + 1e-12));
    }
}

#[test]
fn endless_markets_are_cut_off_and_finite_ones_end() {
    for (market, _, _) in steppable() {
        let endless = market.discount().expect("a discount") < 1.0;
        let mut env = MarketEnv::new(&market, 3).expect("an environment");
        let (mut step, agents) = (StepBuffers::new(env.spec()), env.spec().agents);
        let mut ends = Vec::new();
        for _ in 0..450 {
            step.observe(&env);
            step.rungs = step.mask.iter().map(|mask| mask.trailing_zeros() as u8).collect();
            step.play(&mut env);
            for (end, last_mask) in step.end.iter().zip(step.last_mask.chunks_exact(agents)) {
                if *end != StepEnd::Go {
                    ends.push(*end);
                    assert!(!endless || last_mask.iter().all(|mask| *mask != 0));
                }
            }
        }
        assert!(!ends.is_empty());
        let expected = if endless {
            StepEnd::Truncated
        } else {
            StepEnd::Terminated
        };
        assert!(ends.iter().all(|end| *end == expected), "{market:?}");
    }
}

#[test]
fn what_cannot_be_stepped_says_why() {
    for name in ["a1", "b2", "c2", "e1", "e2", "i"] {
        let error = MarketEnv::new(&market(name, &[]), 1).expect_err("not steppable");
        assert!(matches!(error, OracleError::NotStepped(_)), "{name}: {error}");
    }
    let wide = market("d", &[("steps", "100")]);
    assert!(wide.oracle().is_ok());
    assert!(
        MarketEnv::new(&wide, 1)
            .expect_err("too wide")
            .to_string()
            .contains("64")
    );
    assert!(MarketEnv::new(&market("a2", &[]), 0).is_err());
    let huge = market("c", &[("sellers", "9")]);
    assert!(matches!(
        MarketEnv::new(&huge, 1),
        Err(OracleError::TooManyStates { .. })
    ));
}

#[test]
fn a_policy_that_answers_no_distribution_is_refused() {
    let a2 = market("a2", &[]);
    let half = |_: &[f32], _: u64, pmf: &mut [f32]| pmf.fill(0.5);
    assert!(matches!(
        a2.exact_value(&mut rows(3, half)),
        Err(OracleError::Policy { .. })
    ));
    let a3 = market("a3", &[]);
    let top = |_: &[f32], _: u64, pmf: &mut [f32]| {
        pmf.fill(0.0);
        pmf[18] = 1.0;
    };
    let width = MarketEnv::new(&a3, 1).expect("an environment").spec().obs_width;
    assert!(matches!(
        a3.exact_value(&mut rows(width, top)),
        Err(OracleError::Policy { .. })
    ));
}

#[test]
fn sellers_at_a_nash_point_of_the_ladder_have_nothing_to_gain_and_the_cartel_has() {
    let c = market("c", &[]);
    let width = MarketEnv::new(&c, 1).expect("an environment").spec().obs_width;
    let always = |rung: usize| {
        let policy = move |_: &[f32], _: u64, pmf: &mut [f32]| {
            pmf.fill(0.0);
            pmf[rung] = 1.0;
        };
        let exact = c.exact_value(&mut rows(width, policy)).expect("a value");
        exact.expect("finite states")
    };
    for nash in [1, 2] {
        let gain = always(nash).reply_gain.expect("sellers");
        assert!(gain.iter().all(|gain| gain.abs() < 1e-9), "{gain:?}");
    }
    // All at the highest rung but one (1.931 each): who undercuts a rival that never answers wins a fifth.
    assert!(
        always(13)
            .reply_gain
            .expect("sellers")
            .iter()
            .all(|gain| *gain > 0.2)
    );
    let cartel = market("c", &[("prices", "[1.5, 1.9249813]")]);
    let policy = |_: &[f32], _: u64, pmf: &mut [f32]| pmf.copy_from_slice(&[0.0, 1.0]);
    let exact = cartel
        .exact_value(&mut rows(6, policy))
        .expect("a value")
        .expect("finite");
    assert!((exact.value / oracle("c", &[]).v_star - 1.0).abs() < 1e-9);
}
