//! Probe environments: one question each, with an answer known in closed form. "It does not learn" becomes
//! "it does not learn *delay*".

use haggle_core::LADDER_RUNGS_MAX;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A probe environment as it stands in `envs/probe/*.toml`. Money is in major units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProbeConfig {
    /// The question that is asked.
    pub problem: Problem,
    /// The prices that every agent may choose, rising.
    pub prices: Vec<f64>,
    /// Independent copies that step together.
    pub copies: usize,
}

/// One question each. A shopper with choke price `c` buys one unit with probability `max(0, 1 - price / c)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Problem {
    /// One agent, one shopper, one step: the best price is `(choke + cost) / 2`, or the limit where that is lower.
    OnePrice {
        /// The price at which nobody buys.
        choke: f64,
        /// What a unit costs.
        cost: f64,
        /// The mean price may not be above this one (constraint 0, in money); absent: no constraint.
        price_mean_max: Option<f64>,
    },
    /// The shopper belongs to one of two segments, each with probability 1/2, and observation 1 says which (-1 or +1).
    TwoBuyers {
        /// Choke price of each segment.
        chokes: [f64; 2],
        /// What a unit costs.
        cost: f64,
    },
    /// Only the first of four prices counts, and what it earned arrives with the fourth; in between there is one rung.
    LateSale {
        /// The price at which nobody buys.
        choke: f64,
        /// What a unit costs.
        cost: f64,
    },
    /// One shopper of a hidden kind, with one of two choke prices, each with probability 1/2, comes `visits` times. Observation
    /// 1 is how the last visit ended: the place of its price on the ladder, in (0, 1], negative where nothing was bought;
    /// 0 at the first visit. The best seller keeps the odds of the two kinds by Bayes' rule: the value is that seller's.
    HiddenShopper {
        /// Choke price of each kind.
        chokes: [f64; 2],
        /// What a unit costs.
        cost: f64,
        /// Visits of one shopper.
        visits: u8,
    },
    /// Two agents sell `demand - own_slope price + rival_slope rival_price` units, for certain. In equilibrium both
    /// charge `(demand + own_slope cost - s rival_slope cost) / (2 own_slope - rival_slope - s rival_slope)`, where `s`
    /// is `common_share`: 0 is the Nash equilibrium, 1 the cartel.
    TwoSellers {
        /// Units sold at prices of 0.
        demand: f64,
        /// Units lost per unit of the own price.
        own_slope: f64,
        /// Units won per unit of the rival's price; below `own_slope`.
        rival_slope: f64,
        /// What a unit costs.
        cost: f64,
        /// How much of the rival's profit an agent counts as its own, in [0, 1].
        common_share: f64,
    },
}

/// The answer of a probe environment.
#[derive(Clone, Debug, PartialEq)]
pub struct Optimum {
    /// The best rung per segment (two-buyers) or per agent (the others).
    pub rungs: Vec<usize>,
    /// The expected reward of one agent in one episode at these prices.
    pub value: f64,
}

/// Why a probe environment cannot be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ProbeError {
    /// No prices, too many, or not rising from above 0.
    #[error("prices: 1 to {LADDER_RUNGS_MAX} rising positive numbers are needed")]
    Prices,
    /// No copies.
    #[error("copies: at least 1 is needed")]
    Copies,
    /// Numbers that make no market.
    #[error("problem: {0}")]
    Market(&'static str),
    /// The known answer is not among the prices, so nothing could be compared with it.
    #[error("prices: the best price {0} must be one of them")]
    Answer(f64),
}

impl ProbeError {
    /// The field at fault.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::Prices | Self::Answer(_) => "prices",
            Self::Copies => "copies",
            Self::Market(_) => "problem",
        }
    }
}

/// Ways through the visits of a hidden shopper that are gone through exactly.
const WAYS_MAX: f64 = 2e7;

/// The best seller in front of a hidden shopper.
struct Bayes<'a> {
    prices: &'a [f64],
    chokes: [f64; 2],
    cost: f64,
}

impl Bayes<'_> {
    /// Value of so many visits, and the best rung at the first, where the shopper is of the second kind with this probability.
    fn best(&self, second: f64, visits: u8) -> (f64, usize) {
        let mut best = (0.0, 0);
        if visits == 0 {
            return best;
        }
        for (rung, price) in self.prices.iter().enumerate() {
            let chance = self.chokes.map(|choke| sale_chance(*price, choke));
            let sale = (1.0 - second) * chance[0] + second * chance[1];
            let after = |weight: f64, probability: f64| {
                if probability > 0.0 {
                    probability * self.best(weight / probability, visits - 1).0
                } else {
                    0.0
                }
            };
            let later = after(second * chance[1], sale) + after(second * (1.0 - chance[1]), 1.0 - sale);
            let value = (price - self.cost) * sale + later;
            if value > best.0 {
                best = (value, rung);
            }
        }
        best
    }
}

/// Probability that a shopper with this choke price buys.
pub(crate) fn sale_chance(price: f64, choke: f64) -> f64 {
    (1.0 - price / choke).max(0.0)
}

