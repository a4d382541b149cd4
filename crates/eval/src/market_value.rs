//! What a policy is worth in a market, beside what is known of the market exactly.

use crate::asked::{Asked, fits};
use crate::open_prices_value::{self, OpenPricesValue};
use crate::rivalry_value::RivalryValue;
use crate::roll_out::{RollOut, roll_out};
use haggle_core::{PolicyError, Seeds};
use haggle_env::Env;
use haggle_env::market::{Chart, Market, MarketEnv, Oracle, OracleError};
use haggle_policy::Actors;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// Copies that are rolled out side by side.
const COPIES: usize = 256;
/// Below this share of the optimum there is nothing to be gained over the best fixed price.
const GAIN_MIN: f64 = 1e-6;

/// Why a policy cannot be valued in a market.
#[derive(Debug, thiserror::Error)]
pub enum MarketValueError {
    /// Made for something else.
    #[error(
        "the policy was made for {has_width} observed numbers, {has_rungs} prices and {has_agents} agent(s); this market has \
         {width}, {rungs} and {agents}"
    )]
    Misfit {
        /// What the policy sees.
        has_width: usize,
        /// Its ladder.
        has_rungs: usize,
        /// Its agents.
        has_agents: usize,
        /// What the market shows.
        width: usize,
        /// Its ladder.
        rungs: usize,
        /// Its agents.
        agents: usize,
    },
    /// Neither finite nor ending.
    #[error(
        "the policy remembers what it saw, so that its states are not finite, and this market has no end: it can be valued \
         neither exactly nor by episodes"
    )]
    Endless,
    /// The market itself.
    #[error(transparent)]
    Market(#[from] OracleError),
    /// No answer to what it sees.
    #[error("the policy has no answer in this market")]
    Policy(#[from] PolicyError),
}

/// What a policy earns in a market. Money in the market's own units, as [`Oracle`] has it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MarketValue {
    /// How it was found.
    pub how: How,
    /// Expected earnings, all agents together.
    pub value: f64,
    /// The 95 % interval; none where the value is exact.
    pub interval: Option<[f64; 2]>,
    /// What the best policy earns.
    pub v_star: f64,
    /// What the best single price earns.
    pub v_fixed: f64,
    /// That price.
    pub fixed_price: f64,
    /// `value / v_star`.
    pub ratio: f64,
    /// `(value - v_fixed) / (v_star - v_fixed)`; none where the best single price is the optimum.
    pub gap_score: Option<f64>,
    /// Share of decisions at which the policy would have set a forbidden price, had no guardrail stood in the way.
    pub guardrail_hits: f64,
    /// By how much the policy misses each constraint in expectation, not above 0 where it holds; only where the value is
    /// exact.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub excess: BTreeMap<String, f64>,
    /// What reference policies and bounds earn, by name.
    pub references: BTreeMap<&'static str, f64>,
    /// Where several sellers meet, or one meets rivals.
    #[serde(flatten)]
    pub rivalry: Option<RivalryValue>,
    /// Where sellers may ask any price.
    #[serde(flatten)]
    pub open_prices: Option<OpenPricesValue>,
}

/// How a value was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// Exactly, over all states.
    Exact,
    /// By episodes.
    RolledOut,
}

impl MarketValue {
    /// Values a policy: exactly where it remembers nothing and the market's states are finite, else by `per_copy` episodes in
    /// each of 256 copies, drawn from `seeds`. `oracle` is the market's.
    ///
    /// # Errors
    /// When policy and market do not fit each other, or no value can be found.
    pub fn of(
        market: &Market,
        oracle: &Oracle,
        actors: &Actors,
        (per_copy, seeds): (usize, &Seeds),
    ) -> Result<Self, MarketValueError> {
        let mut env = MarketEnv::new(market, COPIES)?;
        fits(&env, actors)?;
        if let (Market::LogitOligopoly(market), Some(equilibrium)) = (market, &oracle.equilibrium)
            && !actors.multipliers().is_empty()
        {
            let (value, open) = open_prices_value::play(market, equilibrium, actors, seeds)?;
            return Ok(Self {
                interval: Some([value.low, value.high]),
                open_prices: Some(open),
                ..Self::beside(value.value, oracle)
            });
        }
        let remembers = actors.memory_width() > 0;
        let mut asked = Asked::new(actors);
        let exact = if remembers {
            None
        } else {
            let exact = market.exact_value(&mut |obs, masks, out| asked.answer(obs, masks, out));
            asked.failed()?;
            exact?
        };
        let Some(exact) = exact else {
            if market.discount()? < 1.0 {
                return Err(MarketValueError::Endless);
            }
            // Where a market is not finite for anybody (H) an episode has thousands of periods: one per copy.
            let short = remembers || !actors.multipliers().is_empty();
            let per_copy = if short { per_copy } else { 1 };
            let played = roll_out(&mut env, actors, per_copy, seeds)?;
            return Ok(Self::rolled_out(&played, oracle));
        };
        let guardrail_hits = if asked.guarded {
            roll_out(&mut env, actors, 1, seeds)?.hit_share()
        } else {
            0.0
        };
        let conduct = market.conduct(&mut |obs, masks, out| asked.answer(obs, masks, out))?;
        let names = env.spec().constraint_names.iter().cloned();
        let sellers = conduct.zip(oracle.equilibrium.as_ref()).zip(exact.reply_gain);
        Ok(Self {
            how: How::Exact,
            guardrail_hits,
            excess: names.zip(exact.costs).collect(),
            rivalry: sellers
                .map(|((conduct, equilibrium), gain)| RivalryValue::new(conduct, equilibrium, gain)),
            ..Self::beside(exact.value, oracle)
        })
    }

