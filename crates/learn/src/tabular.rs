//! Tabular Q-learning of sellers who remember everybody's last price (Calvano, Calzolari, Denicolo and Pastorello 2020,
//! "Artificial intelligence, algorithmic pricing, and collusion"): the reference for market C. No network, no libtorch.

use crate::ConfigError;
use crate::config::{in_range, positive};
use haggle_core::Seeds;
use haggle_env::market::{LogitOligopoly, OracleError};
use rand::{Rng, RngExt};
use rayon::prelude::*;
use serde::Serialize;

/// How the sellers learn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TabularConfig {
    /// Learning rate, in (0, 1].
    pub alpha: f64,
    /// Decay of exploration: a price is drawn at random with probability `exp(-beta t)` in period `t`; above 0.
    pub beta: f64,
    /// Worth of the next period beside this one, in [0, 1).
    pub discount: f64,
    /// A run ends once no seller's best prices have changed for so many periods.
    pub stable_periods: u64,
    /// A run that does not settle ends here and is not counted.
    pub periods_max: u64,
    /// Independent runs, at least 1.
    pub runs: usize,
    /// Root of every random number.
    pub seed: u64,
}

impl Default for TabularConfig {
    fn default() -> Self {
        Self {
            alpha: 0.15,
            beta: 4e-6,
            discount: 0.95,
            stable_periods: 100_000,
            periods_max: 20_000_000,
            runs: 200,
            seed: 1,
        }
    }
}

/// What the runs ended in.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TabularReport {
    /// Runs that settled.
    pub settled: usize,
    /// Runs that did not.
    pub unsettled: usize,
    /// Mean over settled runs of Delta: `(profit - Nash profit) / (monopoly profit - Nash profit)`, mean over sellers, over
    /// the cycle of prices that the run ends in.
    pub delta_mean: f64,
    /// Standard deviation of Delta over runs.
    pub delta_std: f64,
    /// 5 %, 50 % and 95 % quantile of Delta.
    pub delta_quantiles: [f64; 3],
    /// Mean number of periods until a run settled.
    pub periods_mean: f64,
}

/// Why nothing is learnt.
#[derive(Debug, thiserror::Error)]
pub enum TabularError {
    /// A setting out of range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The market makes no sense.
    #[error(transparent)]
    Market(#[from] OracleError),
    /// No run settled.
    #[error("none of the {0} runs settled in the periods allowed")]
    Unsettled(usize),
}

impl TabularConfig {
    fn check(&self) -> Result<(), ConfigError> {
        let (alpha, beta, discount) = (self.alpha, self.beta, self.discount);
        in_range("alpha", alpha, alpha > 0.0 && alpha <= 1.0, "above 0, at most 1")?;
        positive("beta", beta)?;
        in_range(
            "discount",
            discount,
            (0.0..1.0).contains(&discount),
            "0 to below 1",
        )?;
        let runs = self.runs;
        in_range("runs", runs, runs >= 1, "at least 1")
    }
}

/// Plays `config.runs` independent runs side by side; results do not depend on the number of threads.
///
/// # Errors
/// When a setting is out of range, the market makes no sense, or no run settles.
pub fn tabular_q(market: &LogitOligopoly, config: &TabularConfig) -> Result<TabularReport, TabularError> {
    config.check()?;
    let game = Game::new(market)?;
    let seeds = Seeds::new(config.seed).named("tabular");
    let ends: Vec<Option<(f64, u64)>> = (0..config.runs)
        .into_par_iter()
        .map(|run| Learners::new(&game, config).play(&game, config, &mut seeds.indexed(run as u64).rng()))
        .collect();
    let mut deltas: Vec<f64> = ends.iter().flatten().map(|(delta, _)| *delta).collect();
    let settled = deltas.len();
    if settled == 0 {
        return Err(TabularError::Unsettled(config.runs));
    }
    deltas.sort_by(f64::total_cmp);
    let count = settled as f64;
    let mean = deltas.iter().sum::<f64>() / count;
    let variance = deltas.iter().map(|delta| (delta - mean).powi(2)).sum::<f64>() / count;
    let periods: f64 = ends.iter().flatten().map(|(_, periods)| *periods as f64).sum();
    Ok(TabularReport {
        settled,
        unsettled: config.runs - settled,
        delta_mean: mean,
        delta_std: variance.sqrt(),
        delta_quantiles: [0.05, 0.5, 0.95].map(|q| deltas[((count - 1.0) * q).round() as usize]),
        periods_mean: periods / count,
    })
}

/// The stage game on the ladder. A joint choice has the number `sum_i rung_i x rungs^i`; the last one is the state.
struct Game {
    sellers: usize,
    rungs: usize,
    /// `joint x sellers`.
    profit: Vec<f64>,
    nash: Vec<f64>,
    monopoly: Vec<f64>,
}

impl Game {
    fn new(market: &LogitOligopoly) -> Result<Self, OracleError> {
        let equilibrium = market.oracle()?.equilibrium;
        let prices = market.ladder()?;
        let (sellers, rungs) = (market.sellers, prices.len());
        let joint = |n: usize| -> Vec<f64> {
            let rung = |seller: usize| n / rungs.pow(seller as u32) % rungs;
            (0..sellers).map(|seller| prices[rung(seller)]).collect()
        };
        let each = |of: &dyn Fn(&haggle_env::market::Equilibrium) -> &haggle_env::market::PerSeller| {
            let profits = equilibrium.as_ref().map(of);
            (0..sellers)
                .map(|seller| profits.map_or(f64::NAN, |profits| profits.seller(seller)))
                .collect::<Vec<f64>>()
        };
        Ok(Self {
            sellers,
            rungs,
            profit: (0..rungs.pow(sellers as u32))
                .flat_map(|n| market.profits(&joint(n)))
                .collect(),
            nash: each(&|equilibrium| &equilibrium.nash_profit),
            monopoly: each(&|equilibrium| &equilibrium.monopoly_profit),
        })
    }

