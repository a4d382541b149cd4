//! Market B1: few prices and a stock, with the right to offer nothing (Ferreira, Simchi-Levi and Wang 2018).

use super::checks::{affordable, count, field, ladder};
use super::oracle::{Oracle, OracleError};
use super::packing::Packing;
use super::search::best_index;
use super::season::{Demand, Moves, Season};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One shopper per period, who buys at `prices[k]` with probability `probabilities[k]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StockedPrices {
    /// Periods of the season.
    pub periods: usize,
    /// Units at the start.
    pub stock: usize,
    /// The ladder, rising.
    pub prices: Vec<f64>,
    /// Probability of a sale at each price.
    pub probabilities: Vec<f64>,
}

impl StockedPrices {
    /// Backward induction over (periods left, stock); the linear programme over shares of time per price is its bound.
    ///
    /// # Errors
    /// When a parameter makes no market, or the market is too large.
    pub fn oracle(&self) -> Result<Oracle, OracleError> {
        self.check()?;
        let offers: Vec<(f64, f64)> = self
            .prices
            .iter()
            .copied()
            .zip(self.probabilities.iter().copied())
            .collect();
        let gain = |(price, chance): (f64, f64), slope: f64| chance * (price - slope);
        let (v_star, first) = self.induct(
            |slope| best_index(offers.len(), |n| gain(offers[n], slope)),
            &offers,
        );
        let fixed = |n: usize| self.induct(|_| n, &offers).0;
        let best = best_index(offers.len(), fixed);
        let lp = self.lp(&offers)?;
        Ok(Oracle {
            v_star,
            v_fixed: fixed(best),
            fixed_price: self.prices[best],
            first_action: Some(self.prices[first]),
            references: BTreeMap::from([("lp_per_period", lp), ("lp", lp * self.periods as f64)]),
            ..Oracle::default()
        })
    }

    pub(super) fn check(&self) -> Result<f64, OracleError> {
        count("periods", self.periods)?;
        count("stock", self.stock)?;
        ladder(&self.prices)?;
        let chances = &self.probabilities;
        let sound = chances.len() == self.prices.len() && chances.iter().all(|p| (0.0..=1.0).contains(p));
        field(
            "probabilities",
            chances,
            sound,
            "one probability in [0, 1] per price",
        )?;
        // The optimum looks at every price, and every price is also valued alone.
        let states = self.periods as f64 * self.stock.min(self.periods) as f64;
        affordable(states, 2.0 * self.prices.len() as f64, 2.0)
    }

    /// The stock and its demand as tables; the rung above the last price is "no offer".
    pub(crate) fn season(&self) -> Result<Season, OracleError> {
        self.check()?;
        let chances = self.probabilities.iter().copied().chain([0.0]);
        Ok(Season {
            periods: self.periods,
            stock: self.stock,
            prices: self.prices.iter().copied().chain([0.0]).collect(),
            demand: chances.map(Demand::single).collect(),
            moves: Moves::Free,
            salvage: 0.0,
            sell_through_min: None,
            week: 0,
        })
    }

    /// Value and first rung when `choose(worth of a unit)` picks the offer; one that earns less than the unit is worth is
    /// not made.
    fn induct(&self, choose: impl Fn(f64) -> usize, offers: &[(f64, f64)]) -> (f64, usize) {
        let stock_most = self.stock.min(self.periods);
        let mut value = vec![0.0; stock_most + 1];
        let mut first = 0;
        for _ in 0..self.periods {
            // From full to empty: the entry below still holds the next period's value.
            for stock in (1..=stock_most).rev() {
                let slope = value[stock] - value[stock - 1];
                first = if stock == stock_most { choose(slope) } else { first };
                let (price, chance) = offers[choose(slope)];
                value[stock] += (chance * (price - slope)).max(0.0);
            }
        }
        (value[stock_most], first)
    }

    /// Revenue per period of the best shares of time for each offer.
    fn lp(&self, offers: &[(f64, f64)]) -> Result<f64, OracleError> {
        let gains: Vec<f64> = offers.iter().map(|(price, chance)| price * chance).collect();
        let chances = offers.iter().map(|(_, chance)| *chance).collect();
        let supply = self.stock as f64 / self.periods as f64;
        Ok(Packing::solve(&gains, &[vec![1.0; offers.len()], chances], &[1.0, supply])?.value)
    }
}
