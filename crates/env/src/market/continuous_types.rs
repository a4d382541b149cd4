//! Market E2: shoppers with two features, which the seller sees.

use super::checks::{field, ladder, not_negative, positive};
use super::oracle::{Oracle, OracleError};
use super::search::{best_index, peak};
use super::shoppers::Shoppers;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// E2: `x1, x2 ~ N(0, 1)`; a shopper buys with probability
/// `sigma(intercept + intercept_slope x2 - slope exp(slope_slope x1) p)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContinuousTypes {
    /// Log odds of a sale at a price of 0, at the mean.
    pub intercept: f64,
    /// How they move with `x2`.
    pub intercept_slope: f64,
    /// Fall of the log odds per unit of price, at the mean, above 0.
    pub slope: f64,
    /// How its logarithm moves with `x1`.
    pub slope_slope: f64,
    /// Cost of a unit.
    pub costs: f64,
    /// The ladder; absent: any price, which only the oracle can play.
    pub prices: Option<Vec<f64>>,
}

impl ContinuousTypes {
    /// Points of the trapezoid rule over +-8 deviations: exact to machine precision for smooth functions under a Gaussian.
    pub(crate) const POINTS: usize = 161;
    /// Points where the best rung of a ladder changes along the way: the rule's error is of the order of their distance squared.
    const POINTS_LADDER: usize = 8001;

    /// Points and weights of the standard normal distribution.
    pub(crate) fn normal(points: usize) -> Vec<(f64, f64)> {
        let at = |n: usize| -8.0 + 16.0 * n as f64 / (points - 1) as f64;
        let raw: Vec<(f64, f64)> = (0..points)
            .map(|n| (at(n), (-at(n) * at(n) / 2.0).exp()))
            .collect();
        let total: f64 = raw.iter().map(|(_, weight)| weight).sum();
        raw.into_iter().map(|(x, weight)| (x, weight / total)).collect()
    }

    /// Chance of a sale.
    pub(crate) fn chance(&self, x1: f64, x2: f64, price: f64) -> f64 {
        let slope = self.slope * (self.slope_slope * x1).exp();
        let odds = self.intercept + self.intercept_slope * x2 - slope * price;
        1.0 / (1.0 + (-odds).exp())
    }

    pub(crate) fn profit(&self, x1: f64, x2: f64, price: f64) -> f64 {
        (price - self.costs) * self.chance(x1, x2, price)
    }

    /// Shoppers on the ladder.
    pub(crate) fn shoppers(&self) -> Result<Shoppers, OracleError> {
        self.check()?;
        let prices = self.prices.clone().ok_or(OracleError::NotStepped(
            "it has no `prices`, and any price may be asked",
        ))?;
        Ok(Shoppers {
            prices,
            types: self.clone(),
        })
    }

    pub(super) fn check(&self) -> Result<(), OracleError> {
        positive("slope", self.slope)?;
        not_negative("costs", self.costs)?;
        for (name, value) in [
            ("intercept", self.intercept),
            ("intercept_slope", self.intercept_slope),
            ("slope_slope", self.slope_slope),
        ] {
            field(name, value, value.is_finite(), "a finite number")?;
        }
        self.prices.as_deref().map_or(Ok(()), ladder)
    }

    /// By quadrature over both features.
    ///
    /// # Errors
    /// When a parameter makes no market.
    pub fn oracle(&self) -> Result<Oracle, OracleError> {
        self.check()?;
        let smooth = Self::normal(Self::POINTS);
        let bent = match self.prices {
            Some(_) => Self::normal(Self::POINTS_LADDER),
            None => smooth.clone(),
        };
        let over = |points: &[(f64, f64)], value: &dyn Fn(f64) -> f64| {
            points.iter().map(|(x, weight)| weight * value(*x)).sum::<f64>()
        };
        let most = |x1: f64| {
            let slope = self.slope * (self.slope_slope * x1).exp();
            self.costs + (3.0 + (self.intercept + 8.0 * self.intercept_slope.abs()).max(0.0)) / slope
        };
        // The best price up to `most`, or of the ladder where there is one.
        let best = |most: f64, value: &dyn Fn(f64) -> f64| match &self.prices {
            Some(prices) => prices[best_index(prices.len(), |rung| value(prices[rung]))],
            None => peak(self.costs, most, value),
        };
        let clairvoyant = over(&smooth, &|x1| {
            over(&bent, &|x2| {
                let value = |price: f64| self.profit(x1, x2, price);
                value(best(most(x1), &value))
            })
        });
        let x1_only = over(&bent, &|x1| {
            let value = |price: f64| over(&smooth, &|x2| self.profit(x1, x2, price));
            value(best(most(x1), &value))
        });
        let single = |price: f64| over(&smooth, &|x1| over(&smooth, &|x2| self.profit(x1, x2, price)));
        let fixed_price = best(most(0.0), &single);
        Ok(Oracle {
            v_star: clairvoyant,
            v_fixed: single(fixed_price),
            fixed_price,
            references: BTreeMap::from([("x1_only", x1_only)]),
            ..Oracle::default()
        })
    }
}
