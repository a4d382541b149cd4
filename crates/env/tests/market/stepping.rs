//! Every market that can be stepped: stepping and solving are the same market, and a run repeats bit for bit.

use crate::files::{market, oracle};
use haggle_core::Seeds;
use haggle_env::market::{Market, MarketEnv, OracleError};
use haggle_env::{Env, ObserveOut, StepEnd, StepOut};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The buffers of a step.
struct Buffers {
    obs: Vec<f32>,
    state: Vec<f32>,
    mask: Vec<u64>,
    reward: Vec<f32>,
    cost: Vec<f32>,
    violation: Vec<f32>,
    end: Vec<StepEnd>,
    last_obs: Vec<f32>,
    last_mask: Vec<u64>,
}

impl Buffers {
    fn of(env: &MarketEnv) -> Self {
        let (spec, rows) = (env.spec(), env.spec().rows());
        Self {
            obs: vec![0.0; rows * spec.obs_width],
            state: vec![0.0; rows * spec.state_width],
            mask: vec![0; rows],
            reward: vec![0.0; rows],
            cost: vec![0.0; rows * spec.constraints],
            violation: vec![0.0; spec.copies * spec.constraints],
            end: vec![StepEnd::Go; spec.copies],
            last_obs: vec![0.0; rows * spec.obs_width],
            last_mask: vec![0; rows],
        }
    }

    fn observe(&mut self, env: &MarketEnv) {
        env.observe(&mut ObserveOut {
            obs: &mut self.obs,
            state: &mut self.state,
            mask: &mut self.mask,
        });
    }

    fn step(&mut self, env: &mut MarketEnv, rungs: &[u8]) {
        env.step(
            rungs,
            &mut StepOut {
                reward: &mut self.reward,
                cost: &mut self.cost,
                violation: &mut self.violation,
                end: &mut self.end,
                last: ObserveOut {
                    obs: &mut self.last_obs,
                    state: &mut [],
                    mask: &mut self.last_mask,
                },
            },
        );
    }
}

/// Some policy that depends on all it sees: uneven weights over the allowed rungs.
fn some_policy(obs: &[f32], mask: u64, pmf: &mut [f32]) {
    let sum: f32 = obs.iter().enumerate().map(|(n, x)| x * (n + 3) as f32).sum();
    let seen = (sum * 64.0).round() as usize;
    for (rung, p) in pmf.iter_mut().enumerate() {
        let weight = 1 + (rung * 7 + seen * 5) % 11;
        *p = if mask >> rung & 1 == 1 { weight as f32 } else { 0.0 };
    }
    let total: f32 = pmf.iter().sum();
    pmf.iter_mut().for_each(|p| *p /= total);
}

/// Asks a policy of one row for many.
fn rows(width: usize, policy: impl Fn(&[f32], u64, &mut [f32])) -> impl FnMut(&[f32], &[u64], &mut [f32]) {
    move |obs, masks, out| {
        let rungs = out.len() / masks.len();
        for ((obs, mask), pmf) in obs
            .chunks_exact(width)
            .zip(masks)
            .zip(out.chunks_exact_mut(rungs))
        {
            policy(obs, *mask, pmf);
        }
    }
}

fn draw(pmf: &[f32], uniform: f32) -> u8 {
    let mut above = uniform;
    for (rung, p) in pmf.iter().enumerate() {
        if above < *p {
            return rung as u8;
        }
        above -= p;
    }
    pmf.iter().rposition(|p| *p > 0.0).expect("some weight") as u8
}

