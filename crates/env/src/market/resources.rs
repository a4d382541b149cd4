//! Market B2: price vectors over shared resources, as a fluid (Gallego and van Ryzin 1997; the instances of Ferreira,
//! Simchi-Levi and Wang 2018).

use super::checks::{count, field, positive};
use super::oracle::{Oracle, OracleError};
use super::packing::Packing;
use super::search::best_index;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Products that share resources and are priced together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SharedResources {
    /// Periods of the season.
    pub periods: usize,
    /// Units of each resource at the start.
    pub stock: Vec<f64>,
    /// Units of each resource that a product takes.
    pub uses: Vec<Vec<f64>>,
    /// The price vectors, one price per product in each.
    pub prices: Vec<Vec<f64>>,
    /// Demand per period at a price vector.
    pub demand: DemandCurve,
}

/// Demand of product `i` at prices `p`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum DemandCurve {
    /// `max(0, intercepts[i] - slopes[i] p_i)`.
    Linear {
        /// Demand at a price of 0.
        intercepts: Vec<f64>,
        /// Fall per unit of price.
        slopes: Vec<f64>,
    },
    /// `scales[i] exp(-slopes[i] p_i)`.
    Exponential {
        /// Demand at a price of 0.
        scales: Vec<f64>,
        /// Fall of the logarithm per unit of price.
        slopes: Vec<f64>,
    },
    /// `scale exp(-p_i) / (1 + sum_j exp(-p_j))`.
    Logit {
        /// Shoppers per period.
        scale: f64,
    },
}

impl SharedResources {
    /// Demand of every product at a price vector.
    #[must_use]
    pub fn demand(&self, prices: &[f64]) -> Vec<f64> {
        let each = |curve: &dyn Fn(usize, f64) -> f64| -> Vec<f64> {
            prices
                .iter()
                .enumerate()
                .map(|(product, price)| curve(product, *price))
                .collect()
        };
        match &self.demand {
            DemandCurve::Linear { intercepts, slopes } => {
                each(&|i, price| (intercepts[i] - slopes[i] * price).max(0.0))
            }
            DemandCurve::Exponential { scales, slopes } => {
                each(&|i, price| scales[i] * (-slopes[i] * price).exp())
            }
            DemandCurve::Logit { scale } => {
                let total = 1.0 + prices.iter().map(|price| (-price).exp()).sum::<f64>();
                each(&|_, price| scale * (-price).exp() / total)
            }
        }
    }

    pub(super) fn check(&self) -> Result<(), OracleError> {
        count("periods", self.periods)?;
        count("stock", self.stock.len())?;
        self.stock
            .iter()
            .try_for_each(|units| positive("stock", *units))?;
        let products = self.uses.len();
        let whole = |row: &Vec<f64>, width: usize| {
            row.len() == width && row.iter().all(|x| x.is_finite() && *x >= 0.0)
        };
        let sound = |row: &Vec<f64>| whole(row, self.stock.len());
        let one_each = "one row per product, one number per resource, none negative";
        field(
            "uses",
            &self.uses,
            products > 0 && self.uses.iter().all(sound),
            one_each,
        )?;
        let sound = !self.prices.is_empty() && self.prices.iter().all(|prices| whole(prices, products));
        field(
            "prices",
            &self.prices,
            sound,
            "vectors with one price per product, none negative",
        )?;
        match &self.demand {
            DemandCurve::Linear {
                intercepts: a,
                slopes: b,
            }
            | DemandCurve::Exponential { scales: a, slopes: b } => field(
                "demand",
                (a, b),
                whole(a, products) && whole(b, products),
                "one number per product, none negative",
            ),
            DemandCurve::Logit { scale } => positive("demand.logit.scale", *scale),
        }
    }

    /// The fluid optimum, which bounds every policy and is met as stock and time grow together: shares of time for each
    /// price vector, and nothing offered in the rest.
    ///
    /// # Errors
    /// When a parameter makes no market.
    pub fn oracle(&self) -> Result<Oracle, OracleError> {
        self.check()?;
        let periods = self.periods as f64;
        let sales: Vec<Vec<f64>> = self.prices.iter().map(|prices| self.demand(prices)).collect();
        let gains: Vec<f64> = self
            .prices
            .iter()
            .zip(&sales)
            .map(|(prices, sales)| prices.iter().zip(sales).map(|(price, units)| price * units).sum())
            .collect();
        let taken = |resource: usize, sales: &[f64]| -> f64 {
            sales
                .iter()
                .zip(&self.uses)
                .map(|(units, uses)| units * uses[resource])
                .sum()
        };
        let mut rows = vec![vec![1.0; gains.len()]];
        rows.extend(
            (0..self.stock.len()).map(|resource| sales.iter().map(|sales| taken(resource, sales)).collect()),
        );
        let limits: Vec<f64> = [1.0]
            .into_iter()
            .chain(self.stock.iter().map(|units| units / periods))
            .collect();
        let lp = Packing::solve(&gains, &rows, &limits)?.value;
        // One vector for as long as the stock lasts.
        let single = |vector: usize| {
            let share = rows
                .iter()
                .zip(&limits)
                .map(|(row, limit)| limit / row[vector].max(f64::MIN_POSITIVE));
            gains[vector] * share.fold(1.0, f64::min)
        };
        let best = best_index(gains.len(), single);
        Ok(Oracle {
            v_star: lp * periods,
            v_fixed: single(best) * periods,
            fixed_price: self.prices[best][0],
            fixed_prices: Some(self.prices[best].clone()),
            first_action: None,
            first_actions: None,
            references: BTreeMap::from([("lp_per_period", lp)]),
            equilibrium: None,
        })
    }
}
