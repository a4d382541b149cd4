//! Logit Bertrand competition solved: best replies, the one-shot equilibrium, the cartel.

use super::action::Action;
use super::oligopoly::LogitOligopoly;
use super::oracle::{Equilibrium, Oracle, OracleError, PerSeller};
use super::search::{crossing, peak};
use std::collections::BTreeMap;

/// Fixed-point rounds of the Nash equilibrium: a contraction for logit demand, far below that many are needed.
const ROUNDS: usize = 10_000;

impl LogitOligopoly {
    /// Share of the market of each seller.
    #[must_use]
    pub fn shares(&self, prices: &[f64]) -> Vec<f64> {
        let each = prices.iter().enumerate();
        let mut pull: Vec<f64> = each
            .map(|(seller, price)| (self.quality.seller(seller) - price) / self.mu)
            .collect();
        let outside = self.outside_quality / self.mu;
        let most = pull.iter().copied().fold(outside, f64::max); // keeps the exponentials finite
        pull.iter_mut().for_each(|worth| *worth = (*worth - most).exp());
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

    pub(super) fn nash(&self) -> Result<Vec<f64>, OracleError> {
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
            if moved < 1e-14 * (1.0 + prices[0].abs()) {
                return Ok(prices);
            }
        }
        Err(OracleError::Unsolved(
            "the equilibrium: the best replies do not settle".to_owned(),
        ))
    }

    /// All sellers as one: every margin is `mu / (share of nothing)`.
    pub(super) fn monopoly(&self) -> Vec<f64> {
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

    /// One-shot equilibrium and cartel of all sellers, on the ladder where `prices` give one. `v_star` is the joint profit per
    /// period of those that learn; a single price for all is the best that a common fixed price earns.
    ///
    /// # Errors
    /// When a parameter makes no market, or joint choices are too many to look at.
    pub fn oracle(&self) -> Result<Oracle, OracleError> {
        self.check()?;
        let everybody = match self.prices {
            Some(_) if self.action == Action::Rung => {
                let free = Self {
                    rivals: Vec::new(),
                    ..self.clone()
                };
                free.rivalry()?.one_shot()?
            }
            _ => self.any_price()?,
        };
        self.beside_rivals(everybody)
    }

    fn any_price(&self) -> Result<Oracle, OracleError> {
        let (nash, monopoly) = (self.nash()?, self.monopoly());
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
                nash_points: Vec::new(),
            }),
            ..Oracle::default()
        })
    }
}
