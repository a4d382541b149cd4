//! A memory: gradient steps see what was remembered when prices were set, and it is worth having.

use haggle_core::Mask;
use haggle_env::{ProbeConfig, ProbeEnv, Problem};
use haggle_learn::{DeviceChoice, Mappo, Schedule, Silent, TrainConfig, train};
use haggle_policy::Actors;
use std::sync::atomic::AtomicBool;

fn probe(text: &str) -> ProbeConfig {
    let mut probe: ProbeConfig = toml::from_str(text).expect("a probe config");
    probe.copies = 16;
    probe
}

#[test]
fn gradient_steps_see_the_distribution_that_prices_were_drawn_from() {
    // Episodes of four steps, roll-outs of ten, chunks of three: every kind of cut comes together.
    let config = TrainConfig {
        steps: 16 * 10 * 3,
        copies: 16,
        horizon: 10,
        minibatch_rows: 1000,
        epochs: 1,
        memory: 8,
        memory_chunk: 3,
        learning_rate: Schedule::constant(1e-3),
        normalise_values: false,
        device: DeviceChoice::Cpu,
        ..TrainConfig::default()
    };
    let env =
        ProbeEnv::new(probe(include_str!("../../../envs/probe/late-sale.toml"))).expect("an environment");
    let mut learner = Mappo::new(config, Box::new(env)).expect("a learner");
    for _ in 0..3 {
        // One gradient step per roll-out: when it is made, the policy is still the one that played.
        let scalars = learner.iterate().expect("an iteration").scalars;
        let (divergence, clipped) = (scalars["train/approx_kl"], scalars["train/clip_fraction"]);
        assert!(
            divergence.abs() < 1e-6 && clipped == 0.0,
            "{divergence}, {clipped}"
        );
    }
}

/// The exact value of a policy in front of a hidden shopper: every price and outcome of every visit is gone through.
struct Exact<'a> {
    prices: &'a [f64],
    chokes: [f64; 2],
    visits: u8,
    actors: &'a Actors,
}

impl Exact<'_> {
    /// `weights`: joint probability of the way so far and each kind.
    fn value(&self, visit: u8, signal: f32, weights: [f64; 2], memory: &[f32]) -> f64 {
        if visit == self.visits || weights[0] + weights[1] < 1e-9 {
            return 0.0;
        }
        let mut memory = memory.to_vec();
        let obs = [1.0, signal, f32::from(visit) / f32::from(self.visits)];
        let all = Mask::all(self.prices.len());
        let pmf = self.actors.pmf(0, &obs, all, &mut memory).expect("a pmf");
        let mut value = 0.0;
        for (rung, price) in self.prices.iter().enumerate() {
            let p = pmf.probabilities()[rung];
            if p < 1e-4 {
                continue; // what is left out is less than a thousandth in all
            }
            let chance = self.chokes.map(|choke| (1.0 - price / choke).max(0.0));
            let bought = [0, 1].map(|kind| p * weights[kind] * chance[kind]);
            let left = [0, 1].map(|kind| p * weights[kind] * (1.0 - chance[kind]));
            let place = (rung + 1) as f32 / self.prices.len() as f32;
            value += price * (bought[0] + bought[1])
                + self.value(visit + 1, place, bought, &memory)
                + self.value(visit + 1, -place, left, &memory);
        }
        value
    }
}

/// Share of the Bayesian seller's value that a learner with so much memory reaches.
fn share(memory: usize, seed: u64) -> f64 {
    let probe = probe(include_str!("../../../envs/probe/hidden-shopper.toml"));
    let Problem::HiddenShopper { chokes, visits, .. } = probe.problem else {
        panic!("another problem")
    };
    let file: toml::Table = include_str!("../../../configs/train/hidden-shopper.toml")
        .parse()
        .expect("TOML");
    let mut config: TrainConfig = file["learner"].clone().try_into().expect("a learner");
    config.memory = memory;
    config.seed = seed;
    let best = probe.optimum().expect("an answer").value;
    let env = ProbeConfig {
        copies: config.copies,
        ..probe.clone()
    };
    let mut learner =
        Mappo::new(config, Box::new(ProbeEnv::new(env).expect("an environment"))).expect("a learner");
    train(&mut learner, None, &mut Silent, &AtomicBool::new(false)).expect("a run");
    let actors = learner.actors().expect("actors");
    let exact = Exact {
        prices: &probe.prices,
        chokes,
        visits,
        actors: &actors,
    };
    exact.value(0, 0.0, [0.5; 2], &vec![0.0; memory]) / best
}

#[test]
#[ignore = "proof: ten runs of half a million steps"]
fn a_memory_keeps_the_odds_of_a_hidden_shopper() {
    for seed in 1..=5 {
        let (with, without) = (share(16, seed), share(0, seed));
        println!(
            "hidden-shopper seed {seed}: {with:.4} of the Bayesian seller with a memory, {without:.4} without"
        );
        assert!(
            with >= 0.95 && with > without,
            "seed {seed}: {with:.4}, {without:.4} without"
        );
    }
}
