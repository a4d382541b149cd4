//! Market F: perishable stock that is marked down towards its last day.

use super::checks::{affordable, field, not_negative};
use super::oracle::{Oracle, OracleError};
use super::poisson_season::PoissonSeason;
use super::search::best_index;
use super::season::{Moves, Season};
use super::sell_through::solutions;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Demand of day `t` is Poisson with mean `base_rate x day_weights[t] x exp(-elasticities[t] (p / price_scale - 1))`; what
/// is left at the end brings `salvage` a unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Markdown {
    /// Days.
    pub periods: usize,
    /// Units at the start.
    pub stock: usize,
    /// Mean demand of a day of weight 1 at `price_scale`.
    pub base_rate: f64,
    /// The price at which demand is `base_rate`.
    pub price_scale: f64,
    /// The ladder, rising.
    pub prices: Vec<f64>,
    /// Worth of a unit that was not sold.
    pub salvage: f64,
    /// Weight of each of the seven days of a week; it repeats.
    pub week_weights: Vec<f64>,
    /// The weights also fall on a line from the first of these to the second.
    pub trend: [f64; 2],
    /// Elasticities lie on a line from the first day's to the last's.
    pub elasticities: [f64; 2],
    /// Guardrail: prices may only fall.
    #[serde(default)]
    pub only_down: bool,
    /// Share of the stock that must be sold on average, salvage apart; absent: any.
    pub sell_through_min: Option<f64>,
}

/// Days of a week.
const WEEK: usize = 7;

impl Markdown {
    fn shared(&self) -> PoissonSeason<'_> {
        PoissonSeason {
            periods: self.periods,
            stock: self.stock,
            base_rate: self.base_rate,
            price_scale: self.price_scale,
            prices: &self.prices,
            sell_through_min: self.sell_through_min,
        }
    }

    pub(super) fn check(&self) -> Result<f64, OracleError> {
        self.shared().check()?;
        not_negative("salvage", self.salvage)?;
        let weights =
            self.week_weights.len() == WEEK && self.week_weights.iter().all(|w| *w >= 0.0 && w.is_finite());
        field(
            "week_weights",
            &self.week_weights,
            weights,
            "7 numbers, none negative",
        )?;
        field(
            "trend",
            self.trend,
            self.trend.iter().all(|x| *x >= 0.0 && x.is_finite()),
            "two numbers, not negative",
        )?;
        field(
            "elasticities",
            self.elasticities,
            self.elasticities.iter().all(|x| *x >= 0.0 && x.is_finite()),
            "two numbers, not negative",
        )?;
        let (rungs, stock) = (self.prices.len() as f64, self.stock as f64);
        // The best plan by the calendar tries every rung of every day, some four times over; where prices may only fall, half of
        // the rungs are left after each last one.
        let plans = 4.0 * self.periods as f64 * rungs;
        let down = (rungs + 1.0) * rungs / if self.only_down { 1.0 } else { 2.0 };
        let actions = plans + down + 3.0 * rungs + solutions(self.sell_through_min, self.prices.len());
        affordable(self.periods as f64 * stock, actions, stock / 2.0)
    }

    fn mean(&self, day: usize, price: f64) -> f64 {
        let share = day as f64 / (self.periods - 1).max(1) as f64;
        let line = |ends: [f64; 2]| ends[0] + (ends[1] - ends[0]) * share;
        let weight = self.week_weights[day % WEEK] * line(self.trend);
        self.base_rate * weight * (-line(self.elasticities) * (price / self.price_scale - 1.0)).exp()
    }

    /// The stock and its demand as tables; the day of the week is seen.
    pub(crate) fn season(&self) -> Result<Season, OracleError> {
        self.check()?;
        Ok(Season {
            moves: if self.only_down { Moves::Down } else { Moves::Free },
            salvage: self.salvage,
            week: WEEK,
            ..self
                .shared()
                .tables(self.periods, |day, price| self.mean(day, price))
        })
    }

    /// Backward induction over (days left, stock), for `only_down` over the last rung besides.
    ///
    /// # Errors
    /// When a parameter makes no market, or the market is too large.
    pub fn oracle(&self) -> Result<Oracle, OracleError> {
        let season = self.season()?;
        let free = season.unguarded();
        let down = Season {
            moves: Moves::Down,
            ..season.clone()
        };
        season.oracle(BTreeMap::from([
            ("free", free.optimum().0),
            ("only_down", down.optimum().0),
            ("myopic", free.myopic(|day, price| self.mean(day, price))),
            ("open_loop", self.open_loop(&free)),
            ("fluid_daily", self.fluid_daily(&free)),
            ("halving_ladder", self.halving_ladder(&free)),
        ]))
    }

    /// Prices by the calendar, whatever sells: the best that changing one day at a time finds, from the best fixed price.
    fn open_loop(&self, season: &Season) -> f64 {
        let value = |plan: &[usize]| season.value(|left, _, _, worth| worth(plan[self.periods - left]));
        let rungs = self.prices.len();
        let mut plan = vec![best_index(rungs, |rung| season.fixed(rung)); self.periods];
        let mut most = value(&plan);
        loop {
            let before = most;
            for day in 0..self.periods {
                for rung in 0..rungs {
                    let kept = std::mem::replace(&mut plan[day], rung);
                    let here = value(&plan);
                    if here > most {
                        most = here;
                    } else {
                        plan[day] = kept;
                    }
                }
            }
            if most <= before * (1.0 + 1e-12) {
                return most;
            }
        }
    }

    /// Every day the single price that would earn most until the end if demand were its mean.
    fn fluid_daily(&self, season: &Season) -> f64 {
        let earns = |day: usize, stock: f64, price: f64| {
            let demand: f64 = (day..self.periods).map(|day| self.mean(day, price)).sum();
            let sold = demand.min(stock);
            price * sold + self.salvage * (stock - sold)
        };
        season.value(|left, _, stock, worth| {
            let day = self.periods - left;
            worth(best_index(self.prices.len(), |rung| {
                earns(day, stock as f64, self.prices[rung])
            }))
        })
    }

    /// The shop's habit: the highest price for half the days, 70 % of it for half of the rest, then 50 % and 30 %.
    fn halving_ladder(&self, season: &Season) -> f64 {
        let top = self.prices[self.prices.len() - 1];
        season.value(|left, _, _, worth| {
            let day = self.periods - left;
            let cuts = [self.periods / 2, self.periods * 3 / 4, self.periods * 7 / 8];
            let level = top * [1.0, 0.7, 0.5, 0.3][cuts.iter().filter(|cut| day >= **cut).count()];
            worth(best_index(self.prices.len(), |rung| {
                -(self.prices[rung] - level).abs()
            }))
        })
    }
}
