//! Markets A1 to A3: a stock that must be sold by a deadline (Gallego and van Ryzin 1994).

use super::action::Action;
use super::checks::{affordable, count, field, ladder, positive};
use super::oracle::{Oracle, OracleError};
use super::search::{best_index, mean_sales, peak, poisson_sales};
use super::season::{Demand, Moves, Season};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::f64::consts::E;

/// A1: continuous time, any price. Shoppers arrive at `arrival_rate` per period, one of them buys with probability
/// `exp(-price / price_scale)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContinuousSale {
    /// Length of the season.
    pub periods: f64,
    /// Units at the start.
    pub stock: usize,
    /// Shoppers per period.
    pub arrival_rate: f64,
    /// The price that sells best: `1 / alpha`.
    pub price_scale: f64,
}

/// A2 and A3: at most one shopper per period, with probability `arrival_rate`; prices from a ladder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SingleArrivals {
    /// Periods of the season.
    pub periods: usize,
    /// Units at the start.
    pub stock: usize,
    /// Probability of a shopper in a period, in (0, 1].
    pub arrival_rate: f64,
    /// One shopper buys with probability `exp(-price / price_scale)`.
    pub price_scale: f64,
    /// The ladder, rising.
    pub prices: Vec<f64>,
    /// Guardrail: rungs that the price may move per period; absent: any. The first price is free.
    pub rungs_per_period_max: Option<usize>,
    /// What is chosen each period: a rung, or any price between the ends of the ladder.
    #[serde(default, skip_serializing_if = "Action::is_rung")]
    pub action: Action,
}

/// Evaluations of a distribution in a search for the best price, times its cost per outcome.
const SEARCH: f64 = 10_000.0;

/// Two references ask any price, and each exponential is worth some ten updates.
const ANY_PRICE: usize = 20;

/// Most that could be earned if demand were its mean: price at the revenue peak, or where the stock just sells.
pub(super) fn fluid_price(demand_at_zero: f64, price_scale: f64, stock: f64) -> f64 {
    price_scale * (demand_at_zero / stock.max(f64::MIN_POSITIVE)).ln().max(1.0)
}

impl ContinuousSale {
    pub(super) fn check(&self) -> Result<f64, OracleError> {
        positive("periods", self.periods)?;
        count("stock", self.stock)?;
        positive("arrival_rate", self.arrival_rate)?;
        positive("price_scale", self.price_scale)?;
        affordable(self.stock as f64, SEARCH, 1.0)
    }

    /// Closed form: `J(n, T) = price_scale ln sum_{i <= n} (lambda* T)^i / i!`, `lambda* = arrival_rate / e`.
    ///
    /// # Errors
    /// When a parameter makes no market.
    pub fn oracle(&self) -> Result<Oracle, OracleError> {
        self.check()?;
        let best = self.arrival_rate / E * self.periods;
        // In logs with the largest term taken out: the terms themselves overflow.
        let value = |stock: usize| {
            let mut logs = vec![0.0];
            for n in 1..=stock {
                logs.push(logs[n - 1] + (best / n as f64).ln());
            }
            let most = logs.iter().copied().fold(0.0, f64::max);
            let sum: f64 = logs.iter().map(|log| (log - most).exp()).sum();
            self.price_scale * (most + sum.ln())
        };
        let demand = self.arrival_rate * self.periods;
        let fixed = |price: f64| {
            price
                * mean_sales(&poisson_sales(
                    demand * (-price / self.price_scale).exp(),
                    self.stock,
                ))
        };
        let most = self.price_scale * (5.0 + (demand / self.stock as f64).ln().max(0.0));
        let fixed_price = peak(0.0, most, fixed);
        let fluid = fluid_price(demand, self.price_scale, self.stock as f64);
        let sold = (demand * (-fluid / self.price_scale).exp()).min(self.stock as f64);
        let v_star = value(self.stock);
        Ok(Oracle {
            v_star,
            v_fixed: fixed(fixed_price).min(v_star), // where nothing can be gained, rounding may lift it above
            fixed_price,
            first_action: Some(self.price_scale + value(self.stock) - value(self.stock - 1)),
            references: BTreeMap::from([("fluid_bound", fluid * sold)]),
            ..Oracle::default()
        })
    }
}

impl SingleArrivals {
    pub(super) fn chance(&self, price: f64) -> f64 {
        self.arrival_rate * (-price / self.price_scale).exp()
    }

    pub(super) fn check(&self) -> Result<f64, OracleError> {
        count("periods", self.periods)?;
        count("stock", self.stock)?;
        let rate = self.arrival_rate;
        field(
            "arrival_rate",
            rate,
            rate > 0.0 && rate <= 1.0,
            "a probability above 0",
        )?;
        positive("price_scale", self.price_scale)?;
        ladder(&self.prices)?;
        if self.action == Action::Multiplier {
            self.ends()?;
        }
        // Free and fixed prices look at every rung once; the guarded optimum and equal chances after every last rung.
        let rungs = self.prices.len();
        let guarded = self.rungs_per_period_max.map_or(1, |_| rungs + 1);
        let actions = 2 * rungs + 2 * rungs * guarded + ANY_PRICE;
        let states = self.periods as f64 * self.stock as f64;
        affordable(states, actions as f64, 2.0)
    }

    /// The stock and its demand as tables.
    pub(crate) fn season(&self) -> Result<Season, OracleError> {
        self.check()?;
        let single = |price: &f64| Demand::single(self.chance(*price));
        Ok(Season {
            periods: self.periods,
            stock: self.stock,
            demand: self.prices.iter().map(single).collect(),
            prices: self.prices.clone(),
            moves: self.rungs_per_period_max.map_or(Moves::Free, Moves::Within),
            salvage: 0.0,
            sell_through_min: None,
            week: 0,
        })
    }

    /// Backward induction over (periods left, stock); with a guardrail over the last rung besides.
    ///
    /// # Errors
    /// When a parameter makes no market, or the market is too large.
    pub fn oracle(&self) -> Result<Oracle, OracleError> {
        if self.action == Action::Multiplier {
            return self.any_price_oracle();
        }
        let season = self.season()?;
        let rungs = self.prices.len();
        // The best price of all is `price_scale` above what the unit is worth.
        let continuous = self.any_price(|_, _, worth| self.price_scale + worth);
        let fluid = self.any_price(|left, stock, _| {
            fluid_price(self.arrival_rate * left as f64, self.price_scale, stock as f64)
        });
        let myopic = best_index(rungs, |rung| self.prices[rung] * self.chance(self.prices[rung]));
        season.oracle(BTreeMap::from([
            ("unguarded", season.unguarded().optimum().0),
            ("continuous_price", continuous),
            ("fluid_resolve", fluid),
            ("myopic", season.fixed(myopic)),
            ("uniform_random", season.random()),
        ]))
    }

    /// Value where any price may be asked: `price(periods left, stock, worth of a unit)`.
    pub(super) fn any_price(&self, price: impl Fn(usize, usize, f64) -> f64) -> f64 {
        let mut value = vec![0.0; self.stock + 1];
        for left in 1..=self.periods {
            // From full to empty: the entry below still holds the next period's value.
            for stock in (1..=self.stock).rev() {
                let worth = value[stock] - value[stock - 1];
                let price = price(left, stock, worth);
                value[stock] += self.chance(price) * (price - worth);
            }
        }
        value[self.stock]
    }
}
