//! A season of which a share of the stock must be sold on average: the Lagrangian dual of backward induction.

use super::checks::field;
use super::oracle::OracleError;
use super::search::best_index;
use super::season::Season;
use std::collections::BTreeMap;

/// Rounds of the search for the worth of a sale; each finds another policy, so that few are needed.
const ROUNDS: usize = 100;

/// How many of them an estimate of the work counts.
const ROUNDS_USUAL: usize = 20;

/// How often the worth of a sale that must sell enough is doubled at most: beyond it prices are lost beside the worth.
const DOUBLINGS: usize = 30;

/// A share in (0, 1), if any.
pub(crate) fn sell_through(share: Option<f64>) -> Result<(), OracleError> {
    share.map_or(Ok(()), |share| {
        field(
            "sell_through_min",
            share,
            share > 0.0 && share < 1.0,
            "a share above 0 and below 1",
        )
    })
}

/// Choices that are looked at in a state because of the constraint, besides those of the free optimum.
pub(crate) fn solutions(share: Option<f64>, rungs: usize) -> f64 {
    share.map_or(0.0, |_| (rungs + ROUNDS_USUAL * (rungs + 2)) as f64)
}

/// What a policy earns, the share of the stock that it sells, and its first rung.
#[derive(Clone, Copy, Debug)]
struct Outcome {
    earned: f64,
    sold: f64,
    first: usize,
}

impl Season {
    /// The same stock, where only the share that is sold counts.
    pub(crate) fn counting(&self) -> Self {
        Self {
            prices: vec![1.0 / self.stock as f64; self.prices.len()],
            salvage: 0.0,
            ..self.clone()
        }
    }

    /// Value of the best policy, its first rung, and the best of the `fixed` prices, all within the constraint.
    pub(crate) fn solve(
        &self,
        fixed: &[f64],
        references: &mut BTreeMap<&'static str, f64>,
    ) -> Result<(f64, usize, usize), OracleError> {
        let Some(share) = self.sell_through_min else {
            let (value, first) = self.optimum();
            return Ok((value, first, best_index(fixed.len(), |rung| fixed[rung])));
        };
        let free = self.best_where_sales_are_worth(0.0);
        references.insert("unconstrained", free.earned);
        references.insert("unconstrained_sell_through", free.sold);
        let counting = self.counting();
        let sold: Vec<f64> = (0..fixed.len()).map(|rung| counting.fixed(rung)).collect();
        let best = best_index(fixed.len(), |rung| {
            if sold[rung] >= share {
                fixed[rung]
            } else {
                f64::NEG_INFINITY
            }
        });
        field(
            "sell_through_min",
            share,
            sold[best] >= share,
            "a share that the lowest price sells on average",
        )?;
        let (value, first) = if free.sold >= share {
            (free.earned, free.first)
        } else {
            self.dual(free, share)?
        };
        Ok((value, first, best))
    }

    /// The best mixture of two policies that sells `share` on average. Each worth of a sale has its best policy, a line over
    /// worths; the constrained optimum lies where the two lines beside the least of the dual cross.
    fn dual(&self, free: Outcome, share: f64) -> Result<(f64, usize), OracleError> {
        let mut dear = self.stock as f64
            * (1.0 + self.salvage + self.prices.iter().fold(0.0, |most: f64, price| most.max(*price)));
        let (mut below, mut above) = (free, self.best_where_sales_are_worth(dear));
        for _ in 0..DOUBLINGS {
            if above.sold >= share {
                break;
            }
            dear *= 2.0;
            (below, above) = (above, self.best_where_sales_are_worth(dear));
        }
        field(
            "sell_through_min",
            share,
            above.sold >= share,
            "a share further below the largest that any policy sells on average",
        )?;
        for _ in 0..ROUNDS {
            let worth = (below.earned - above.earned) / (above.sold - below.sold);
            let between = self.best_where_sales_are_worth(worth);
            let line = below.earned + worth * below.sold;
            if between.earned + worth * between.sold <= line + 1e-12 * line.abs() {
                break;
            }
            if between.sold < share {
                below = between;
            } else {
                above = between;
            }
        }
        let mixed = (share - below.sold) / (above.sold - below.sold);
        let earned = below.earned + mixed * (above.earned - below.earned);
        Ok((earned, below.first))
    }

    /// The best policy where the whole stock, sold, is worth `worth` more than its price.
    fn best_where_sales_are_worth(&self, worth: f64) -> Outcome {
        let counting = self.counting();
        let paid = Self {
            prices: self
                .prices
                .iter()
                .map(|price| price + worth / self.stock as f64)
                .collect(),
            ..self.clone()
        };
        let (mut next, mut earned, mut sold) = (paid.end(), self.end(), counting.end());
        let mut rungs = Vec::new();
        for left in 1..=self.periods {
            rungs.clear();
            next = paid.before(left, &next, |last, _, worth| {
                let (rung, value) = paid.best(last, worth);
                rungs.push(rung);
                value
            });
            let played = |last: usize, stock: usize, worth: &dyn Fn(usize) -> f64| {
                worth(rungs[last * self.stock + stock - 1])
            };
            // Not as the difference to what is paid for sales: a large worth would swallow it.
            earned = self.before(left, &earned, played);
            sold = counting.before(left, &sold, played);
        }
        Outcome {
            earned: earned[earned.len() - 1],
            sold: sold[sold.len() - 1],
            first: rungs[rungs.len() - 1],
        }
    }
}
