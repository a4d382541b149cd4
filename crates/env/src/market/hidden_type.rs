//! Sessions of a buyer whose type is hidden: purchases along the session reveal it, so that a memory pays.

use super::checks::{affordable, count, field, ladder};
use super::oracle::{Oracle, OracleError};
use super::search::best_index;
use super::sessions::Sessions;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A session has `periods` offers; a buyer of type `k` takes one at price `r` with probability `probabilities[k][r]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HiddenType {
    /// Offers of a session.
    pub periods: usize,
    /// Share of each type; they sum to 1.
    pub weights: Vec<f64>,
    /// The ladder, rising.
    pub prices: Vec<f64>,
    /// Chance of a sale, by type and price.
    pub probabilities: Vec<Vec<f64>>,
}

/// How many updates it costs to find what follows an offer that was taken or refused.
const FOLLOWS: f64 = 10_000.0;

/// How often each offer was refused (at `2 rung`) and taken (one further).
type Counts = Vec<u16>;

impl HiddenType {
    pub(super) fn check(&self) -> Result<f64, OracleError> {
        count("periods", self.periods)?;
        field("periods", self.periods, self.periods <= 1000, "at most 1000")?;
        let types = self.weights.len();
        count("weights", types)?;
        let sum: f64 = self.weights.iter().sum();
        let shares = self.weights.iter().all(|weight| *weight >= 0.0) && (sum - 1.0).abs() < 1e-9;
        field("weights", &self.weights, shares, "shares that sum to 1")?;
        ladder(&self.prices)?;
        let row =
            |row: &Vec<f64>| row.len() == self.prices.len() && row.iter().all(|p| (0.0..=1.0).contains(p));
        let sound = self.probabilities.len() == types && self.probabilities.iter().all(row);
        field(
            "probabilities",
            &self.probabilities,
            sound,
            "one row per type, one probability in [0, 1] per price",
        )?;
        // Ways to spread `periods` offers over taken and refused at each price.
        let rungs = self.prices.len();
        let ways = (1..2 * rungs).fold(1.0, |ways, n| ways * (self.periods + n) as f64 / n as f64);
        affordable(ways, (rungs * types) as f64, FOLLOWS)
    }

    /// Tables for stepping.
    pub(crate) fn sessions(&self) -> Result<Sessions, OracleError> {
        self.check()?;
        Ok(Sessions::new(
            self.periods,
            self.prices.clone(),
            self.weights.clone(),
            self.probabilities.clone(),
        ))
    }

    /// The Bayes filter's value: dynamic programming over what was taken and refused so far, on which alone the belief
    /// depends. `memoryless` sees the last offer only; it is the best that changing one answer at a time finds, from each
    /// fixed price.
    ///
    /// # Errors
    /// When a parameter makes no market, or the market is too large.
    pub fn oracle(&self) -> Result<Oracle, OracleError> {
        let game = self.sessions()?;
        let rungs = self.prices.len();
        let mean = |rung: usize| -> f64 {
            let each = self.weights.iter().zip(&self.probabilities);
            each.map(|(weight, chances)| weight * chances[rung] * self.prices[rung])
                .sum()
        };
        let best = best_index(rungs, mean);
        let known: f64 = self
            .weights
            .iter()
            .zip(&self.probabilities)
            .map(|(weight, chances)| {
                let earns = (0..rungs).map(|rung| chances[rung] * self.prices[rung]);
                weight * earns.fold(0.0, f64::max)
            })
            .sum();
        let (v_star, first) = self.bayes();
        Ok(Oracle {
            v_star,
            v_fixed: mean(best) * self.periods as f64,
            fixed_price: self.prices[best],
            fixed_prices: None,
            first_action: Some(self.prices[first]),
            first_actions: None,
            references: BTreeMap::from([
                ("clairvoyant", known * self.periods as f64),
                ("memoryless", self.memoryless(&game)),
            ]),
            equilibrium: None,
        })
    }

    /// Chance of each type after some offers.
    fn belief(&self, counts: &Counts) -> Vec<f64> {
        let likely = |kind: usize| {
            let each = self.probabilities[kind].iter().zip(counts.chunks_exact(2));
            each.fold(self.weights[kind], |p, (chance, seen)| {
                p * (1.0 - chance).powi(i32::from(seen[0])) * chance.powi(i32::from(seen[1]))
            })
        };
        let mut belief: Vec<f64> = (0..self.weights.len()).map(likely).collect();
        let total: f64 = belief.iter().sum();
        belief.iter_mut().for_each(|p| *p /= total.max(f64::MIN_POSITIVE));
        belief
    }

    fn bayes(&self) -> (f64, usize) {
        let mut next: BTreeMap<Counts, f64> = BTreeMap::new();
        let mut first = 0;
        for past in (0..self.periods).rev() {
            let mut now = BTreeMap::new();
            for counts in spreads(2 * self.prices.len(), past) {
                let belief = self.belief(&counts);
                let worth = |rung: usize| {
                    let chance: f64 = belief
                        .iter()
                        .zip(&self.probabilities)
                        .map(|(p, row)| p * row[rung])
                        .sum();
                    let after = |taken: usize| {
                        let mut counts = counts.clone();
                        counts[2 * rung + taken] += 1;
                        next.get(&counts).copied().unwrap_or(0.0) // nothing follows the last offer
                    };
                    chance * (self.prices[rung] + after(1)) + (1.0 - chance) * after(0)
                };
                first = best_index(self.prices.len(), worth);
                let value = worth(first);
                now.insert(counts, value);
            }
            next = now;
        }
        (next.into_values().next().unwrap_or(0.0), first)
    }

    fn memoryless(&self, game: &Sessions) -> f64 {
        let (rungs, lasts) = (self.prices.len(), game.lasts());
        let one = |rung: usize| (0..rungs).map(|n| f64::from(u8::from(n == rung))).collect();
        let ones: Vec<Vec<f64>> = (0..rungs).map(one).collect();
        let value = |plan: &[usize]| game.value(|left, last| &ones[plan[(left - 1) * lasts + last]]);
        let climb = |start: usize| {
            let mut plan = vec![start; self.periods * lasts];
            let mut most = value(&plan);
            loop {
                let before = most;
                for place in 0..plan.len() {
                    for rung in 0..rungs {
                        let kept = std::mem::replace(&mut plan[place], rung);
                        let here = value(&plan);
                        if here > most {
                            most = here;
                        } else {
                            plan[place] = kept;
                        }
                    }
                }
                if most <= before * (1.0 + 1e-12) {
                    return most;
                }
            }
        };
        (0..rungs).map(climb).fold(0.0, f64::max)
    }
}

/// Every way to spread `units` over so many cells.
fn spreads(cells: usize, units: usize) -> Vec<Counts> {
    if cells == 1 {
        return vec![vec![units as u16]];
    }
    let with = |first: usize| {
        let rest = spreads(cells - 1, units - first).into_iter();
        rest.map(move |rest| [&[first as u16], rest.as_slice()].concat())
    };
    (0..=units).flat_map(with).collect()
}
