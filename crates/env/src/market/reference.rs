//! Market G0: shoppers compare with the last price.

use super::oracle::{Oracle, OracleError, affordable, field, ladder, not_negative, positive};
use super::search::best_index;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Demand `max(0, base_rate - slope p + gain (r - p)+ - loss (p - r)+)` where `r` is the price before; revenue `p` each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReferencePrice {
    /// Demand at a price of 0.
    pub base_rate: f64,
    /// Units lost per unit of price.
    pub slope: f64,
    /// Units won per unit below the reference price.
    pub gain: f64,
    /// Units lost per unit above it.
    pub loss: f64,
    /// The ladder, rising.
    pub prices: Vec<f64>,
    /// The price before the first one.
    pub reference_price: f64,
    /// Worth of the next period beside this one's, in [0, 1).
    pub discount: f64,
}

impl ReferencePrice {
    fn revenue(&self, price: f64, reference: f64) -> f64 {
        let compared = self.gain * (reference - price).max(0.0) - self.loss * (price - reference).max(0.0);
        price * (self.base_rate - self.slope * price + compared).max(0.0)
    }

    /// Value iteration over the last price.
    ///
    /// # Errors
    /// When a parameter makes no market, or the market is too large.
    pub fn oracle(&self) -> Result<Oracle, OracleError> {
        positive("base_rate", self.base_rate)?;
        positive("slope", self.slope)?;
        not_negative("gain", self.gain)?;
        not_negative("loss", self.loss)?;
        ladder(&self.prices)?;
        not_negative("reference_price", self.reference_price)?;
        field(
            "discount",
            self.discount,
            (0.0..=0.9999).contains(&self.discount),
            "0 to 0.9999",
        )?;
        let (rungs, d) = (self.prices.len(), self.discount);
        let rounds = 36.0 / -d.max(0.01).ln();
        affordable(rungs as f64 * rounds, rungs)?;
        let iterate = |choose: &dyn Fn(f64, &[f64]) -> usize| {
            let mut value = vec![0.0; rungs];
            let worth = |rung: usize, reference: f64, value: &[f64]| {
                self.revenue(self.prices[rung], reference) + d * value[rung]
            };
            for _ in 0..rounds.ceil() as usize {
                value = self
                    .prices
                    .iter()
                    .map(|reference| worth(choose(*reference, &value), *reference, &value))
                    .collect();
            }
            let first = choose(self.reference_price, &value);
            (worth(first, self.reference_price, &value), first)
        };
        let best = |reference: f64, value: &[f64]| {
            best_index(rungs, |rung| {
                self.revenue(self.prices[rung], reference) + d * value[rung]
            })
        };
        let (v_star, first) = iterate(&best);
        let myopic =
            |reference: f64, _: &[f64]| best_index(rungs, |rung| self.revenue(self.prices[rung], reference));
        let fixed = |rung: usize| {
            let price = self.prices[rung];
            self.revenue(price, self.reference_price) + d / (1.0 - d) * self.revenue(price, price)
        };
        let best = best_index(rungs, fixed);
        Ok(Oracle {
            v_star,
            v_fixed: fixed(best),
            fixed_price: self.prices[best],
            first_action: Some(self.prices[first]),
            references: BTreeMap::from([("myopic", iterate(&myopic).0)]),
            equilibrium: None,
        })
    }
}