    fn rolled_out(played: &RollOut, oracle: &Oracle) -> Self {
        let value = played.value();
        Self {
            interval: Some([value.low, value.high]),
            guardrail_hits: played.hit_share(),
            ..Self::beside(value.value, oracle)
        }
    }

    /// A value beside what is known.
    fn beside(value: f64, oracle: &Oracle) -> Self {
        let gain = oracle.v_star - oracle.v_fixed;
        Self {
            how: How::RolledOut,
            value,
            interval: None,
            ratio: value / oracle.v_star,
            gap_score: (gain > GAIN_MIN * oracle.v_star.abs()).then(|| (value - oracle.v_fixed) / gain),
            v_star: oracle.v_star,
            v_fixed: oracle.v_fixed,
            fixed_price: oracle.fixed_price,
            guardrail_hits: 0.0,
            excess: BTreeMap::new(),
            references: oracle.references.clone(),
            rivalry: None,
            open_prices: None,
        }
    }
}

/// The prices of a policy that remembers nothing, state by state; nothing where it remembers, or states are not finite.
///
/// # Errors
/// When policy and market do not fit each other.
pub fn price_chart(market: &Market, actors: &Actors) -> Result<Option<Chart>, MarketValueError> {
    if actors.memory_width() > 0 {
        return Ok(None);
    }
    fits(&MarketEnv::new(market, 1)?, actors)?;
    let mut asked = Asked::new(actors);
    let chart = market.chart(&mut |obs, masks, out| asked.answer(obs, masks, out));
    asked.failed()?;
    Ok(chart?)
}

impl fmt::Display for MarketValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |f: &mut fmt::Formatter<'_>, name: &str, text: &str| write!(f, "\n{name:<32}{text}");
        let share = |value: f64| format!("{value:<16.6}{:.4} of the optimum", value / self.v_star);
        let how = match self.interval {
            None => "exact".to_owned(),
            Some([low, high]) => format!("by episodes, 95 % interval {low:.6} to {high:.6}"),
        };
        write!(f, "{:<32}{}, {how}", "value", share(self.value))?;
        line(f, "optimum", &format!("{:.6}", self.v_star))?;
        let fixed = format!("{}, at {}", share(self.v_fixed), self.fixed_price);
        line(f, "best fixed price", &fixed)?;
        let gap = self.gap_score.map_or_else(
            || "none: the best fixed price is the optimum".to_owned(),
            |gap| format!("{gap:.4} of the way from the best fixed price to the optimum"),
        );
        line(f, "gap score", &gap)?;
        for (name, excess) in &self.excess {
            let verdict = if *excess > 0.0 { "missed" } else { "kept" };
            let text = format!("{verdict}, by {:.6} of its measure in expectation", excess.abs());
            line(f, &format!("constraint {name}"), &text)?;
        }
        for (name, value) in &self.references {
            line(f, name, &format!("{value:.6}"))?;
        }
        line(
            f,
            "guardrail hits",
            &format!("{:.2} % of decisions", 100.0 * self.guardrail_hits),
        )?;
        if let Some(open) = &self.open_prices {
            write!(f, "\n{open}")?;
        }
        self.rivalry
            .as_ref()
            .map_or(Ok(()), |rivalry| write!(f, "\n{rivalry}"))
    }
}
