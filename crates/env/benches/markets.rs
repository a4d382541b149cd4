//! Steps per second of one core: observe and step, as a learner does. `cargo bench -p haggle-env`.
#![allow(missing_docs, clippy::expect_used)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use haggle_core::Seeds;
use haggle_env::market::{Market, MarketEnv};
use haggle_env::{Actions, Env, ObserveOut, StepEnd, StepOut};
use rand::{Rng, RngExt};

const COPIES: usize = 256;
/// Steps of a measurement; choices repeat after so many.
const STEPS: usize = 64;

/// Elements are steps of a copy, whatever the number of its agents.
fn steps(criterion: &mut Criterion, name: &str, text: &str) {
    let market: Market = toml::from_str(text).expect("a market");
    let mut env = MarketEnv::new(&market, COPIES).expect("an environment");
    let (rows, rungs) = (env.spec().rows(), env.spec().rungs);
    let width = env.spec().obs_width;
    let mut rng = Seeds::new(1).rng();
    let mut choices = vec![vec![0; rows]; STEPS];
    let each = choices.iter_mut().flatten();
    each.for_each(|rung| *rung = rng.random_range(0..rungs as u8));
    let (mut obs, mut last_obs) = (vec![0.0; rows * width], vec![0.0; rows * width]);
    let (mut mask, mut last_mask) = (vec![0; rows], vec![0; rows]);
    let (mut reward, mut end) = (vec![0.0; rows], vec![StepEnd::Go; COPIES]);
    let mut group = criterion.benchmark_group("markets");
    group.throughput(Throughput::Elements((COPIES * STEPS) as u64));
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            for rungs in &choices {
                env.observe(&mut ObserveOut {
                    obs: &mut obs,
                    state: &mut [],
                    mask: &mut mask,
                });
                let last = ObserveOut {
                    obs: &mut last_obs,
                    state: &mut [],
                    mask: &mut last_mask,
                };
                env.step(
                    Actions::Rungs(rungs),
                    &mut StepOut {
                        reward: &mut reward,
                        cost: &mut [],
                        violation: &mut [],
                        end: &mut end,
                        last,
                    },
                );
            }
            reward[0]
        });
    });
    group.finish();
}

/// What the random numbers alone cost: one a copy and step.
fn draws(criterion: &mut Criterion) {
    let seeds = Seeds::new(1);
    let mut streams: Vec<_> = (0..COPIES).map(|copy| seeds.indexed(copy as u64).rng()).collect();
    let mut group = criterion.benchmark_group("markets");
    group.throughput(Throughput::Elements((COPIES * STEPS) as u64));
    group.bench_function("draws", |bencher| {
        bencher.iter(|| {
            let draw = |sum: u32, _: usize| streams.iter_mut().fold(sum, |sum, rng| sum ^ rng.next_u32());
            (0..STEPS).fold(0, draw)
        });
    });
    group.finish();
}

fn all(criterion: &mut Criterion) {
    draws(criterion);
    steps(criterion, "a4", include_str!("../../../envs/a4.toml"));
    steps(criterion, "c", include_str!("../../../envs/c.toml"));
    steps(criterion, "a2", include_str!("../../../envs/a2.toml"));
    steps(criterion, "f", include_str!("../../../envs/f.toml"));
}

criterion_group!(benches, all);
criterion_main!(benches);