impl ProbeConfig {
    /// The exact optimum (two-sellers: the equilibrium) over the configured prices.
    ///
    /// # Errors
    /// When the configuration makes no sense or its answer is not among the prices.
    pub fn optimum(&self) -> Result<Optimum, ProbeError> {
        self.check()?;
        match self.problem {
            Problem::OnePrice {
                choke,
                cost,
                price_mean_max,
            } => {
                let limit = price_mean_max.unwrap_or(f64::INFINITY);
                let rung = self.best(|price| {
                    let profit = (price - cost) * sale_chance(price, choke);
                    if price <= limit { profit } else { f64::NEG_INFINITY }
                });
                if price_mean_max.is_some_and(|limit| (choke + cost) / 2.0 > limit) {
                    self.rung_of(limit)?; // else a mixture of two rungs would be best
                }
                Ok(self.answer(vec![rung], |price| (price - cost) * sale_chance(price, choke)))
            }
            Problem::TwoBuyers { chokes, cost } => {
                let rungs = chokes.map(|choke| self.best(|price| (price - cost) * sale_chance(price, choke)));
                let value = |segment: usize| {
                    let price = self.prices[rungs[segment]];
                    (price - cost) * sale_chance(price, chokes[segment])
                };
                Ok(Optimum {
                    value: (value(0) + value(1)) / 2.0,
                    rungs: rungs.to_vec(),
                })
            }
            Problem::LateSale { choke, cost } => {
                let profit = |price: f64| (price - cost) * sale_chance(price, choke);
                Ok(self.answer(vec![self.best(profit)], profit))
            }
            Problem::HiddenShopper { chokes, cost, visits } => {
                let seller = Bayes {
                    prices: &self.prices,
                    chokes,
                    cost,
                };
                let (value, rung) = seller.best(0.5, visits);
                Ok(Optimum {
                    rungs: vec![rung],
                    value,
                })
            }
            Problem::TwoSellers {
                demand,
                own_slope,
                rival_slope,
                cost,
                common_share,
            } => {
                let price = (demand + (own_slope - common_share * rival_slope) * cost)
                    / (2.0 * own_slope - (1.0 + common_share) * rival_slope);
                let rung = self.rung_of(price)?;
                let profit =
                    |price: f64| (price - cost) * (demand - (own_slope - rival_slope) * price).max(0.0);
                Ok(self.answer(vec![rung, rung], |price| (1.0 + common_share) * profit(price)))
            }
        }
    }

    pub(crate) fn check(&self) -> Result<(), ProbeError> {
        let rising = self.prices.windows(2).all(|pair| pair[0] < pair[1]);
        let bounded = self.prices.iter().all(|price| price.is_finite() && *price > 0.0);
        if self.prices.is_empty() || self.prices.len() > LADDER_RUNGS_MAX || !rising || !bounded {
            return Err(ProbeError::Prices);
        }
        if self.copies == 0 {
            return Err(ProbeError::Copies);
        }
        let sound = |choke: f64, cost: f64| choke.is_finite() && cost >= 0.0 && cost < choke;
        let fine = match self.problem {
            Problem::OnePrice { choke, cost, .. } | Problem::LateSale { choke, cost } => sound(choke, cost),
            Problem::TwoBuyers { chokes, cost } => chokes.iter().all(|choke| sound(*choke, cost)),
            Problem::HiddenShopper { chokes, cost, visits } => {
                // Every price and outcome of every visit is one way more.
                let ways = (2.0 * self.prices.len() as f64).powi(i32::from(visits));
                visits >= 1 && ways <= WAYS_MAX && chokes.iter().all(|choke| sound(*choke, cost))
            }
            Problem::TwoSellers {
                demand,
                own_slope,
                rival_slope,
                cost,
                common_share,
            } => {
                let slopes = rival_slope >= 0.0 && own_slope.is_finite() && own_slope > rival_slope;
                let money = cost >= 0.0 && demand.is_finite() && demand > (own_slope - rival_slope) * cost;
                slopes && money && (0.0..=1.0).contains(&common_share)
            }
        };
        if fine {
            Ok(())
        } else {
            Err(ProbeError::Market(
                "need 0 <= cost < choke; a hidden shopper: visits >= 1 and (2 x prices)^visits <= 2e7; two sellers: 0 <= rival_slope < own_slope, common_share in [0, 1], \
                 and demand left at cost",
            ))
        }
    }

    fn best(&self, value: impl Fn(f64) -> f64) -> usize {
        let mut best = 0;
        for rung in 1..self.prices.len() {
            if value(self.prices[rung]) > value(self.prices[best]) {
                best = rung;
            }
        }
        best
    }

    fn rung_of(&self, price: f64) -> Result<usize, ProbeError> {
        let near = |rung: &f64| (rung - price).abs() < 1e-9 * price.abs();
        self.prices.iter().position(near).ok_or(ProbeError::Answer(price))
    }

    fn answer(&self, rungs: Vec<usize>, value: impl Fn(f64) -> f64) -> Optimum {
        Optimum {
            value: value(self.prices[rungs[0]]),
            rungs,
        }
    }
}
