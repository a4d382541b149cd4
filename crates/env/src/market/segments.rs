//! Market E1: shoppers belong to segments, which the seller sees.

use super::checks::{count, field, ladder, not_negative, positive};
use super::oracle::{Oracle, OracleError};
use super::search::{best_index, highest_peak, peak};
use super::visits::Visits;
use haggle_core::{LADDER_RUNGS_MAX, Mask};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Cells of a search for the best of several peaks.
const CELLS: usize = 2000;

/// E1: segments; a shopper of segment `s` buys with probability `sigma(intercepts[s] - slopes[s] p)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Segments {
    /// Share of each segment; they sum to 1.
    pub weights: Vec<f64>,
    /// Log odds of a sale at a price of 0.
    pub intercepts: Vec<f64>,
    /// Fall of the log odds per unit of price, above 0.
    pub slopes: Vec<f64>,
    /// Cost of a unit.
    pub costs: f64,
    /// The ladder; absent: any price.
    pub prices: Option<Vec<f64>>,
    /// Fairness: every segment's price within this share of one reference price; absent: each its own.
    pub corridor: Option<f64>,
    /// The middle of the corridor; absent: where it earns most.
    pub reference_price: Option<f64>,
}

/// Prices from one to another; what rounding leaves of a price on an edge is inside.
#[derive(Clone, Copy, Debug)]
struct Range {
    low: f64,
    high: f64,
}

const ANY: Range = Range {
    low: 0.0,
    high: f64::INFINITY,
};

/// The corridor of a half-width around a price.
fn around(reference: f64, corridor: f64) -> Range {
    Range {
        low: reference * (1.0 - corridor),
        high: reference * (1.0 + corridor),
    }
}

impl Range {
    fn holds(self, price: f64) -> bool {
        price >= self.low - 1e-9 && price <= self.high + 1e-9
    }

    fn of(self, prices: &[f64]) -> impl Iterator<Item = f64> {
        prices.iter().copied().filter(move |price| self.holds(*price))
    }
}

impl Segments {
    pub(super) fn check(&self) -> Result<(), OracleError> {
        let segments = self.weights.len();
        count("weights", segments)?;
        let fair =
            self.weights.iter().all(|w| *w >= 0.0) && (self.weights.iter().sum::<f64>() - 1.0).abs() < 1e-9;
        field("weights", &self.weights, fair, "shares that sum to 1")?;
        let whole = |numbers: &[f64]| numbers.len() == segments && numbers.iter().all(|x| x.is_finite());
        field(
            "intercepts",
            &self.intercepts,
            whole(&self.intercepts),
            "one number per weight",
        )?;
        let falls = whole(&self.slopes) && self.slopes.iter().all(|b| *b > 0.0);
        field("slopes", &self.slopes, falls, "one number above 0 per weight")?;
        not_negative("costs", self.costs)?;
        self.corridor.map_or(Ok(()), |corridor| {
            field(
                "corridor",
                corridor,
                (0.0..1.0).contains(&corridor),
                "a share in [0, 1)",
            )
        })?;
        if let Some(reference) = self.reference_price {
            positive("reference_price", reference)?;
        }
        let Some(prices) = &self.prices else {
            return Ok(());
        };
        ladder(prices)?;
        if let (Some(corridor), Some(reference)) = (self.corridor, self.reference_price) {
            let held = prices
                .iter()
                .any(|price| around(reference, corridor).holds(*price));
            let expected = "a corridor with a price of the ladder inside";
            field("reference_price", reference, held, expected)?;
        }
        Ok(())
    }

    /// Chance of a sale.
    fn chance(&self, segment: usize, price: f64) -> f64 {
        let odds = self.intercepts[segment] - self.slopes[segment] * price;
        1.0 / (1.0 + (-odds).exp())
    }

    fn profit(&self, segment: usize, price: f64) -> f64 {
        (price - self.costs) * self.chance(segment, price)
    }

    fn mean(&self, price: impl Fn(usize) -> f64) -> f64 {
        let segments = self.weights.iter().enumerate();
        segments
            .map(|(s, weight)| weight * self.profit(s, price(s)))
            .sum()
    }

    /// Above this price nobody's best price lies: margin `1 / slope` over cost plus the price of even odds.
    fn most(&self) -> f64 {
        let each = self.intercepts.iter().zip(&self.slopes);
        each.map(|(a, b)| self.costs + (2.0 + a.max(0.0)) / b)
            .fold(0.0, f64::max)
    }

    /// The best price of a segment between two limits, on the ladder where there is one.
    fn best(&self, segment: usize, fair: Range) -> Option<f64> {
        let value = |price: f64| self.profit(segment, price);
        match &self.prices {
            None => Some(peak(fair.low, fair.high, value)),
            Some(prices) => {
                let fair: Vec<f64> = fair.of(prices).collect();
                (!fair.is_empty()).then(|| fair[best_index(fair.len(), |n| value(fair[n]))])
            }
        }
    }

