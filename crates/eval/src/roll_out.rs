//! Episodes of a policy in an environment: for policies that remember, whose states are not finite, and for what no table
//! tells (how often a guardrail stood in the way).

use crate::Interval;
use haggle_core::{Mask, Pmf, PolicyError, Seeds};
use haggle_env::{Env, StepBuffers, StepEnd};
use haggle_policy::Actors;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use rayon::prelude::*;

/// What some episodes brought.
#[derive(Clone, Debug, PartialEq)]
pub struct RollOut {
    /// Earnings of each episode, all agents together, not discounted.
    pub returns: Vec<f64>,
    /// Prices that were set.
    pub decisions: u64,
    /// Those among them at which the policy scored a forbidden rung highest.
    pub guardrail_hits: u64,
}

impl RollOut {
    /// Mean earnings of an episode, with its normal 95 % interval.
    #[must_use]
    pub fn value(&self) -> Interval {
        let n = self.returns.len() as f64;
        let mean = self.returns.iter().sum::<f64>() / n;
        let squares: f64 = self.returns.iter().map(|value| (value - mean).powi(2)).sum();
        Interval::normal(mean, (squares / (n - 1.0).max(1.0) / n).sqrt())
    }

    /// Guardrail hits over decisions.
    #[must_use]
    pub fn hit_share(&self) -> f64 {
        self.guardrail_hits as f64 / self.decisions.max(1) as f64
    }
}

/// One agent of one copy: where it draws from and what it remembers.
struct Player {
    rng: ChaCha8Rng,
    memory: Vec<f32>,
    rung: u8,
    /// In place of the rung, where any price may be set.
    multiplier: f32,
    hit: bool,
    acts: bool,
}

impl Player {
    fn decide(&mut self, agent: usize, obs: &[f32], mask: u64, actors: &Actors) -> Result<(), PolicyError> {
        self.acts = mask != 0;
        if !self.acts {
            return Ok(());
        }
        if !actors.multipliers().is_empty() {
            self.multiplier = actors.multiplier(agent, obs, self.rng.sample(StandardNormal))?;
            return Ok(());
        }
        let logits = actors.logits(agent, obs, &mut self.memory)?;
        let favourite = (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b]));
        let pmf = Pmf::from_logits(&logits, Mask(mask), actors.floor())?;
        self.rung = pmf.draw(self.rng.random()).rung as u8;
        self.hit = favourite.is_some_and(|rung| !Mask(mask).allows(rung));
        Ok(())
    }
}

/// Plays `per_copy` whole episodes in every copy of an environment. Prices are drawn as in training; the same seeds give
/// the same episodes.
///
/// # Errors
/// When the policy has no answer to what it sees.
pub fn roll_out(
    env: &mut dyn Env,
    actors: &Actors,
    per_copy: usize,
    seeds: &Seeds,
) -> Result<RollOut, PolicyError> {
    let spec = env.spec().clone();
    let (rows, agents) = (spec.rows(), spec.agents);
    let mut step = StepBuffers::new(&spec);
    if !actors.multipliers().is_empty() {
        step.multipliers = vec![0.0; rows];
    }
    let draws = seeds.named("actions");
    let mut players: Vec<Player> = (0..rows)
        .map(|row| Player {
            rng: draws.indexed(row as u64).rng(),
            memory: vec![0.0; actors.memory_width()],
            rung: 0,
            multiplier: 0.0,
            hit: false,
            acts: false,
        })
        .collect();
    let mut running = vec![0.0; spec.copies];
    let mut done: Vec<Vec<f64>> = vec![Vec::new(); spec.copies];
    let (mut decisions, mut guardrail_hits) = (0, 0);
    env.reset(&seeds.named("environment"));
    while done.iter().any(|returns| returns.len() < per_copy) {
        step.observe(env);
        players.par_iter_mut().enumerate().try_for_each(|(row, player)| {
            let seen = &step.obs[row * spec.obs_width..][..spec.obs_width];
            player.decide(row % agents, seen, step.mask[row], actors)
        })?;
        for (row, player) in players.iter().enumerate() {
            match step.multipliers.get_mut(row) {
                Some(multiplier) => *multiplier = player.multiplier,
                None => step.rungs[row] = player.rung,
            }
        }
        step.play(env);
        for copy in 0..spec.copies {
            let team = copy * agents..(copy + 1) * agents;
            if done[copy].len() < per_copy {
                running[copy] += step.reward[team.clone()]
                    .iter()
                    .map(|r| f64::from(*r))
                    .sum::<f64>();
                let acting = players[team.clone()].iter().filter(|player| player.acts);
                decisions += acting.clone().count() as u64;
                guardrail_hits += acting.filter(|player| player.hit).count() as u64;
            }
            if step.end[copy] != StepEnd::Go {
                if done[copy].len() < per_copy {
                    done[copy].push(running[copy]);
                }
                running[copy] = 0.0;
                players[team]
                    .iter_mut()
                    .for_each(|player| player.memory.fill(0.0));
            }
        }
    }
    Ok(RollOut {
        returns: done.concat(),
        decisions,
        guardrail_hits,
    })
}
