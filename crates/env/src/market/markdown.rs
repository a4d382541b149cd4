//! Market F: perishable stock that is marked down towards its last day.

use super::oracle::{Oracle, OracleError, affordable, count, field, ladder, not_negative, positive};
use super::search::{best_index, poisson_sales};
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

    /// Backward induction over (days left, stock), for `only_down` over the last rung besides.
    ///
    /// # Errors
    /// When a parameter makes no market, or the market is too large.
    pub fn oracle(&self) -> Result<Oracle, OracleError> {
        self.check()?;
        let rungs = self.prices.len();
        let end: Vec<f64> = (0..=self.stock).map(|left| left as f64 * self.salvage).collect();
        let mut free = end.clone();
        let mut myopic = end.clone();
        let mut fixed = vec![end.clone(); rungs];
        let mut down = vec![end; rungs];
        let (mut first, mut first_down) = (0, 0);
        for day in (0..self.periods).rev() {
            let sales: Vec<Vec<Vec<f64>>> = self
                .prices
                .iter()
                .map(|price| {
                    let mean = self.mean(day, *price);
                    (0..=self.stock).map(|stock| poisson_sales(mean, stock)).collect()
                })
                .collect();
            let play = |rung: usize, next: &[f64], stock: usize| -> f64 {
                let outcomes = sales[rung][stock].iter().enumerate();
                outcomes
                    .map(|(sold, p)| p * (self.prices[rung] * sold as f64 + next[stock - sold]))
                    .sum()
            };
            let greedy = best_index(rungs, |rung| {
                self.prices[rung] * self.mean(day, self.prices[rung])
            });
            let best = |next: &[f64], stock: usize| best_index(rungs, |rung| play(rung, next, stock));
            let stocks = 0..=self.stock;
            first = best(&free, self.stock);
            free = stocks
                .clone()
                .map(|stock| play(best(&free, stock), &free, stock))
                .collect();
            myopic = stocks.clone().map(|stock| play(greedy, &myopic, stock)).collect();
            for (rung, next) in fixed.iter_mut().enumerate() {
                *next = stocks.clone().map(|stock| play(rung, next, stock)).collect();
            }
            let kept: Vec<Vec<f64>> = (0..rungs)
                .map(|rung| {
                    stocks
                        .clone()
                        .map(|stock| play(rung, &down[rung], stock))
                        .collect()
                })
                .collect();
            first_down = best_index(rungs, |rung| kept[rung][self.stock]);
            for rung in 0..rungs {
                down[rung] = stocks
                    .clone()
                    .map(|stock| {
                        kept[..=rung]
                            .iter()
                            .map(|values| values[stock])
                            .fold(f64::NEG_INFINITY, f64::max)
                    })
                    .collect();
            }
        }
        let best = best_index(rungs, |rung| fixed[rung][self.stock]);
        let only_down = down[rungs - 1][self.stock];
        Ok(Oracle {
            v_star: if self.only_down {
                only_down
            } else {
                free[self.stock]
            },
            v_fixed: fixed[best][self.stock],
            fixed_price: self.prices[best],
            first_action: Some(self.prices[if self.only_down { first_down } else { first }]),
            references: BTreeMap::from([
                ("free", free[self.stock]),
                ("only_down", only_down),
                ("myopic", myopic[self.stock]),
            ]),
            equilibrium: None,
        })
    }
}
