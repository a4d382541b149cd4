//! The strongest simple baseline: one price per item, for ever.

use crate::World;
use crate::replay_config::{Earning, ReplayError};
use haggle_core::{CategoryState, Guardrails, Loyalty, Mask, PriceMinor};
use haggle_demand::Response;
use rayon::prelude::*;
use std::ops::Range;

const SWEEPS_MAX: usize = 8;
const DOUBLINGS_MAX: u32 = 24;
const BISECTIONS: usize = 10;

/// What fixed prices are sought for.
#[derive(Clone, Debug)]
pub struct FixedPlan {
    /// The weeks whose sessions are looked at, first and one past the last.
    pub weeks: Range<u32>,
    /// What is to be large.
    pub reward: Earning,
    /// Upper limit of the price index of the logged baskets; `None`: no limit.
    pub price_index_limit: Option<f64>,
    /// Standing rules on prices.
    pub guardrails: Guardrails,
    /// Visits per category on which the expectation is taken, evenly spread over the weeks.
    pub visits: usize,
}

/// The best fixed prices that were found.
#[derive(Clone, Debug, PartialEq)]
pub struct FixedPrices {
    /// One rung per item, by global number.
    pub rungs: Vec<usize>,
    /// What one unit of money in the shoppers' basket costs in reward; 0 where the limit does not bind.
    pub multiplier: f64,
    /// The price index of the logged baskets at these prices.
    pub price_index: f64,
    /// Expected reward over the weeks, in major units.
    pub reward: f64,
}

/// Maximises the expected reward under the demand model's point estimate over one rung per item, the logged baskets'
/// price index at or below the limit: coordinate ascent per category at a given multiplier, bisection on the multiplier.
///
/// States are those of the log, but reference and last prices are set to the prices under trial: shoppers who only ever
/// see one price remember that one. Deterministic; the ascent can stop at a local optimum of a category.
///
/// # Errors
/// When the weeks hold no sessions, an item has no allowed price, or no prices keep the limit.
pub fn best_fixed(world: &World, plan: &FixedPlan) -> Result<FixedPrices, ReplayError> {
    let masks = world.masks(&plan.guardrails)?;
    let sessions = world.replay().sessions_in(&plan.weeks);
    if sessions.is_empty() || plan.visits == 0 {
        return Err(ReplayError::Sessions {
            first: plan.weeks.start,
            last: plan.weeks.end.saturating_sub(1),
            found: sessions.len(),
        });
    }
    let shelves: Vec<ShelfTrial<'_>> = (0..world.catalog().categories().len())
        .into_par_iter()
        .map(|category| ShelfTrial::new(world, plan, category, sessions.clone(), &masks))
        .collect();
    let posted: f64 = shelves.iter().map(|shelf| shelf.posted).sum();
    let solve = |multiplier: f64, from: Option<&Solution>| -> Solution {
        let best: Vec<(Vec<usize>, f64)> = shelves
            .par_iter()
            .enumerate()
            .map(|(category, shelf)| {
                shelf.ascend(multiplier, from.map(|from| from.rungs[category].as_slice()))
            })
            .collect();
        let basket: f64 = shelves
            .iter()
            .zip(&best)
            .map(|(shelf, best)| shelf.basket(&best.0))
            .sum();
        Solution {
            multiplier,
            price_index: if posted > 0.0 { basket / posted } else { 1.0 },
            reward: best.iter().map(|best| best.1).sum(),
            rungs: best.into_iter().map(|best| best.0).collect(),
        }
    };
    let limit = plan.price_index_limit.unwrap_or(f64::INFINITY);
    let free = solve(0.0, None);
    if free.price_index <= limit {
        return Ok(free.flat());
    }
    let mut low = 0.0;
    let mut kept = (0..DOUBLINGS_MAX)
        .map(|power| solve(0.125 * 2f64.powi(power as i32), Some(&free)))
        .inspect(|solution| {
            if solution.price_index > limit {
                low = solution.multiplier;
            }
        })
        .find(|solution| solution.price_index <= limit)
        .ok_or_else(|| {
            ReplayError::Config(format!(
                "no fixed prices keep the price index at or below {limit}"
            ))
        })?;
    let mut high = kept.multiplier;
    for _ in 0..BISECTIONS {
        let middle = f64::midpoint(low, high);
        let solution = solve(middle, Some(&kept));
        if solution.price_index <= limit {
            high = middle;
            if solution.reward >= kept.reward {
                kept = solution;
            }
        } else {
            low = middle;
        }
    }
    Ok(kept.flat())
}

struct Solution {
    multiplier: f64,
    price_index: f64,
    reward: f64,
    rungs: Vec<Vec<usize>>,
}

impl Solution {
    fn flat(self) -> FixedPrices {
        FixedPrices {
            rungs: self.rungs.concat(),
            multiplier: self.multiplier,
            price_index: self.price_index,
            reward: self.reward,
        }
    }
}

