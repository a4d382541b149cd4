//! Bandits in front of the markets of `haggle-env`: demand is drawn here, the bandit sees outcomes only.

use haggle_core::{Mask, Seeds};
use haggle_env::market::{ChangingDemand, Segments, StockedPrices, UnknownLinear};
use haggle_policy::bandit::{Bandit, BanditConfig, BanditError, Context, Forgetting, Pooling, Rule, Stock};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Visits between two choices of the corridor's reference price.
const CORRIDOR_VISITS: usize = 100;

/// What a season in a market with segments brought.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fair {
    /// Mean expected profit per visit.
    pub profit: f64,
    /// Prices outside the corridor around the reference price of their time.
    pub violations: usize,
}

/// E1: the segment of each visit is seen; within a corridor where the market has one.
pub fn segments(market: &Segments, prices: &[f64], visits: usize, seed: u64) -> Result<Fair, BanditError> {
    let groups = market.weights.len();
    let mut bandit = Bandit::new(BanditConfig {
        cost: market.costs,
        pooling: Pooling::Partial(groups),
        knots: 0,
        ..BanditConfig::logit_thompson(prices.to_vec(), 0, seed)
    })?;
    let mut rng = rng(seed);
    let mut seen = vec![1.0; groups];
    let mut corridor = None;
    let (mut profit, mut violations) = (0.0, 0);
    for visit in 0..visits {
        if let Some(share) = market.corridor.filter(|_| visit % CORRIDOR_VISITS == 0) {
            corridor = Some(bandit.corridor(share, &seen, &[])?);
        }
        let segment = pick(&market.weights, rng.random());
        seen[segment] += 1.0;
        let context = Context { segment, x: &[] };
        let allowed = corridor.map_or(Mask::all(prices.len()), |corridor| corridor.allowed);
        let rung = bandit.pmf(context, allowed)?.draw(rng.random()).rung;
        let price = prices[rung];
        if let (Some(share), Some(corridor)) = (market.corridor, corridor) {
            violations += usize::from((price / corridor.reference - 1.0).abs() > share + 1e-12);
        }
        let odds = market.intercepts[segment] - market.slopes[segment] * price;
        let probability = 1.0 / (1.0 + (-odds).exp());
        profit += (price - market.costs) * probability;
        bandit.update(context, rung, f64::from(rng.random::<f64>() < probability))?;
    }
    Ok(Fair {
        profit: profit / visits as f64,
        violations,
    })
}

/// B1: revenue of the season, as it was sold.
pub fn stock(market: &StockedPrices, seed: u64) -> Result<f64, BanditError> {
    let preset = BanditConfig::logit_thompson(market.prices.clone(), 0, seed);
    let mut bandit = Bandit::new(BanditConfig { floor: 0.0, ..preset })?;
    let mut rng = rng(seed);
    let (mut revenue, mut units) = (0.0, market.stock as u32);
    let context = Context { segment: 0, x: &[] };
    let all = Mask::all(market.prices.len());
    for visit in 0..market.periods {
        let left = Stock {
            units_left: units,
            visits_left: (market.periods - visit) as u32,
        };
        let rung = bandit.pmf_for_stock(context, all, left)?.draw(rng.random()).rung;
        if rung < market.prices.len() {
            let bought = rng.random::<f64>() < market.probabilities[rung];
            revenue += if bought { market.prices[rung] } else { 0.0 };
            units -= u32::from(bought);
            bandit.update(context, rung, f64::from(bought))?;
        }
    }
    Ok(revenue)
}

/// The bandit for demand that changes: one setting for every market H.
pub fn changing_config(market: &ChangingDemand, seed: u64) -> BanditConfig {
    BanditConfig {
        knots: 0,
        floor: 0.0,
        rule: Rule::Thompson {
            draws: 16,
            width: 0.8,
        },
        forgetting: Some(Forgetting {
            level: 8.0,
            slope: 100.0,
        }),
        ..BanditConfig::linear_thompson(even(market.price_min, market.price_max), 0, seed)
    }
}

/// H: expected revenue of the season.
pub fn changing(market: &ChangingDemand, config: BanditConfig) -> Result<f64, BanditError> {
    let expected = |t: usize, price: f64| {
        let (a, b) = market.demand(t);
        a - b * price
    };
    let mut revenue = 0.0;
    units(config, market.periods, market.noise, expected, |_, earned| {
        revenue += earned;
    })?;
    Ok(revenue)
}

/// I: regret against the best price, after each of `at` rounds (rising).
pub fn unknown(market: &UnknownLinear, best: f64, at: &[usize], seed: u64) -> Result<Vec<f64>, BanditError> {
    let config = BanditConfig {
        knots: 0,
        floor: 0.0,
        rule: Rule::Thompson {
            draws: 16,
            width: 1.0,
        },
        ..BanditConfig::linear_thompson(even(market.price_min, market.price_max), 0, seed)
    };
    let (mut regret, mut marks) = (0.0, Vec::new());
    let rounds = at.last().copied().unwrap_or(0);
    let expected = |_, price: f64| market.intercept - market.slope * price;
    units(config, rounds, market.noise, expected, |t, earned| {
        regret += best - earned;
        if at.contains(&(t + 1)) {
            marks.push(regret);
        }
    })?;
    Ok(marks)
}

/// Rounds of a market that sells units at an expected demand, with Gaussian noise; `count` gets the expected revenue of each.
fn units(
    config: BanditConfig,
    rounds: usize,
    noise: f64,
    expected: impl Fn(usize, f64) -> f64,
    mut count: impl FnMut(usize, f64),
) -> Result<(), BanditError> {
    let mut rng = rng(config.seed);
    let prices = config.prices.clone();
    let mut bandit = Bandit::new(config)?;
    let context = Context { segment: 0, x: &[] };
    for t in 0..rounds {
        let rung = bandit
            .pmf(context, Mask::all(prices.len()))?
            .draw(rng.random())
            .rung;
        let demand = expected(t, prices[rung]);
        count(t, prices[rung] * demand);
        let shock: f64 = StandardNormal.sample(&mut rng);
        bandit.update(context, rung, demand + noise * shock)?;
    }
    Ok(())
}

/// The longest ladder over a range of prices.
pub fn even(low: f64, high: f64) -> Vec<f64> {
    let last = haggle_core::LADDER_RUNGS_MAX - 1;
    (0..=last)
        .map(|n| low + (high - low) * n as f64 / last as f64)
        .collect()
}

fn rng(seed: u64) -> ChaCha8Rng {
    Seeds::new(seed).named("market").rng()
}

fn pick(weights: &[f64], mut uniform: f64) -> usize {
    for (at, weight) in weights.iter().enumerate() {
        if uniform < *weight {
            return at;
        }
        uniform -= weight;
    }
    weights.len() - 1
}
