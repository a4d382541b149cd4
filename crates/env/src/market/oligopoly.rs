//! Markets C: logit Bertrand competition (Calvano et al. 2020), and C2, the same with capacities.

use super::oracle::{Equilibrium, Oracle, OracleError, PerSeller, count, field, not_negative, positive};
use super::search::{crossing, peak};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Fixed-point rounds of the Nash equilibrium: a contraction for logit demand, far below that many are needed.
const ROUNDS: usize = 10_000;

/// C: seller `i` sells `exp((quality - p_i) / mu) / (sum_j exp((quality - p_j) / mu) + exp(outside_quality / mu))`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogitOligopoly {
    /// How many sell, 1 or more.
    pub sellers: usize,
    /// Cost of a unit: one number for all, or one per seller.
    pub costs: Costs,
    /// Quality of each product.
    pub quality: f64,
    /// How little shoppers care for differences, above 0.
    pub mu: f64,
    /// Quality of buying nothing.
    pub outside_quality: f64,
}

/// One cost for all sellers, or one each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Costs {
    /// The same for all.
    All(f64),
    /// In the order of the sellers.
    Each(Vec<f64>),
}

impl LogitOligopoly {
    fn costs(&self) -> Vec<f64> {
        match &self.costs {
            Costs::All(cost) => vec![*cost; self.sellers],
            Costs::Each(costs) => costs.clone(),
        }
    }

    fn check(&self) -> Result<(), OracleError> {
        count("sellers", self.sellers)?;
        positive("mu", self.mu)?;
        field(
            "quality",
            self.quality,
            self.quality.is_finite(),
            "a finite number",
        )?;
        field(
            "outside_quality",
            self.outside_quality,
            self.outside_quality.is_finite(),
            "a finite number",
        )?;
        let costs = self.costs();
        field(
            "costs",
            &costs,
            costs.len() == self.sellers,
            "one number, or one per seller",
        )?;
        costs.iter().try_for_each(|cost| not_negative("costs", *cost))
    }

    /// Share of the market of each seller.
    #[must_use]
    pub fn shares(&self, prices: &[f64]) -> Vec<f64> {
        let worth = |price: &f64| (self.quality - price) / self.mu;
        let outside = self.outside_quality / self.mu;
        let most = prices.iter().map(worth).fold(outside, f64::max); // keeps the exponentials finite
        let pull: Vec<f64> = prices.iter().map(|price| (worth(price) - most).exp()).collect();
        let total = pull.iter().sum::<f64>() + (outside - most).exp();
        pull.iter().map(|pull| pull / total).collect()
    }

    /// Profit of each seller.
    #[must_use]
    pub fn profits(&self, prices: &[f64]) -> Vec<f64> {
        let margins = prices.iter().zip(self.costs()).map(|(price, cost)| price - cost);
        margins
            .zip(self.shares(prices))
            .map(|(margin, share)| margin * share)
            .collect()
    }

    /// The best price of one seller against the others' prices: `p - c = mu / (1 - share)`, whose left side rises and
    /// whose right side falls in `p`.
    #[must_use]
    pub fn best_reply(&self, seller: usize, prices: &[f64]) -> f64 {
        let cost = self.costs()[seller];
        let mut prices = prices.to_vec();
        let slack = |price: f64, prices: &mut [f64]| {
            prices[seller] = price;
            price - cost - self.mu / (1.0 - self.shares(prices)[seller]).max(f64::MIN_POSITIVE)
        };
        let mut reach = self.mu;
        while slack(cost + reach, &mut prices) < 0.0 {
            reach *= 2.0;
        }
        crossing(cost, cost + reach, |price| slack(price, &mut prices.clone()))
    }