/// One category's sampled visits, on which prices are tried.
struct ShelfTrial<'a> {
    world: &'a World,
    category: usize,
    visits: Vec<(usize, CategoryState, Loyalty)>,
    masks: &'a [Mask],
    costs: Vec<f64>,
    /// Visits in the weeks per sampled visit.
    weight: f64,
    /// Logged units per agent.
    bought: Vec<f64>,
    /// What they cost at posted prices, in minor units.
    posted: f64,
}

impl<'a> ShelfTrial<'a> {
    fn new(
        world: &'a World,
        plan: &FixedPlan,
        category: usize,
        sessions: Range<usize>,
        masks: &'a [Mask],
    ) -> Self {
        let items = world.catalog().categories()[category].items.clone();
        let sample = plan.visits.min(sessions.len());
        let visits = (0..sample)
            .map(|number| {
                let session = sessions.start + number * sessions.len() / sample;
                let mut state = CategoryState { items: Vec::new() };
                let mut loyalty = Loyalty::default();
                world.logged_state(category, session, &mut state);
                if let Some(user) = world.replay().sessions[session].user {
                    world.logged_loyalty(category, user, session, &mut loyalty);
                }
                (session, state, loyalty)
            })
            .collect();
        let mut bought = vec![0.0; items.len()];
        let mut posted = 0.0;
        for session in sessions.clone() {
            let shelf = world.shelf(session, category);
            for line in world.replay().bought(session, category) {
                let agent = usize::from(line.agent);
                bought[agent] += f64::from(line.units);
                posted += f64::from(line.units) * shelf[agent].posted_minor.as_f64();
            }
        }
        let cost = |item: &haggle_core::Item| match plan.reward {
            Earning::Margin => item.cost_minor.map_or(0.0, PriceMinor::as_f64),
            Earning::Revenue => 0.0,
        };
        Self {
            world,
            category,
            visits,
            masks: &masks[items],
            costs: world.catalog().items_of(category).iter().map(cost).collect(),
            weight: sessions.len() as f64 / sample as f64,
            bought,
            posted,
        }
    }

    fn price(&self, agent: usize, rung: usize) -> f64 {
        self.world.catalog().items_of(self.category)[agent]
            .ladder
            .price(rung)
            .as_f64()
    }

    /// What the logged baskets would cost, in minor units.
    fn basket(&self, rungs: &[usize]) -> f64 {
        let each = rungs.iter().enumerate();
        each.map(|(agent, rung)| self.bought[agent] * self.price(agent, *rung))
            .sum()
    }

    /// Expected reward over the weeks in major units.
    fn reward(&self, rungs: &[usize]) -> f64 {
        let prices: Vec<f64> = rungs
            .iter()
            .enumerate()
            .map(|(agent, rung)| self.price(agent, *rung))
            .collect();
        let mut response = vec![Response::default(); prices.len()];
        let mut steady = CategoryState { items: Vec::new() };
        let mut total = 0.0;
        for (session, state, loyalty) in &self.visits {
            steady.items.clone_from(&state.items);
            for (item, price) in steady.items.iter_mut().zip(&prices) {
                item.reference_minor = *price as f32;
                item.last_minor = *price as f32;
            }
            let visit = self.world.visit(*session, self.category, &steady, loyalty);
            self.world.demand().respond(&visit, &prices, 0, &mut response);
            for ((response, price), cost) in response.iter().zip(&prices).zip(&self.costs) {
                total += response.purchases * response.units * (price - cost);
            }
        }
        total * self.weight / 100.0
    }

    /// The best rungs at a multiplier, and their reward without it.
    fn ascend(&self, multiplier: f64, from: Option<&[usize]>) -> (Vec<usize>, f64) {
        let items = self.world.catalog().items_of(self.category);
        let base = |(item, mask): (&haggle_core::Item, &Mask)| {
            let distance = |rung: &usize| item.ladder.price(*rung).0.abs_diff(item.base_minor.0);
            mask.iter().min_by_key(distance).unwrap_or(0)
        };
        let mut rungs = match from {
            Some(rungs) => rungs.to_vec(),
            None => items.iter().zip(self.masks).map(base).collect(),
        };
        let value = |rungs: &[usize], reward: f64| reward - multiplier * self.basket(rungs) / 100.0;
        let mut reward = self.reward(&rungs);
        for _ in 0..SWEEPS_MAX {
            let mut moved = false;
            for agent in 0..rungs.len() {
                let before = rungs[agent];
                let mut best = (before, reward, value(&rungs, reward));
                for rung in self.masks[agent].iter().filter(|rung| *rung != before) {
                    rungs[agent] = rung;
                    let trial = self.reward(&rungs);
                    let worth = value(&rungs, trial);
                    if worth > best.2 + 1e-9 * best.2.abs() {
                        best = (rung, trial, worth);
                    }
                }
                rungs[agent] = best.0;
                reward = best.1;
                moved |= best.0 != before;
            }
            if !moved {
                break;
            }
        }
        (rungs, reward)
    }
}
