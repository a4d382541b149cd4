//! Market G0: shoppers compare with the last price.

use super::checks::{affordable, count, discount, ladder, not_negative, positive};
use super::last_price::{LastPrice, episode_periods, rounds};
use super::oracle::{Oracle, OracleError};
use super::search::best_index;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Demand `max(0, base_rate - slope p + gain (r - p)+ - loss (p - r)+)` where `r` is the price before; revenue `p` each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// Periods after which an episode is cut off (stepping only; the value is that of the endless market).
    #[serde(default = "episode_periods")]
    pub episode_periods: usize,
}

impl ReferencePrice {
    fn revenue(&self, price: f64, reference: f64) -> f64 {
        let compared = self.gain * (reference - price).max(0.0) - self.loss * (price - reference).max(0.0);
        price * (self.base_rate - self.slope * price + compared).max(0.0)
    }

    /// Rewards of every last price and rung. The first last price may lie beside the ladder: then it is a state of its own.
    pub(crate) fn last_price(&self) -> Result<LastPrice, OracleError> {
        self.check()?;
        let rungs = self.prices.len();
        let mut references = self.prices.clone();
        let known = references.iter().position(|price| *price == self.reference_price);
        let start = known.unwrap_or_else(|| {
            references.push(self.reference_price);
            rungs
        });
        let (low, span) = (
            self.prices[0],
            (self.prices[rungs - 1] - self.prices[0]).max(f64::MIN_POSITIVE),
        );
        let revenues = references
            .iter()
            .flat_map(|reference| self.prices.iter().map(|price| self.revenue(*price, *reference)));
        Ok(LastPrice {
            rungs,
            positions: references
                .iter()
                .map(|price| ((price - low) / span) as f32)
                .collect(),
            reward: revenues.collect(),
            next: references.iter().flat_map(|_| 0..rungs as u32).collect(),
            start,
            discount: self.discount,
            scale: 1.0,
            steps: self.episode_periods,
        })
    }

    pub(super) fn check(&self) -> Result<f64, OracleError> {
        positive("base_rate", self.base_rate)?;
        positive("slope", self.slope)?;
        not_negative("gain", self.gain)?;
        not_negative("loss", self.loss)?;
        ladder(&self.prices)?;
        not_negative("reference_price", self.reference_price)?;
        discount(self.discount)?;
        count("episode_periods", self.episode_periods)?;
        // The optimum and the myopic price; nothing is left to chance.
        let rungs = self.prices.len() as f64;
        affordable((rungs + 1.0) * rounds(self.discount) as f64, 2.0 * rungs, 1.0)
    }

    /// Value iteration over the last price.
    ///
    /// # Errors
    /// When a parameter makes no market, or the market is too large.
    pub fn oracle(&self) -> Result<Oracle, OracleError> {
        let game = self.last_price()?;
        let rungs = self.prices.len();
        let (v_star, first) = game.optimum();
        let myopic =
            game.value(|state, worth| worth(best_index(rungs, |rung| game.reward[state * rungs + rung])));
        let fixed: Vec<f64> = (0..rungs)
            .map(|rung| {
                let price = self.prices[rung];
                let later = self.discount / (1.0 - self.discount) * self.revenue(price, price);
                self.revenue(price, self.reference_price) + later
            })
            .collect();
        let best = best_index(rungs, |rung| fixed[rung]);
        Ok(Oracle {
            v_star,
            v_fixed: fixed[best],
            fixed_price: self.prices[best],
            first_action: Some(self.prices[first]),
            references: BTreeMap::from([("myopic", myopic)]),
            ..Oracle::default()
        })
    }
}
