//! What sellers make of each other who may ask any price: by playing, since their states are not finite.

use crate::{Interval, MarketValueError};
use haggle_core::Seeds;
use haggle_env::market::{Equilibrium, LogitOligopoly, Market, MarketEnv};
use haggle_env::{Env, StepBuffers};
use haggle_policy::Actors;
use rand::RngExt;
use rand_distr::StandardNormal;
use serde::Serialize;
use std::fmt;

/// Markets that are played side by side.
const COPIES: usize = 64;
/// What the discounted worth of the periods that are not played may be, as a share.
const LEFT_OUT: f64 = 1e-6;
const PERIODS: [f64; 2] = [200.0, 5000.0];

/// What sellers make of each other: the second half of the played periods. One entry per agent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OpenPricesValue {
    /// Mean prices.
    pub prices: Vec<f64>,
    /// Mean profits per period.
    pub profits: Vec<f64>,
    /// As [`crate::RivalryValue::delta`]: 0 at the one-shot equilibrium, 1 at the cartel.
    pub delta: f64,
    /// Price in the one-shot equilibrium.
    pub nash_price: Vec<f64>,
    /// Price in the cartel.
    pub monopoly_price: Vec<f64>,
    /// The largest distance of a mean price from the equilibrium's, as a share of that.
    pub nash_distance_max: f64,
}

/// Earnings as [`haggle_env::market::Exact`] has them, with their interval, and conduct.
pub(crate) fn play(
    market: &LogitOligopoly,
    equilibrium: &Equilibrium,
    actors: &Actors,
    seeds: &Seeds,
) -> Result<(Interval, OpenPricesValue), MarketValueError> {
    let periods = (LEFT_OUT.ln() / market.discount.ln()).clamp(PERIODS[0], PERIODS[1]) as usize;
    let endless = LogitOligopoly {
        episode_periods: periods + 1,
        ..market.clone()
    };
    let mut env = MarketEnv::new(&Market::LogitOligopoly(endless), COPIES)?;
    env.reset(&seeds.named("environment"));
    let (agents, obs_width) = (actors.agents(), env.spec().obs_width);
    let mut step = StepBuffers::new(env.spec());
    step.multipliers = vec![0.0; env.spec().rows()];
    let mut noise = seeds.named("actions").rng();
    let mut earned = vec![0.0; COPIES];
    let (mut prices, mut profits) = (vec![0.0; agents], vec![0.0; agents]);
    let (mut worth, late) = (1.0 - market.discount, periods / 2);
    for period in 0..periods {
        step.observe(&env);
        for row in 0..COPIES * agents {
            let seen = &step.obs[row * obs_width..][..obs_width];
            step.multipliers[row] = actors.multiplier(row % agents, seen, noise.sample(StandardNormal))?;
        }
        for (earned, multipliers) in earned.iter_mut().zip(step.multipliers.chunks_exact(agents)) {
            let posted = market.posted_multiples(multipliers);
            let each = market.profits(&posted);
            *earned += worth * each[..agents].iter().sum::<f64>();
            if period >= late {
                let share = 1.0 / (COPIES * (periods - late)) as f64;
                prices
                    .iter_mut()
                    .zip(&posted)
                    .for_each(|(sum, price)| *sum += price * share);
                profits
                    .iter_mut()
                    .zip(&each)
                    .for_each(|(sum, profit)| *sum += profit * share);
            }
        }
        worth *= market.discount;
        step.play(&mut env);
    }
    let mean = earned.iter().sum::<f64>() / COPIES as f64;
    let squares: f64 = earned.iter().map(|value| (value - mean).powi(2)).sum();
    let value = Interval::normal(mean, (squares / (COPIES * (COPIES - 1)) as f64).sqrt());
    Ok((value, OpenPricesValue::new(prices, profits, equilibrium)))
}

impl OpenPricesValue {
    fn new(prices: Vec<f64>, profits: Vec<f64>, equilibrium: &Equilibrium) -> Self {
        let nash_price: Vec<f64> = (0..prices.len())
            .map(|agent| equilibrium.nash_price.seller(agent))
            .collect();
        let apart = prices.iter().zip(&nash_price);
        Self {
            delta: equilibrium.delta(&profits),
            nash_distance_max: apart
                .map(|(price, nash)| (price / nash - 1.0).abs())
                .fold(0.0, f64::max),
            monopoly_price: (0..prices.len())
                .map(|agent| equilibrium.monopoly_price.seller(agent))
                .collect(),
            nash_price,
            prices,
            profits,
        }
    }
}

impl fmt::Display for OpenPricesValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |numbers: &[f64]| -> String {
            let each = numbers.iter().map(|number| format!("{number:<12.6}"));
            each.collect::<String>().trim_end().to_owned()
        };
        writeln!(f, "{:<32}{:.4}", "Delta", self.delta)?;
        writeln!(f, "{:<32}{}", "prices", list(&self.prices))?;
        writeln!(f, "{:<32}{}", "  in equilibrium", list(&self.nash_price))?;
        writeln!(f, "{:<32}{}", "  in the cartel", list(&self.monopoly_price))?;
        write!(f, "{:<32}{}", "profits", list(&self.profits))
    }
}
