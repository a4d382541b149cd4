//! Playing an environment by a policy.

use haggle_core::Seeds;
use haggle_env::market::{Market, MarketEnv};
use haggle_env::{Actions, Env, ObserveOut, StepEnd, StepOut};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The buffers of a step.
pub struct Buffers {
    pub obs: Vec<f32>,
    pub state: Vec<f32>,
    pub mask: Vec<u64>,
    pub reward: Vec<f32>,
    pub cost: Vec<f32>,
    pub violation: Vec<f32>,
    pub end: Vec<StepEnd>,
    pub last_obs: Vec<f32>,
    pub last_mask: Vec<u64>,
}

impl Buffers {
    pub fn of(env: &MarketEnv) -> Self {
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

    pub fn observe(&mut self, env: &MarketEnv) {
        env.observe(&mut ObserveOut {
            obs: &mut self.obs,
            state: &mut self.state,
            mask: &mut self.mask,
        });
    }

    pub fn step(&mut self, env: &mut MarketEnv, rungs: &[u8]) {
        env.step(
            Actions::Rungs(rungs),
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
