//! Markets A: a stock that must be sold by a deadline (Gallego and van Ryzin 1994).

use super::oracle::{Oracle, OracleError, affordable, count, field, ladder, positive};
use super::search::{best_index, mean_sales, peak, poisson_sales};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::f64::consts::E;

/// A1: continuous time, any price. Shoppers arrive at `arrival_rate` per period, one of them buys with probability
/// `exp(-price / price_scale)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContinuousSale {
    /// Length of the season.
    pub periods: f64,
    /// Units at the start.
    pub stock: usize,
    /// Shoppers per period.
    pub arrival_rate: f64,
    /// The price that sells best: `1 / alpha`.
    pub price_scale: f64,
}

/// A2 and A3: at most one shopper per period, with probability `arrival_rate`; prices from a ladder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SingleArrivals {
    /// Periods of the season.
    pub periods: usize,
    /// Units at the start.
    pub stock: usize,
    /// Probability of a shopper in a period, in (0, 1].
    pub arrival_rate: f64,
    /// One shopper buys with probability `exp(-price / price_scale)`.
    pub price_scale: f64,
    /// The ladder, rising.
    pub prices: Vec<f64>,
    /// Guardrail: rungs that the price may move per period; absent: any. The first price is free.
    pub rungs_per_period_max: Option<usize>,
}

/// A4: Poisson demand with mean `base_rate x exp(-price / price_scale)` per period; over at stock-out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SellDown {
    /// Periods of the season.
    pub periods: usize,
    /// Units at the start.
    pub stock: usize,
    /// Mean demand per period at a price of 0.
    pub base_rate: f64,
    /// Demand falls by a factor e with each `price_scale`.
    pub price_scale: f64,
    /// The ladder, rising.
    pub prices: Vec<f64>,
}

/// Most that could be earned if demand were its mean: price at the revenue peak, or where the stock just sells.
fn fluid_price(demand_at_zero: f64, price_scale: f64, stock: f64) -> f64 {
    price_scale * (demand_at_zero / stock.max(f64::MIN_POSITIVE)).ln().max(1.0)
}

impl ContinuousSale {
    /// Closed form: `J(n, T) = price_scale ln sum_{i <= n} (lambda* T)^i / i!`, `lambda* = arrival_rate / e`.
    ///
    /// # Errors
    /// When a parameter makes no market.
    pub fn oracle(&self) -> Result<Oracle, OracleError> {
        positive("periods", self.periods)?;
        count("stock", self.stock)?;
        positive("arrival_rate", self.arrival_rate)?;
        positive("price_scale", self.price_scale)?;
        affordable(self.stock as f64, 200)?;
        let best = self.arrival_rate / E * self.periods;
        let value = |stock: usize| {
            let (mut term, mut sum) = (1.0, 1.0);
            for n in 1..=stock {
                term *= best / n as f64;
                sum += term;
            }
            self.price_scale * f64::ln(sum)
        };
        let demand = self.arrival_rate * self.periods;
        let fixed = |price: f64| {
            price
                * mean_sales(&poisson_sales(
                    demand * (-price / self.price_scale).exp(),
                    self.stock,
                ))
        };
        let most = self.price_scale * (5.0 + (demand / self.stock as f64).ln().max(0.0));
        let fixed_price = peak(0.0, most, fixed);
        let fluid = fluid_price(demand, self.price_scale, self.stock as f64);
        let sold = (demand * (-fluid / self.price_scale).exp()).min(self.stock as f64);
        Ok(Oracle {
            v_star: value(self.stock),
            v_fixed: fixed(fixed_price),
            fixed_price,
            first_action: Some(self.price_scale + value(self.stock) - value(self.stock - 1)),
            references: BTreeMap::from([("fluid_bound", fluid * sold)]),
            equilibrium: None,
        })
    }
}

impl SingleArrivals {
    fn chance(&self, price: f64) -> f64 {
        self.arrival_rate * (-price / self.price_scale).exp()
    }

    fn check(&self) -> Result<(), OracleError> {
        count("periods", self.periods)?;
        count("stock", self.stock)?;
        let rate = self.arrival_rate;
        field(
            "arrival_rate",
            rate,
            rate > 0.0 && rate <= 1.0,
            "a probability above 0",
        )?;
        positive("price_scale", self.price_scale)?;
        ladder(&self.prices)?;
        affordable(
            self.periods as f64 * self.stock as f64,
            self.prices.len() * self.rungs_per_period_max.map_or(1, |_| self.prices.len()),
        )
    }

    /// Backward induction over (periods left, stock); with a guardrail over the last rung besides.
    ///
    /// # Errors
    /// When a parameter makes no market, or the market is too large.
    pub fn oracle(&self) -> Result<Oracle, OracleError> {
        self.check()?;
        let offers: Vec<(f64, f64)> = self.prices.iter().map(|p| (*p, self.chance(*p))).collect();
        let free = |_: usize, next: &[f64], stock: usize| best_offer(&offers, next, stock).1;
        let free_value = self.induct(free);
        let fixed = |n: usize| self.induct(|_, next, stock| step(offers[n], next, stock));
        let best = best_index(offers.len(), fixed);
        let continuous = self.induct(|_, next, stock| {
            let price = self.price_scale + next[stock] - next[stock - 1];
            step((price, self.chance(price)), next, stock)
        });
        let fluid = self.induct(|left, next, stock| {
            let price = fluid_price(self.arrival_rate * left as f64, self.price_scale, stock as f64);
            let near = best_index(self.prices.len(), |n| -(self.prices[n] - price).abs());
            step(offers[near], next, stock)
        });
        let random = self.induct(|_, next, stock| {
            offers.iter().map(|offer| step(*offer, next, stock)).sum::<f64>() / offers.len() as f64
        });
        let near = best_index(offers.len(), |n| offers[n].0 * offers[n].1);
        let (v_star, first) = match self.rungs_per_period_max {
            None => (free_value, self.first_free(&offers)),
            Some(reach) => self.guarded(&offers, reach),
        };
        Ok(Oracle {
            v_star,
            v_fixed: fixed(best),
            fixed_price: self.prices[best],
            first_action: Some(self.prices[first]),
            references: BTreeMap::from([
                ("unguarded", free_value),
                ("continuous_price", continuous),
                ("fluid_resolve", fluid),
                ("myopic", fixed(near)),
                ("uniform_random", random),
            ]),
            equilibrium: None,
        })
    }