    fn states(&self) -> usize {
        self.profit.len() / self.sellers
    }

    fn delta(&self, profits: &[f64]) -> f64 {
        let each = profits
            .iter()
            .zip(&self.nash)
            .zip(&self.monopoly)
            .map(|((profit, nash), monopoly)| (profit - nash) / (monopoly - nash));
        each.sum::<f64>() / self.sellers as f64
    }
}

/// The sellers' tables.
struct Learners {
    /// `seller x state x rung`.
    worth: Vec<f64>,
    /// The best rung at `seller x state`; the lowest of several.
    best: Vec<usize>,
}

impl Learners {
    /// A price is first worth what it earns for ever against rivals that price at random.
    fn new(game: &Game, config: &TabularConfig) -> Self {
        let (states, rungs) = (game.states(), game.rungs);
        let mut worth = Vec::with_capacity(game.sellers * states * rungs);
        let mut best = Vec::with_capacity(game.sellers * states);
        for seller in 0..game.sellers {
            let place = rungs.pow(seller as u32);
            let start = |rung: usize| {
                let own = (0..states).filter(|joint| joint / place % rungs == rung);
                let sum: f64 = own.map(|joint| game.profit[joint * game.sellers + seller]).sum();
                sum / (states / rungs) as f64 / (1.0 - config.discount)
            };
            let start: Vec<f64> = (0..rungs).map(start).collect();
            let first = first_best(&start);
            for _ in 0..states {
                worth.extend_from_slice(&start);
                best.push(first);
            }
        }
        Self { worth, best }
    }

    /// Delta of the cycle that the sellers settle in, and the periods until then; nothing if they do not.
    fn play(mut self, game: &Game, config: &TabularConfig, rng: &mut impl Rng) -> Option<(f64, u64)> {
        let (states, rungs) = (game.states(), game.rungs);
        let mut state = rng.random_range(0..states);
        let mut explore = 1.0;
        let decay = (-config.beta).exp();
        let mut stable = 0;
        for period in 1..=config.periods_max {
            let (mut joint, mut place) = (0, 1);
            for seller in 0..game.sellers {
                let random = rng.random::<f64>() < explore;
                let rung = if random {
                    rng.random_range(0..rungs)
                } else {
                    self.best[seller * states + state]
                };
                joint += rung * place;
                place *= rungs;
            }
            explore *= decay;
            let mut moved = false;
            for seller in 0..game.sellers {
                moved |= self.learn(game, config, seller, state, joint);
            }
            state = joint;
            stable = if moved { 0 } else { stable + 1 };
            if stable >= config.stable_periods {
                return Some((self.cycle(game, state), period));
            }
        }
        None
    }

    /// One seller's update after the sellers chose `joint` in `state`; whether its best rung there is another one now.
    fn learn(
        &mut self,
        game: &Game,
        config: &TabularConfig,
        seller: usize,
        state: usize,
        joint: usize,
    ) -> bool {
        let (states, rungs) = (game.states(), game.rungs);
        let rung = joint / rungs.pow(seller as u32) % rungs;
        let next = seller * states + joint;
        let later = self.worth[next * rungs + self.best[next]];
        let here = seller * states + state;
        let target = game.profit[joint * game.sellers + seller] + config.discount * later;
        let row = &mut self.worth[here * rungs..][..rungs];
        row[rung] += config.alpha * (target - row[rung]);
        let best = first_best(row);
        std::mem::replace(&mut self.best[here], best) != best
    }

    /// Mean profits, as Delta, over the cycle that the best prices lead into.
    fn cycle(&self, game: &Game, start: usize) -> f64 {
        let (states, rungs) = (game.states(), game.rungs);
        let next = |state: usize| {
            (0..game.sellers)
                .map(|seller| self.best[seller * states + state] * rungs.pow(seller as u32))
                .sum::<usize>()
        };
        let mut seen = vec![usize::MAX; states];
        let (mut path, mut state) = (Vec::new(), start);
        while seen[state] == usize::MAX {
            seen[state] = path.len();
            path.push(state);
            state = next(state);
        }
        let cycle = &path[seen[state]..];
        let mean = |seller: usize| {
            let profits = cycle
                .iter()
                .map(|joint| game.profit[joint * game.sellers + seller]);
            profits.sum::<f64>() / cycle.len() as f64
        };
        game.delta(&(0..game.sellers).map(mean).collect::<Vec<_>>())
    }
}

fn first_best(row: &[f64]) -> usize {
    let mut best = 0;
    for (rung, worth) in row.iter().enumerate() {
        if *worth > row[best] {
            best = rung;
        }
    }
    best
}
