//! Market A4: a stock that must be sold by a deadline, many shoppers a period.

use super::checks::{affordable, positive};
use super::oracle::{Oracle, OracleError};
use super::poisson_season::PoissonSeason;
use super::season::Season;
use super::sell_through::solutions;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A4: Poisson demand with mean `base_rate x exp(-price / price_scale)` per period; over at stock-out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SellDown {
    /// Periods of the season.
    pub periods: usize,
    /// Units at the start.
    pub stock: usize,
    /// Mean demand per period at a price of 0.
    pub base_rate: f64,
    /// Demand falls by a factor e with each `price_scale`.
    pub price_scale: f64,
    /// Share of the stock that must be sold on average; absent: any.
    pub sell_through_min: Option<f64>,
    /// Where `price_scale` has moved by the last period, on a line; absent: it stays.
    pub price_scale_end: Option<f64>,
    /// The ladder, rising.
    pub prices: Vec<f64>,
}

impl SellDown {
    fn shared(&self) -> PoissonSeason<'_> {
        PoissonSeason {
            periods: self.periods,
            stock: self.stock,
            base_rate: self.base_rate,
            price_scale: self.price_scale,
            prices: &self.prices,
            sell_through_min: self.sell_through_min,
        }
    }

    pub(super) fn check(&self) -> Result<f64, OracleError> {
        self.shared().check()?;
        self.price_scale_end
            .map_or(Ok(()), |scale| positive("price_scale_end", scale))?;
        // The optimum, the fixed prices and equal chances look at every rung, the myopic price at one.
        let rungs = self.prices.len();
        let actions = 3.0 * rungs as f64 + 1.0 + solutions(self.sell_through_min, rungs);
        let states = self.periods as f64 * self.stock as f64;
        affordable(states, actions, self.stock as f64 / 2.0)
    }

    /// Mean demand of a period at a price.
    fn mean(&self, period: usize, price: f64) -> f64 {
        let share = period as f64 / (self.periods - 1).max(1) as f64;
        let scale =
            self.price_scale + (self.price_scale_end.unwrap_or(self.price_scale) - self.price_scale) * share;
        self.base_rate * (-price / scale).exp()
    }

    /// The stock and its demand as tables.
    pub(crate) fn season(&self) -> Result<Season, OracleError> {
        self.check()?;
        let phases = if self.price_scale_end.is_some() {
            self.periods
        } else {
            1
        };
        Ok(self
            .shared()
            .tables(phases, |period, price| self.mean(period, price)))
    }

    /// Backward induction over (periods left, stock).
    ///
    /// # Errors
    /// When a parameter makes no market, or the market is too large.
    pub fn oracle(&self) -> Result<Oracle, OracleError> {
        let season = self.season()?;
        season.oracle(BTreeMap::from([
            ("myopic", season.myopic(|period, price| self.mean(period, price))),
            ("uniform_random", season.random()),
        ]))
    }
}
