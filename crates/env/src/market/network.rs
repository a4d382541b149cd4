//! Market B3: products that share resources, one shopper at a time (Gallego and van Ryzin 1997).

use super::checks::{affordable, count, field, ladder, share, storable};
use super::itinerary::Itineraries;
use super::oracle::{Oracle, OracleError};
use super::packing::Packing;
use super::search::best_index;
use haggle_core::LADDER_RUNGS_MAX;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Ties between prices at the worths of the linear programme: closer than this, relative.
const TIE: f64 = 1e-7;

/// Every period at most one shopper comes, for product `j` with probability `arrival_rate[j]`, and buys at its price `k`
/// with probability `probabilities[j][k]`. A product may also be closed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Periods of the season.
    pub periods: usize,
    /// Units of each resource at the start.
    pub stock: Vec<usize>,
    /// Units of each resource that a product takes.
    pub uses: Vec<Vec<usize>>,
    /// Probability of a shopper for each product in a period; together at most 1.
    pub arrival_rate: Vec<f64>,
    /// The menu of each product, rising.
    pub prices: Vec<Vec<f64>>,
    /// Probability of a sale at each price of each product.
    pub probabilities: Vec<Vec<f64>>,
    /// How much of the mean revenue, instead of its own, a product's agent is paid (stepping only), in [0, 1].
    #[serde(default = "all")]
    pub common_share: f64,
}

fn all() -> f64 {
    1.0
}

impl Network {
    pub(super) fn check(&self) -> Result<f64, OracleError> {
        count("periods", self.periods)?;
        count("stock", self.stock.len())?;
        self.stock.iter().try_for_each(|units| count("stock", *units))?;
        let products = self.uses.len();
        let (one_each, whole) = (
            "one row per product, one number per resource, not all 0",
            self.stock.len(),
        );
        let sound = |row: &Vec<usize>| row.len() == whole && row.iter().any(|units| *units > 0);
        field(
            "uses",
            &self.uses,
            products > 0 && self.uses.iter().all(sound),
            one_each,
        )?;
        let rates = &self.arrival_rate;
        let chances =
            rates.iter().all(|rate| (0.0..=1.0).contains(rate)) && rates.iter().sum::<f64>() <= 1.0 + 1e-12;
        field(
            "arrival_rate",
            rates,
            rates.len() == products && chances && rates.iter().any(|rate| *rate > 0.0),
            "one probability per product, together above 0 and at most 1",
        )?;
        field(
            "prices",
            &self.prices,
            self.prices.len() == products,
            "one menu per product",
        )?;
        self.prices.iter().try_for_each(|menu| ladder(menu))?;
        let fits = |(chances, menu): (&Vec<f64>, &Vec<f64>)| {
            chances.len() == menu.len() && chances.iter().all(|chance| (0.0..=1.0).contains(chance))
        };
        let sound =
            self.probabilities.len() == products && self.probabilities.iter().zip(&self.prices).all(fits);
        field(
            "probabilities",
            &self.probabilities,
            sound,
            "one probability in [0, 1] per price",
        )?;
        share("common_share", self.common_share)?;
        let states: f64 = self.stock.iter().map(|units| *units as f64 + 1.0).product();
        storable(states)?;
        // Every choice of fixed prices is valued, and so are the myopic and the bid prices; the optimum and equal chances look
        // at every price.
        let menus = self.prices.iter().map(Vec::len);
        let plans = menus.clone().map(|menu| menu as f64).product::<f64>() + 2.0;
        let actions = plans * products as f64 + 2.0 * menus.sum::<usize>() as f64;
        affordable(states * self.periods as f64, actions, 2.0)
    }

    /// Tables for stepping; menus are filled up with "closed" to the same length.
    pub(crate) fn itineraries(&self) -> Result<Itineraries, OracleError> {
        self.check()?;
        let rungs = self.prices.iter().map(Vec::len).max().unwrap_or(0) + 1;
        field(
            "prices",
            rungs,
            rungs <= LADDER_RUNGS_MAX,
            "menus of at most 63 prices to step through",
        )?;
        Ok(Itineraries::new(self, rungs))
    }

