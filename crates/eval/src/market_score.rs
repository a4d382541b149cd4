//! What a policy for a market is worth beside the market's exact optimum and its best single price.

use haggle_core::{Mask, PolicyError};
use haggle_env::market::{Market, Oracle, OracleError};
use haggle_policy::Actors;
use serde::Serialize;
use std::fmt;

/// Exact figures of one policy; money in the units of the oracle's `v_star`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MarketScore {
    /// What the policy earns, all agents together.
    pub value: f64,
    /// What the best policy earns.
    pub v_star: f64,
    /// What the best single price earns.
    pub v_fixed: f64,
    /// `value / v_star`.
    pub optimum_share: f64,
    /// `(value - v_fixed) / (v_star - v_fixed)`; absent where nothing can be gained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap_score: Option<f64>,
    /// Several sellers only.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub rivalry: Option<Rivalry>,
}

/// What sellers make of each other.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rivalry {
    /// What each seller earns.
    pub profits: Vec<f64>,
    /// Mean over sellers of `(profit - Nash profit) / (monopoly profit - Nash profit)` (Calvano et al. 2020).
    pub delta: f64,
    /// The most that a seller could win by the best reply to the others' policies, as a share of its profit.
    pub reply_gain_max: f64,
}

/// Why a policy has no score.
#[derive(Debug, thiserror::Error)]
pub enum MarketScoreError {
    /// The market has none.
    #[error(transparent)]
    Market(#[from] OracleError),
    /// The policy does not answer.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The policy is for another number of agents.
    #[error("the policy plays {actors} agents, the market has {market}")]
    Agents {
        /// Of the policy.
        actors: usize,
        /// Of the market.
        market: usize,
    },
    /// Places do not tell what was remembered on the way to them.
    #[error("a policy with a memory has no value per state; it is valued by playing")]
    Memory,
}

impl MarketScore {
    /// The exact score of `actors` in `market`; nothing where the market's states are not finite. `oracle` is the market's.
    ///
    /// # Errors
    /// When the policy does not fit the market, or remembers.
    pub fn of(market: &Market, oracle: &Oracle, actors: &Actors) -> Result<Option<Self>, MarketScoreError> {
        if actors.memory_width() > 0 {
            return Err(MarketScoreError::Memory);
        }
        let mut refused = None;
        let exact = market.exact_value(&mut |obs: &[f32], masks: &[u64], out: &mut [f32]| {
            let rows = obs.chunks_exact(actors.obs_width()).zip(masks);
            let pmfs = out.chunks_exact_mut(actors.rungs());
            for (row, ((obs, mask), out)) in rows.zip(pmfs).enumerate() {
                match actors.pmf(row % actors.agents(), obs, Mask(*mask), &mut []) {
                    Ok(pmf) => {
                        for (out, p) in out.iter_mut().zip(pmf.probabilities()) {
                            *out = *p as f32;
                        }
                    }
                    Err(error) => refused = Some(error),
                }
            }
        });
        if let Some(error) = refused {
            return Err(error.into());
        }
        let Some(exact) = exact? else { return Ok(None) };
        if exact.agents.len() != actors.agents() {
            return Err(MarketScoreError::Agents {
                actors: actors.agents(),
                market: exact.agents.len(),
            });
        }
        let (v_star, v_fixed) = (oracle.v_star, oracle.v_fixed);
        let room = v_star - v_fixed;
        Ok(Some(Self {
            value: exact.value,
            v_star,
            v_fixed,
            optimum_share: exact.value / v_star,
            gap_score: (room > 1e-9 * v_star.abs()).then(|| (exact.value - v_fixed) / room),
            rivalry: rivalry(oracle, exact.agents, exact.reply_gain),
        }))
    }
}

fn rivalry(oracle: &Oracle, profits: Vec<f64>, reply_gain: Option<Vec<f64>>) -> Option<Rivalry> {
    let (equilibrium, gains) = (oracle.equilibrium.as_ref()?, reply_gain?);
    let delta = |seller: usize| {
        let nash = equilibrium.nash_profit.seller(seller);
        (profits[seller] - nash) / (equilibrium.monopoly_profit.seller(seller) - nash)
    };
    Some(Rivalry {
        delta: (0..profits.len()).map(delta).sum::<f64>() / profits.len() as f64,
        reply_gain_max: gains.into_iter().fold(f64::NEG_INFINITY, f64::max),
        profits,
    })
}

impl fmt::Display for MarketScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "value    {:.6}, {:.4} of the optimum {:.6}; the best single price earns {:.6}",
            self.value, self.optimum_share, self.v_star, self.v_fixed
        )?;
        if let Some(gap) = self.gap_score {
            write!(
                f,
                "\ngap      {gap:.4} of the way from the best single price to the optimum"
            )?;
        }
        if let Some(rivalry) = &self.rivalry {
            let gain = 100.0 * rivalry.reply_gain_max;
            write!(
                f,
                "\nrivalry  Delta {:.4}, best reply gains {gain:.3} %",
                rivalry.delta
            )?;
        }
        Ok(())
    }
}