    fn held(&self, reference: f64, corridor: f64) -> f64 {
        let fair = around(reference, corridor);
        let prices: Option<Vec<f64>> = (0..self.weights.len()).map(|s| self.best(s, fair)).collect();
        prices.map_or(f64::NEG_INFINITY, |prices| self.mean(|s| prices[s]))
    }

    /// The middle of the corridor: as configured, or the best one. On a ladder the rungs inside change only where one of them
    /// comes to lie on an edge.
    fn reference(&self, corridor: f64) -> f64 {
        let value = |reference: f64| self.held(reference, corridor);
        if let Some(reference) = self.reference_price {
            return reference;
        }
        let Some(prices) = &self.prices else {
            let most = self.most();
            return highest_peak(self.costs.max(most * 1e-6), most, CELLS, value);
        };
        let edges = [1.0 - corridor, 1.0 + corridor];
        let middles: Vec<f64> = prices
            .iter()
            .flat_map(|price| edges.map(|edge| price / edge))
            .collect();
        middles[best_index(middles.len(), |n| value(middles[n]))]
    }

    /// The prices that shoppers meet: those inside the corridor.
    fn fair(&self) -> Range {
        self.corridor
            .map_or(ANY, |corridor| around(self.reference(corridor), corridor))
    }

    /// The best single price. A corridor that follows the price allows any; one around a given price does not.
    fn fixed_price(&self) -> f64 {
        let single = |price: f64| self.mean(|_| price);
        let held = self.corridor.zip(self.reference_price);
        let held = held.map(|(corridor, reference)| around(reference, corridor));
        match &self.prices {
            None => {
                let most = self.most();
                let Range { low, high } = held.unwrap_or(Range {
                    low: self.costs,
                    high: most,
                });
                highest_peak(low, high, CELLS, single)
            }
            Some(prices) => {
                let prices: Vec<f64> = held.unwrap_or(ANY).of(prices).collect();
                prices[best_index(prices.len(), |n| single(prices[n]))]
            }
        }
    }

    /// What each segment does at each rung, and which rungs the corridor allows.
    pub(crate) fn visits(&self) -> Result<Visits, OracleError> {
        self.check()?;
        let prices = self.prices.clone().ok_or(OracleError::NotStepped(
            "it has no `prices`, and any price may be asked",
        ))?;
        let fair = self.fair();
        let rungs = prices.iter().enumerate().filter(|(_, price)| fair.holds(**price));
        let mask = rungs.fold(Mask::NONE, |mask, (rung, _)| {
            if rung < LADDER_RUNGS_MAX {
                mask.with(rung)
            } else {
                mask
            }
        });
        let chances =
            (0..self.weights.len()).flat_map(|segment| prices.iter().map(move |price| (segment, *price)));
        let chances = chances
            .map(|(segment, price)| self.chance(segment, price))
            .collect();
        Ok(Visits::new(
            prices,
            self.costs,
            self.weights.clone(),
            chances,
            mask.0,
        ))
    }

    /// Segment by segment, one price for all, and what a corridor leaves.
    ///
    /// # Errors
    /// When a parameter makes no market.
    pub fn oracle(&self) -> Result<Oracle, OracleError> {
        self.check()?;
        let most = self.most();
        let own: Option<Vec<f64>> = (0..self.weights.len()).map(|s| self.best(s, ANY)).collect();
        let own = match &self.prices {
            None => (0..self.weights.len())
                .map(|s| peak(self.costs, most, |p| self.profit(s, p)))
                .collect(),
            Some(_) => own.unwrap_or_default(),
        };
        let single = |price: f64| self.mean(|_| price);
        let fixed_price = self.fixed_price();
        let clairvoyant = self.mean(|s| own[s]);
        let surplus = |price: &dyn Fn(usize) -> f64| -> f64 {
            let gain =
                |s: usize| (self.intercepts[s] - self.slopes[s] * price(s)).exp().ln_1p() / self.slopes[s];
            self.weights
                .iter()
                .enumerate()
                .map(|(s, weight)| weight * gain(s))
                .sum()
        };
        let mut references = BTreeMap::from([
            ("clairvoyant", clairvoyant),
            ("consumer_surplus_clairvoyant", surplus(&|s| own[s])),
            ("consumer_surplus_fixed", surplus(&|_| fixed_price)),
        ]);
        if let Some(prices) = &self.prices {
            let fair: Vec<f64> = self.fair().of(prices).map(single).collect();
            references.insert("uniform_random", fair.iter().sum::<f64>() / fair.len() as f64);
        }
        let v_star = match self.corridor {
            None => clairvoyant,
            Some(corridor) => {
                let reference = self.reference(corridor);
                references.insert("corridor_reference", reference);
                self.held(reference, corridor)
            }
        };
        Ok(Oracle {
            v_star,
            v_fixed: single(fixed_price),
            fixed_price,
            references,
            ..Oracle::default()
        })
    }
}
