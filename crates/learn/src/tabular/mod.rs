//! Tabular Q-learning of sellers who remember everybody's last price (Calvano, Calzolari, Denicolo and Pastorello 2020,
//! "Artificial intelligence, algorithmic pricing, and collusion"): the reference for market C. No network, no libtorch.

mod game;
mod learners;

use crate::ConfigError;
use crate::config::{in_range, positive};
use game::Game;
use haggle_core::Seeds;
use haggle_env::market::{LogitOligopoly, OracleError};
use learners::Learners;
use rayon::prelude::*;
use serde::Serialize;

/// Independent runs at most.
const RUNS_MAX: usize = 1_000_000;

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
    /// Independent runs, 1 to 1,000,000.
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
    /// Mean over settled runs of Delta: `(profit - Nash profit) / (monopoly profit - Nash profit)` of the sellers' average
    /// profits, over the cycle of prices that the run ends in.
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
    /// Somebody who does not learn.
    #[error("rivals: {0} of the sellers would not learn, and in tables all do; leave `rivals` out")]
    Rivals(usize),
    /// Tables out of reach.
    #[error(
        "the sellers' tables have {states:.2e} states x {rungs} prices x {sellers} sellers; up to 5e7 numbers are kept in \
         memory: fewer sellers or fewer prices are needed"
    )]
    TooLarge {
        /// Joint choices of all sellers.
        states: f64,
        /// Prices of the ladder.
        rungs: usize,
        /// Sellers.
        sellers: usize,
    },
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
        in_range("runs", runs, (1..=RUNS_MAX).contains(&runs), "1 to 1000000")
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