    /// Backward induction over (periods left, units of each resource), and the fluid linear programme.
    ///
    /// # Errors
    /// When a parameter makes no market, or the market is too large.
    pub fn oracle(&self) -> Result<Oracle, OracleError> {
        let game = self.itineraries()?;
        // Earnings of one shopper for a product at a price, when the units she takes are worth `worth`.
        let gain = |product: usize, rung: usize, worth: f64| {
            self.probabilities[product][rung] * (self.prices[product][rung] - worth)
        };
        let menu = |product: usize| self.prices[product].len();
        // The start is looked at last, so that its prices stay.
        let first = RefCell::new(vec![None; self.prices.len()]);
        let best = |product: usize, worth: f64| {
            let rung = best_index(menu(product), |rung| gain(product, rung, worth));
            let gained = gain(product, rung, worth);
            first.borrow_mut()[product] = (gained > 0.0).then(|| self.prices[product][rung]);
            gained.max(0.0)
        };
        let always = |plan: &[usize]| game.value(|product, worth| gain(product, plan[product], worth));
        let plans = plans(
            &self
                .prices
                .iter()
                .map(|menu| (0..menu.len()).collect())
                .collect::<Vec<_>>(),
        );
        let values: Vec<f64> = plans.iter().map(|plan| always(plan)).collect();
        let fixed = best_index(plans.len(), |n| values[n]);
        let greedy: Vec<usize> = (0..self.prices.len())
            .map(|product| best_index(menu(product), |rung| gain(product, rung, 0.0)))
            .collect();
        let random = game.value(|product, worth| {
            (0..menu(product))
                .map(|rung| gain(product, rung, worth))
                .sum::<f64>()
                / menu(product) as f64
        });
        let (lp, worths) = self.fluid()?;
        // The worths often leave several prices equally good; the least of their values is what such a policy is sure of.
        let bids = self::plans(&self.bids(&worths));
        let bid = bids.iter().map(|plan| {
            game.value(|product, worth| match plan[product] {
                rung if rung < menu(product) => gain(product, rung, worth),
                _ => 0.0,
            })
        });
        let prices: Vec<f64> = plans[fixed]
            .iter()
            .zip(&self.prices)
            .map(|(rung, menu)| menu[*rung])
            .collect();
        let v_star = game.value(best);
        let first = first.into_inner();
        Ok(Oracle {
            v_star,
            v_fixed: values[fixed],
            fixed_price: prices[0],
            fixed_prices: Some(prices),
            first_action: first[0],
            first_actions: Some(first),
            references: BTreeMap::from([
                ("lp", lp),
                ("bid_price", bid.fold(f64::INFINITY, f64::min)),
                ("myopic", always(&greedy)),
                ("uniform_random", random),
            ]),
            equilibrium: None,
        })
    }

    /// The fluid optimum and the worth of a unit of each resource.
    fn fluid(&self) -> Result<(f64, Vec<f64>), OracleError> {
        let products = self.prices.len();
        let columns: Vec<(usize, usize)> = (0..products)
            .flat_map(|product| (0..self.prices[product].len()).map(move |rung| (product, rung)))
            .collect();
        let sales = |(product, rung): (usize, usize)| {
            self.periods as f64 * self.arrival_rate[product] * self.probabilities[product][rung]
        };
        let gains: Vec<f64> = columns
            .iter()
            .map(|&(j, k)| sales((j, k)) * self.prices[j][k])
            .collect();
        let taken = |resource: usize| {
            let each = columns.iter();
            each.map(|&(j, k)| sales((j, k)) * self.uses[j][resource] as f64)
                .collect::<Vec<f64>>()
        };
        let shares = |product: usize| {
            let each = columns.iter();
            each.map(|(j, _)| f64::from(u8::from(*j == product)))
                .collect::<Vec<f64>>()
        };
        let rows: Vec<Vec<f64>> = (0..self.stock.len())
            .map(taken)
            .chain((0..products).map(shares))
            .collect();
        let limits: Vec<f64> = self
            .stock
            .iter()
            .map(|units| *units as f64)
            .chain((0..products).map(|_| 1.0))
            .collect();
        let packing = Packing::solve(&gains, &rows, &limits)?;
        Ok((packing.value, packing.worths[..self.stock.len()].to_vec()))
    }

    /// The rungs of each product that are best when a unit of each resource is worth so much; the length of the menu stands for
    /// "closed", which no price that covers the worth of its units is.
    fn bids(&self, worths: &[f64]) -> Vec<Vec<usize>> {
        let taken = |product: usize| -> f64 {
            self.uses[product]
                .iter()
                .zip(worths)
                .map(|(units, worth)| *units as f64 * worth)
                .sum()
        };
        let bid = |product: usize| {
            let gains: Vec<f64> = self.prices[product]
                .iter()
                .zip(&self.probabilities[product])
                .map(|(price, chance)| chance * (price - taken(product)))
                .collect();
            let most = gains.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            if most < -TIE * taken(product) {
                return vec![gains.len()];
            }
            let tied = (0..gains.len()).filter(|n| gains[*n] >= most - TIE * (1.0 + most));
            tied.collect()
        };
        (0..self.prices.len()).map(bid).collect()
    }
}

/// Every way to take one of each list.
fn plans(lists: &[Vec<usize>]) -> Vec<Vec<usize>> {
    lists.iter().fold(vec![Vec::new()], |plans, list| {
        let longer = |plan: &Vec<usize>| {
            list.iter()
                .map(|n| [plan.as_slice(), &[*n]].concat())
                .collect::<Vec<_>>()
        };
        plans.iter().flat_map(longer).collect()
    })
}
