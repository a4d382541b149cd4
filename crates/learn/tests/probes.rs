//! One question each: does the learner learn a price, a delay, a segment, a rival, a limit?

use haggle_core::{Mask, Pmf};
use haggle_env::{Actions, Env, ObserveOut, ProbeConfig, ProbeEnv, Problem};
use haggle_learn::{DeviceChoice, Mappo, Schedule, Silent, TrainConfig, train};
use std::sync::atomic::AtomicBool;

/// Enough of the known optimum.
const SHARE_MIN: f64 = 0.98;

fn probe(text: &str) -> ProbeConfig {
    let mut config: ProbeConfig = toml::from_str(text).expect("a probe config");
    config.copies = 64;
    config
}

fn settings(seed: u64, steps: u64) -> TrainConfig {
    TrainConfig {
        seed,
        steps,
        copies: 64,
        horizon: 32,
        minibatch_rows: 512,
        gamma: 1.0,
        exploration: 0.0,
        learning_rate: Schedule::linear(3e-3, 0.0),
        device: DeviceChoice::Cpu,
        threads: 1,
        ..TrainConfig::default()
    }
}

fn learn(probe: &ProbeConfig, config: TrainConfig) -> Mappo {
    let env = ProbeEnv::new(probe.clone()).expect("an environment");
    let mut learner = Mappo::new(config, Box::new(env)).expect("a learner");
    train(&mut learner, None, &mut Silent, &AtomicBool::new(false)).expect("a run");
    learner
}

/// The distribution over prices at an episode's first step, per segment (-1 and +1 where there are segments).
fn first_pmf(learner: &Mappo, probe: &ProbeConfig, signal: f32) -> Pmf {
    let actors = learner.actors().expect("actors");
    let all = Mask::all(probe.prices.len());
    actors.pmf(0, &[1.0, signal, 0.0], all, &mut []).expect("a pmf")
}

fn monopoly_value(probe: &ProbeConfig, pmf: &Pmf, choke: f64, cost: f64) -> f64 {
    pmf.mean(|rung| (probe.prices[rung] - cost) * (1.0 - probe.prices[rung] / choke).max(0.0))
}

#[test]
fn the_best_price_without_state() {
    let probe = probe(include_str!("../../../envs/probe/one-price.toml"));
    let Problem::OnePrice { choke, cost, .. } = probe.problem else {
        panic!("another problem")
    };
    for seed in 1..=3 {
        let learner = learn(&probe, settings(seed, 100_000));
        let value = monopoly_value(&probe, &first_pmf(&learner, &probe, 0.0), choke, cost);
        let share = value / probe.optimum().expect("an optimum").value;
        assert!(share >= SHARE_MIN, "seed {seed}: {share:.4} of the optimum");
    }
}

#[test]
fn a_reward_that_comes_three_steps_later() {
    let probe = probe(include_str!("../../../envs/probe/late-sale.toml"));
    let Problem::LateSale { choke, cost } = probe.problem else {
        panic!("another problem")
    };
    for seed in 1..=2 {
        let learner = learn(&probe, settings(seed, 250_000));
        let value = monopoly_value(&probe, &first_pmf(&learner, &probe, 0.0), choke, cost);
        let share = value / probe.optimum().expect("an optimum").value;
        assert!(share >= SHARE_MIN, "seed {seed}: {share:.4} of the optimum");
    }
}

#[test]
fn a_price_for_each_segment() {
    let probe = probe(include_str!("../../../envs/probe/two-buyers.toml"));
    let Problem::TwoBuyers { chokes, cost } = probe.problem else {
        panic!("another problem")
    };
    for seed in 1..=3 {
        let learner = learn(&probe, settings(seed, 150_000));
        let of = |segment: usize, signal| {
            monopoly_value(
                &probe,
                &first_pmf(&learner, &probe, signal),
                chokes[segment],
                cost,
            )
        };
        let share = (of(0, -1.0) + of(1, 1.0)) / 2.0 / probe.optimum().expect("an optimum").value;
        assert!(share >= SHARE_MIN, "seed {seed}: {share:.4} of the optimum");
    }
}

