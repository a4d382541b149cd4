//! Market F: perishable stock that is marked down towards its last day.

use super::oracle::{Oracle, OracleError, affordable, count, field, ladder, not_negative, positive};
use super::search::{best_index, poisson_sales};
use super::season::{Demand, Moves, Season};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Demand of day `t` is Poisson with mean `base_rate x day_weights[t] x exp(-elasticities[t] (p / price_scale - 1))`; what
/// is left at the end brings `salvage` a unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Markdown {
    /// Days.
    pub periods: usize,
    /// Units at the start.
    pub stock: usize,
    /// Mean demand of a day of weight 1 at `price_scale`.
    pub base_rate: f64,
    /// The price at which demand is `base_rate`.
    pub price_scale: f64,
    /// The ladder, rising.
    pub prices: Vec<f64>,
    /// Worth of a unit that was not sold.
    pub salvage: f64,
    /// Weight of each day of a week; it repeats.
    pub week_weights: Vec<f64>,
    /// The weights also fall on a line from the first of these to the second.
    pub trend: [f64; 2],
    /// Elasticities lie on a line from the first day's to the last's.
    pub elasticities: [f64; 2],
    /// Guardrail: prices may only fall.
    #[serde(default)]
    pub only_down: bool,
}

impl Markdown {
    fn check(&self) -> Result<(), OracleError> {
        count("periods", self.periods)?;
        count("stock", self.stock)?;
        positive("base_rate", self.base_rate)?;
        positive("price_scale", self.price_scale)?;
        ladder(&self.prices)?;
        not_negative("salvage", self.salvage)?;
        let weights =
            !self.week_weights.is_empty() && self.week_weights.iter().all(|w| *w >= 0.0 && w.is_finite());
        field(
            "week_weights",
            &self.week_weights,
            weights,
            "at least one number, none negative",
        )?;
        field(
            "trend",
            self.trend,
            self.trend.iter().all(|x| *x >= 0.0),
            "two numbers, not negative",
        )?;
        field(
            "elasticities",
            self.elasticities,
            self.elasticities.iter().all(|x| *x >= 0.0),
            "two numbers, not negative",
        )?;
        let stocks = self.stock as f64;
        affordable(self.periods as f64 * stocks * stocks, self.prices.len())
    }

    fn mean(&self, day: usize, price: f64) -> f64 {
        let share = day as f64 / (self.periods - 1).max(1) as f64;
        let line = |ends: [f64; 2]| ends[0] + (ends[1] - ends[0]) * share;
        let weight = self.week_weights[day % self.week_weights.len()] * line(self.trend);
        self.base_rate * weight * (-line(self.elasticities) * (price / self.price_scale - 1.0)).exp()
    }

    /// The stock and its demand as tables; the day of the week is seen.
    pub(crate) fn season(&self) -> Result<Season, OracleError> {
        self.check()?;
        let demand = |day: usize| {
            let each = self.prices.iter();
            each.map(move |price| Demand::new(poisson_sales(self.mean(day, *price), self.stock)))
        };
        Ok(Season {
            periods: self.periods,
            stock: self.stock,
            prices: self.prices.clone(),
            demand: (0..self.periods).flat_map(demand).collect(),
            moves: if self.only_down { Moves::Down } else { Moves::Free },
            salvage: self.salvage,
            week: self.week_weights.len(),
        })
    }

    /// Backward induction over (days left, stock), for `only_down` over the last rung besides.
    ///
    /// # Errors
    /// When a parameter makes no market, or the market is too large.
    pub fn oracle(&self) -> Result<Oracle, OracleError> {
        let season = self.season()?;
        let free = season.unguarded();
        let rungs = self.prices.len();
        let fixed: Vec<f64> = (0..rungs).map(|rung| free.fixed(rung)).collect();
        let best = best_index(rungs, |rung| fixed[rung]);
        let myopic = free.value(|left, _, _, worth| {
            let earns = |rung: usize| self.prices[rung] * self.mean(self.periods - left, self.prices[rung]);
            worth(best_index(rungs, earns))
        });
        let down = Season {
            moves: Moves::Down,
            ..season.clone()
        };
        let (v_star, first) = season.optimum();
        Ok(Oracle {
            v_star,
            v_fixed: fixed[best],
            fixed_price: self.prices[best],
            first_action: Some(self.prices[first]),
            references: BTreeMap::from([
                ("free", free.optimum().0),
                ("only_down", down.optimum().0),
                ("myopic", myopic),
            ]),
            equilibrium: None,
            fixed_prices: None,
        })
    }
}