    /// Value at the start of the policy whose value of one step is `step(periods left, next, stock)`.
    fn induct(&self, step: impl Fn(usize, &[f64], usize) -> f64) -> f64 {
        let mut next = vec![0.0; self.stock + 1];
        for left in 1..=self.periods {
            let sold_out = std::iter::once(0.0);
            next = sold_out
                .chain((1..=self.stock).map(|stock| step(left, &next, stock)))
                .collect();
        }
        next[self.stock]
    }

    fn first_free(&self, offers: &[(f64, f64)]) -> usize {
        let last = std::cell::Cell::new(0);
        self.induct(|_, next, stock| {
            let (rung, value) = best_offer(offers, next, stock);
            last.set(rung); // the last state looked at is the first one of the season
            value
        });
        last.get()
    }

    fn guarded(&self, offers: &[(f64, f64)], reach: usize) -> (f64, usize) {
        let rungs = offers.len();
        let (mut next, mut free) = (vec![vec![0.0; self.stock + 1]; rungs], Vec::new());
        for _ in 0..self.periods {
            let kept = |(offer, next): (&(f64, f64), &Vec<f64>)| -> Vec<f64> {
                let sold_out = std::iter::once(0.0);
                sold_out
                    .chain((1..=self.stock).map(|stock| step(*offer, next, stock)))
                    .collect()
            };
            free = offers.iter().zip(&next).map(kept).collect::<Vec<_>>();
            let reachable = |rung: usize| &free[rung.saturating_sub(reach)..=(rung + reach).min(rungs - 1)];
            let best = |rung: usize, stock: usize| {
                let values = reachable(rung).iter().map(|values| values[stock]);
                values.fold(f64::NEG_INFINITY, f64::max)
            };
            next = (0..rungs)
                .map(|rung| (0..=self.stock).map(|stock| best(rung, stock)).collect())
                .collect();
        }
        let first = best_index(rungs, |rung| free[rung][self.stock]);
        (free[first][self.stock], first)
    }
}

/// One period at an offer (price, chance of a sale).
fn step((price, chance): (f64, f64), next: &[f64], stock: usize) -> f64 {
    chance * (price + next[stock - 1]) + (1.0 - chance) * next[stock]
}

fn best_offer(offers: &[(f64, f64)], next: &[f64], stock: usize) -> (usize, f64) {
    let best = best_index(offers.len(), |n| step(offers[n], next, stock));
    (best, step(offers[best], next, stock))
}

impl SellDown {
    fn check(&self) -> Result<(), OracleError> {
        count("periods", self.periods)?;
        count("stock", self.stock)?;
        positive("base_rate", self.base_rate)?;
        positive("price_scale", self.price_scale)?;
        ladder(&self.prices)?;
        let outcomes = self.stock as f64 / 2.0;
        affordable(
            self.periods as f64 * self.stock as f64 * outcomes,
            self.prices.len(),
        )
    }

    /// Backward induction over (periods left, stock).
    ///
    /// # Errors
    /// When a parameter makes no market, or the market is too large.
    pub fn oracle(&self) -> Result<Oracle, OracleError> {
        self.check()?;
        let mean = |price: f64| self.base_rate * (-price / self.price_scale).exp();
        let sales: Vec<Vec<Vec<f64>>> = self
            .prices
            .iter()
            .map(|price| {
                (0..=self.stock)
                    .map(|stock| poisson_sales(mean(*price), stock))
                    .collect()
            })
            .collect();
        let play = |rung: usize, next: &[f64], stock: usize| -> f64 {
            let outcomes = sales[rung][stock].iter().enumerate();
            outcomes
                .map(|(sold, p)| p * (self.prices[rung] * sold as f64 + next[stock - sold]))
                .sum()
        };
        let rungs = self.prices.len();
        let induct = |choose: &dyn Fn(&[f64], usize) -> f64| {
            let mut next = vec![0.0; self.stock + 1];
            for _ in 0..self.periods {
                let here: Vec<f64> = (0..=self.stock).map(|stock| choose(&next, stock)).collect();
                next = here;
            }
            next[self.stock]
        };
        let first = std::cell::Cell::new(0);
        let v_star = induct(&|next, stock| {
            let best = best_index(rungs, |rung| play(rung, next, stock));
            first.set(best);
            play(best, next, stock)
        });
        let fixed: Vec<f64> = (0..rungs)
            .map(|rung| induct(&|next, stock| play(rung, next, stock)))
            .collect();
        let best = best_index(rungs, |rung| fixed[rung]);
        let myopic = best_index(rungs, |rung| self.prices[rung] * mean(self.prices[rung]));
        let random =
            induct(&|next, stock| (0..rungs).map(|rung| play(rung, next, stock)).sum::<f64>() / rungs as f64);
        Ok(Oracle {
            v_star,
            v_fixed: fixed[best],
            fixed_price: self.prices[best],
            first_action: Some(self.prices[first.get()]),
            references: BTreeMap::from([("myopic", fixed[myopic]), ("uniform_random", random)]),
            equilibrium: None,
        })
    }
}