#[test]
fn two_sellers_end_at_their_equilibrium() {
    let probe = probe(include_str!("../../../envs/probe/two-sellers.toml"));
    let Problem::TwoSellers {
        demand,
        own_slope,
        rival_slope,
        cost,
        common_share,
    } = probe.problem
    else {
        panic!("another problem")
    };
    assert_eq!(common_share, 0.0);
    for seed in 1..=3 {
        let learner = learn(&probe, settings(seed, 100_000));
        let pmf = first_pmf(&learner, &probe, 0.0);
        let rival = pmf.mean(|rung| probe.prices[rung]);
        let profit = |price: f64| (price - cost) * (demand - own_slope * price + rival_slope * rival);
        let best = probe
            .prices
            .iter()
            .map(|price| profit(*price))
            .fold(f64::MIN, f64::max);
        let share = pmf.mean(|rung| profit(probe.prices[rung])) / best;
        assert!(share >= 0.99, "seed {seed}: {share:.4} of the best response");
        assert_eq!(pmf.mode(), probe.optimum().expect("an equilibrium").rungs[0]);
    }
}

#[test]
fn a_limit_on_the_mean_price_is_kept_and_used() {
    let mut probe = probe(include_str!("../../../envs/probe/one-price.toml"));
    probe.problem = Problem::OnePrice {
        choke: 10.0,
        cost: 2.0,
        price_mean_max: Some(4.0),
    };
    let mut config = settings(1, 400_000);
    config.multiplier.learning_rate = 0.005;
    let learner = learn(&probe, config);
    let pmf = first_pmf(&learner, &probe, 0.0);
    let price = pmf.mean(|rung| probe.prices[rung]);
    let share = monopoly_value(&probe, &pmf, 10.0, 2.0) / probe.optimum().expect("an optimum").value;
    let multiplier = learner.multipliers()[0];
    assert!(
        price < 4.0 * 1.02 && share > 0.97,
        "mean price {price:.3}, {share:.4}, multiplier {multiplier:.3}"
    );
    // One step of price is worth 0.5 below the limit and 0.3 above it: prices of the limit between them support it.
    assert!((0.2..0.8).contains(&multiplier), "multiplier {multiplier:.3}");
}

#[test]
fn a_masked_price_is_never_played() {
    let probe = probe(include_str!("../../../envs/probe/one-price.toml"));
    let env = Masked(ProbeEnv::new(probe).expect("an environment"), 0b110);
    let mut config = settings(1, 20_000);
    config.exploration = 0.3;
    let mut learner = Mappo::new(config, Box::new(env)).expect("a learner");
    train(&mut learner, None, &mut Silent, &AtomicBool::new(false)).expect("a run");
}

#[test]
fn a_mask_that_allows_nothing_names_agent_and_step() {
    let probe = probe(include_str!("../../../envs/probe/one-price.toml"));
    let env = Masked(ProbeEnv::new(probe).expect("an environment"), 0);
    let mut learner = Mappo::new(settings(1, 20_000), Box::new(env)).expect("a learner");
    let error = learner.iterate().expect_err("nobody may act").to_string();
    assert!(
        error.starts_with("environment step 0, copy 0: the masks of all its agents (0 to 0) are empty"),
        "{error}"
    );
}

/// Forbids prices, and sees to it that none of them is played.
struct Masked(ProbeEnv, u64);

impl Env for Masked {
    fn spec(&self) -> &haggle_env::EnvSpec {
        self.0.spec()
    }
    fn reset(&mut self, seeds: &haggle_core::Seeds) {
        self.0.reset(seeds);
    }
    fn observe(&self, out: &mut ObserveOut<'_>) {
        self.0.observe(out);
        out.mask.iter_mut().for_each(|mask| *mask &= self.1);
    }
    fn step(&mut self, actions: Actions<'_>, out: &mut haggle_env::StepOut<'_>) {
        assert!(actions.rungs().iter().all(|rung| self.1 >> rung & 1 == 1));
        self.0.step(actions, out);
    }
    fn save(&self) -> Vec<u8> {
        self.0.save()
    }
    fn load(&mut self, state: &[u8]) -> Result<(), String> {
        self.0.load(state)
    }
}
