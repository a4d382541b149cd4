//! Markets H and I: linear demand that changes, or that is not known.

use super::checks::{affordable, count, field, not_negative, positive, price_range};
use super::lines::Lines;
use super::oracle::{Oracle, OracleError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;

/// H: demand `a_t - b_t p` plus Gaussian noise, any price in `[price_min, price_max]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangingDemand {
    /// Periods.
    pub periods: usize,
    /// How demand changes.
    pub change: Change,
    /// Deviation of the noise in demand.
    pub noise: f64,
    /// Lowest price.
    pub price_min: f64,
    /// Highest price.
    pub price_max: f64,
    /// Prices of the ladder, at equal distances (stepping only; the oracle's prices are any).
    #[serde(default = "ladder_rungs")]
    pub rungs: usize,
}

fn ladder_rungs() -> usize {
    31
}

/// A period is kept in memory where it is stepped through: it counts as so many updates.
const PERIOD: f64 = 1000.0;

/// How `a_t` and `b_t` move.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Change {
    /// Equal stretches, each with its `[a, b]`.
    Regimes(Vec<[f64; 2]>),
    /// `a_t = level + swing sin(2 pi t / period)` from `t = 0`, with one slope.
    Season {
        /// Mean of `a_t`.
        level: f64,
        /// How far it swings.
        swing: f64,
        /// Periods of one swing.
        period: f64,
        /// `b`.
        slope: f64,
    },
}

impl ChangingDemand {
    /// Intercept and slope of period `t`.
    #[must_use]
    pub fn demand(&self, t: usize) -> (f64, f64) {
        match &self.change {
            Change::Regimes(regimes) => {
                let [a, b] = regimes[t * regimes.len() / self.periods];
                (a, b)
            }
            Change::Season {
                level,
                swing,
                period,
                slope,
            } => (level + swing * (TAU * t as f64 / period).sin(), *slope),
        }
    }

    pub(super) fn check(&self) -> Result<f64, OracleError> {
        count("periods", self.periods)?;
        field("rungs", self.rungs, (2..=1000).contains(&self.rungs), "2 to 1000")?;
        not_negative("noise", self.noise)?;
        price_range(self.price_min, self.price_max)?;
        self.check_change()?;
        affordable(self.periods as f64, 1.0, PERIOD)
    }

    fn check_change(&self) -> Result<(), OracleError> {
        match &self.change {
            Change::Regimes(regimes) => {
                let sound = regimes
                    .iter()
                    .all(|[a, b]| a.is_finite() && *b > 0.0 && b.is_finite());
                field(
                    "change.regimes",
                    regimes,
                    !regimes.is_empty() && sound,
                    "pairs of intercept and slope, slopes above 0",
                )
            }
            Change::Season {
                level,
                swing,
                period,
                slope,
            } => {
                positive("change.season.period", *period)?;
                positive("change.season.slope", *slope)?;
                let sound = level.is_finite() && swing.is_finite();
                field("change.season.level", level, sound, "a finite number")
            }
        }
    }

    /// Tables for stepping.
    pub(crate) fn lines(&self) -> Result<Lines, OracleError> {
        self.check()?;
        let lines: Vec<(f64, f64)> = (0..self.periods).map(|t| self.demand(t)).collect();
        let step = (self.price_max - self.price_min) / (self.rungs - 1) as f64;
        Ok(Lines {
            prices: (0..self.rungs)
                .map(|rung| self.price_min + step * rung as f64)
                .collect(),
            scale: lines
                .iter()
                .fold(f64::MIN_POSITIVE, |most, (a, _)| most.max(a.abs())),
            lines,
            noise: self.noise,
        })
    }

    /// Who knows `a_t` and `b_t` prices at `a_t / (2 b_t)`; the best single price is the same of their sums.
    ///
    /// # Errors
    /// When a parameter makes no market, or its periods are too many.
    pub fn oracle(&self) -> Result<Oracle, OracleError> {
        self.check()?;
        let held = |line| best_price(line, self.price_min, self.price_max);
        let (mut clairvoyant, mut a_sum, mut b_sum) = (0.0, 0.0, 0.0);
        for (a, b) in (0..self.periods).map(|t| self.demand(t)) {
            clairvoyant += revenue(held((a, b)), (a, b));
            a_sum += a;
            b_sum += b;
        }
        let fixed_price = held((a_sum, b_sum));
        Ok(Oracle {
            v_star: clairvoyant,
            v_fixed: revenue(fixed_price, (a_sum, b_sum)),
            fixed_price,
            first_action: Some(held(self.demand(0))),
            ..Oracle::default()
        })
    }
}

/// I: demand `intercept - slope p` plus Gaussian noise; the learner does not know the line (Keskin and Zeevi 2014).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnknownLinear {
    /// Mean demand at a price of 0.
    pub intercept: f64,
    /// Fall of demand per unit of price, above 0.
    pub slope: f64,
    /// Deviation of the noise in demand.
    pub noise: f64,
    /// Lowest price.
    pub price_min: f64,
    /// Highest price.
    pub price_max: f64,
}

impl UnknownLinear {
    pub(super) fn check(&self) -> Result<(), OracleError> {
        positive("slope", self.slope)?;
        not_negative("noise", self.noise)?;
        price_range(self.price_min, self.price_max)?;
        let least = self.slope * self.price_max;
        let sells = self.intercept >= least && self.intercept.is_finite();
        let expected =
            format!("a number of at least slope x price_max = {least}, so that demand is never negative,");
        field("intercept", self.intercept, sells, &expected)
    }

    /// The best price and its revenue per period; a fixed price is all that is needed.
    ///
    /// # Errors
    /// When a parameter makes no market.
    pub fn oracle(&self) -> Result<Oracle, OracleError> {
        self.check()?;
        let line = (self.intercept, self.slope);
        let price = best_price(line, self.price_min, self.price_max);
        let value = revenue(price, line);
        Ok(Oracle {
            v_star: value,
            v_fixed: value,
            fixed_price: price,
            first_action: Some(price),
            ..Oracle::default()
        })
    }
}

/// What `price` earns where demand is `a - b p`.
fn revenue(price: f64, (a, b): (f64, f64)) -> f64 {
    price * (a - b * price)
}

/// Where [`revenue`] is largest.
fn best_price((a, b): (f64, f64), price_min: f64, price_max: f64) -> f64 {
    (a / (2.0 * b)).clamp(price_min, price_max)
}
