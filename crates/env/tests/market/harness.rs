//! Playing an environment by a policy.

use haggle_core::Seeds;
use haggle_env::market::{Market, MarketEnv};
use haggle_env::{Env, StepBuffers, StepEnd};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Some policy that depends on all it sees: uneven weights over the allowed rungs.
pub fn some_policy(obs: &[f32], mask: u64, pmf: &mut [f32]) {
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
pub fn rows(
    width: usize,
    policy: impl Fn(&[f32], u64, &mut [f32]),
) -> impl FnMut(&[f32], &[u64], &mut [f32]) {
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

pub fn draw(pmf: &[f32], uniform: f32) -> u8 {
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
pub fn roll_out(market: &Market, copies: usize) -> (f64, f64, f64) {
    let mut env = MarketEnv::new(market, copies).expect("an environment");
    env.reset(&Seeds::new(11).named("rollout"));
    let discount = market.discount().expect("a discount");
    let (agents, width, rungs) = (env.spec().agents, env.spec().obs_width, env.spec().rungs);
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut step = StepBuffers::new(env.spec());
    let mut running = vec![(0.0, 1.0); copies];
    let mut returns: Vec<Vec<f64>> = vec![Vec::new(); copies];
    let mut pmf = vec![0.0; rungs];
    let mut cost = 0.0;
    while returns.iter().any(|done| done.len() < 2) {
        step.observe(&env);
        let each = step.obs.chunks_exact(width).zip(&step.mask);
        step.rungs = each
            .map(|(obs, mask)| {
                some_policy(obs, *mask, &mut pmf);
                draw(&pmf, rng.random())
            })
            .collect();
        step.play(&mut env);
        for (copy, (sum, weight)) in running.iter_mut().enumerate() {
            let earned = step.reward[copy * agents..][..agents].iter();
            *sum += *weight * earned.map(|x| f64::from(*x)).sum::<f64>();
            *weight *= discount;
            if returns[copy].len() < 2 {
                cost += step.cost.get(copy).map_or(0.0, |cost| f64::from(*cost));
            }
            if step.end[copy] != StepEnd::Go {
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