    fn nash(&self) -> Vec<f64> {
        let mut prices: Vec<f64> = self.costs().iter().map(|cost| cost + self.mu).collect();
        for _ in 0..ROUNDS {
            let before = prices.clone();
            for seller in 0..self.sellers {
                prices[seller] = self.best_reply(seller, &prices);
            }
            let moved = prices
                .iter()
                .zip(&before)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f64::max);
            if moved < 1e-15 * (1.0 + prices[0].abs()) {
                break;
            }
        }
        prices
    }

    /// All sellers as one: every margin is `mu / (share of nothing)`.
    fn monopoly(&self) -> Vec<f64> {
        let costs = self.costs();
        let at = |margin: f64| -> Vec<f64> { costs.iter().map(|cost| cost + margin).collect() };
        let slack = |margin: f64| {
            let nothing = 1.0 - self.shares(&at(margin)).iter().sum::<f64>();
            margin - self.mu / nothing.max(f64::MIN_POSITIVE)
        };
        let mut reach = self.mu;
        while slack(reach) < 0.0 {
            reach *= 2.0;
        }
        at(crossing(0.0, reach, slack))
    }

    /// One-shot equilibrium and cartel. `v_star` is the joint profit per period of the cartel; a single price for all is
    /// the best that a common fixed price earns.
    ///
    /// # Errors
    /// When a parameter makes no market.
    pub fn oracle(&self) -> Result<Oracle, OracleError> {
        self.check()?;
        let (nash, monopoly) = (self.nash(), self.monopoly());
        let joint = |prices: &[f64]| self.profits(prices).iter().sum::<f64>();
        let same = |price: f64| joint(&vec![price; self.sellers]);
        let (low, high) = monopoly.iter().fold((f64::INFINITY, 0f64), |(low, high), p| {
            (low.min(*p), high.max(*p))
        });
        let fixed_price = peak(low, high, same);
        let reply = self.best_reply(0, &monopoly);
        let mut cheated = monopoly.clone();
        cheated[0] = reply;
        Ok(Oracle {
            v_star: joint(&monopoly),
            v_fixed: same(fixed_price),
            fixed_price,
            first_action: None,
            references: BTreeMap::from([
                ("joint_nash", joint(&nash)),
                ("best_reply_to_monopoly_price", reply),
                ("best_reply_to_monopoly_profit", self.profits(&cheated)[0]),
            ]),
            equilibrium: Some(Equilibrium {
                nash_profit: PerSeller::of(self.profits(&nash)),
                nash_price: PerSeller::of(nash),
                monopoly_profit: PerSeller::of(self.profits(&monopoly)),
                monopoly_price: PerSeller::of(monopoly),
            }),
        })
    }
}

/// C2: two equal sellers who can serve `capacity` of `shoppers` per period each; who is not served does not go elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapacityDuopoly {
    /// Units per seller and period.
    pub capacity: f64,
    /// Shoppers per period.
    pub shoppers: f64,
    /// Cost of a unit.
    pub costs: f64,
    /// Quality of each product.
    pub quality: f64,
    /// How little shoppers care for differences, above 0.
    pub mu: f64,
    /// Quality of buying nothing.
    pub outside_quality: f64,
}

impl CapacityDuopoly {
    /// Nobody prices below what clears his capacity: equilibrium and cartel are the larger of the unconstrained price and
    /// `p_clear = quality - outside_quality + mu ln((1 - 2 q) / q)`, `q = capacity / shoppers`.
    ///
    /// # Errors
    /// When a parameter makes no market.
    pub fn oracle(&self) -> Result<Oracle, OracleError> {
        positive("capacity", self.capacity)?;
        positive("shoppers", self.shoppers)?;
        let free = LogitOligopoly {
            sellers: 2,
            costs: Costs::All(self.costs),
            quality: self.quality,
            mu: self.mu,
            outside_quality: self.outside_quality,
        };
        free.check()?;
        let q = self.capacity / self.shoppers;
        let clear = if q < 0.5 {
            self.quality - self.outside_quality + self.mu * ((1.0 - 2.0 * q) / q).ln()
        } else {
            f64::NEG_INFINITY // both together can serve everybody
        };
        let (nash, monopoly) = (free.nash()[0].max(clear), free.monopoly()[0].max(clear));
        let profit = |price: f64| {
            let served = (free.shares(&[price, price])[0] * self.shoppers).min(self.capacity);
            (price - self.costs) * served
        };
        Ok(Oracle {
            v_star: 2.0 * profit(monopoly),
            v_fixed: 2.0 * profit(monopoly),
            fixed_price: monopoly,
            first_action: None,
            references: BTreeMap::from([("joint_nash", 2.0 * profit(nash))]),
            equilibrium: Some(Equilibrium {
                nash_profit: PerSeller::All(profit(nash)),
                nash_price: PerSeller::All(nash),
                monopoly_profit: PerSeller::All(profit(monopoly)),
                monopoly_price: PerSeller::All(monopoly),
            }),
        })
    }
}