/// Mean and its standard error of the discounted returns of the first two episodes of each copy, all agents together, and
/// the mean cost of the constraint.
fn roll_out(market: &Market, copies: usize) -> (f64, f64, f64) {
    let mut env = MarketEnv::new(market, copies).expect("an environment");
    env.reset(&Seeds::new(11).named("rollout"));
    let discount = market.discount().expect("a discount");
    let (agents, width, rungs) = (env.spec().agents, env.spec().obs_width, env.spec().rungs);
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut buffers = Buffers::of(&env);
    let mut running = vec![(0.0, 1.0); copies];
    let mut returns: Vec<Vec<f64>> = vec![Vec::new(); copies];
    let mut pmf = vec![0.0; rungs];
    let mut cost = 0.0;
    while returns.iter().any(|done| done.len() < 2) {
        buffers.observe(&env);
        let each = buffers.obs.chunks_exact(width).zip(&buffers.mask);
        let choices: Vec<u8> = each
            .map(|(obs, mask)| {
                some_policy(obs, *mask, &mut pmf);
                draw(&pmf, rng.random())
            })
            .collect();
        buffers.step(&mut env, &choices);
        for (copy, (sum, weight)) in running.iter_mut().enumerate() {
            let earned = buffers.reward[copy * agents..][..agents].iter();
            *sum += *weight * earned.map(|x| f64::from(*x)).sum::<f64>();
            *weight *= discount;
            if returns[copy].len() < 2 {
                cost += buffers.cost.get(copy).map_or(0.0, |cost| f64::from(*cost));
            }
            if buffers.end[copy] != StepEnd::Go {
                returns[copy].push(*sum);
                (*sum, *weight) = (0.0, 1.0);
            }
        }
    }
    let all: Vec<f64> = returns.iter().flat_map(|done| &done[..2]).copied().collect();
    let mean = all.iter().sum::<f64>() / all.len() as f64;
    let spread = all.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (all.len() - 1) as f64;
    (mean, (spread / all.len() as f64).sqrt(), cost / all.len() as f64)
}

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
            let mut buffers = Buffers::of(env);
            let mut rng = ChaCha8Rng::seed_from_u64(3);
            let mut seen = Vec::new();
            for _ in 0..steps {
                buffers.observe(env);
                let allowed = |mask: &u64, n: u32| (n % 64..64).chain(0..64).find(|r| mask >> r & 1 == 1);
                let choices: Vec<u8> = buffers
                    .mask
                    .iter()
                    .map(|mask| allowed(mask, rng.next_u32()).expect("a rung") as u8)
                    .collect();
                buffers.step(env, &choices);
                seen.extend(buffers.obs.iter().chain(&buffers.reward).map(|x| x.to_bits()));
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
        let mut buffers = Buffers::of(&env);
        let mut first = Vec::new();
        for _ in 0..300 {
            buffers.step(&mut env, &vec![4; copies]);
            first.push(buffers.reward[0]);
        }
        first
    };
    assert_eq!(play(1), play(64));
}

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
        let mut buffers = Buffers::of(&env);
        let mut ends = Vec::new();
        for _ in 0..450 {
            buffers.observe(&env);
            let choices: Vec<u8> = buffers
                .mask
                .iter()
                .map(|mask| mask.trailing_zeros() as u8)
                .collect();
            buffers.step(&mut env, &choices);
            ends.extend(buffers.end.iter().copied().filter(|end| *end != StepEnd::Go));
        }
        assert!(!ends.is_empty());
        let expected = if endless {
            StepEnd::Truncated
        } else {
            StepEnd::Terminated
        };
        assert!(ends.iter().all(|end| *end == expected), "{market:?}");
        if endless {
            assert!(buffers.last_mask.iter().all(|mask| *mask != 0));
        }
    }
}

#[test]
fn what_cannot_be_stepped_says_why() {
    for name in ["a1", "b2", "c2", "e1", "e2"] {
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
        Err(OracleError::TooLarge { .. })
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

/// Earnings of an episode of one copy where `rung(period)` is played.
fn episode(env: &mut MarketEnv, rung: impl Fn(usize) -> usize) -> f64 {
    let mut buffers = Buffers::of(env);
    let mut earned = 0.0;
    for period in 0.. {
        buffers.step(env, &[rung(period) as u8]);
        earned += f64::from(buffers.reward[0]);
        if buffers.end[0] != StepEnd::Go {
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
    let i = market("i", &[("episode_periods", "2000")]);
    let mut env = MarketEnv::new(&i, 1).expect("an environment");
    let best = i
        .prices()
        .expect("a ladder")
        .iter()
        .position(|price| (price - 1.1).abs() < 0.02)
        .expect("a rung");
    assert!((episode(&mut env, |_| best) / (2000.0 * 0.605) - 1.0).abs() < 0.02);
}

#[test]
fn the_last_prices_and_what_they_sold_are_seen() {
    let h = market("h1", &[("noise", "0.0")]);
    let mut env = MarketEnv::new(&h, 1).expect("an environment");
    let mut buffers = Buffers::of(&env);
    buffers.step(&mut env, &[0]);
    buffers.step(&mut env, &[30]);
    buffers.observe(&env);
    // At 90 the first line sells 10, at 15 it sells 85; the largest intercept is 140.
    let seen: Vec<f32> = vec![1.0, 10.0 / 140.0, 0.0, 85.0 / 140.0];
    assert!(
        buffers.obs[..4]
            .iter()
            .zip(&seen)
            .all(|(a, b)| (a - b).abs() < 1e-6)
    );
    assert!(buffers.obs[4..].iter().all(|x| *x == 0.0));
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
    let mut buffers = Buffers::of(&env);
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let mut pmf = vec![0.0; 5];
    buffers.observe(&env);
    let choices: Vec<u8> = buffers
        .obs
        .chunks_exact(2)
        .map(|obs| {
            smooth(obs, &mut pmf);
            draw(&pmf, rng.random())
        })
        .collect();
    buffers.step(&mut env, &choices);
    let mean = buffers.reward.iter().map(|x| f64::from(*x)).sum::<f64>() / copies as f64;
    // A visit earns 0 to 55: the mean of 100,000 is good to 0.06.
    assert!(
        (mean - exact.value).abs() < 0.25,
        "{mean} rolled out, {} solved",
        exact.value
    );
    assert!(exact.value < e2.oracle().expect("an optimum").v_star);
}
