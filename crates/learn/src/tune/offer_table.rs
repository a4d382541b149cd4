use crate::LearnError;
use crate::distribution::push_log_uniform;
use crate::normaliser::Frozen;
use haggle_core::{Catalog, Mask, Offer};
use haggle_policy::Bundle;
use std::collections::BTreeMap;
use tch::Tensor;

/// Money in learning is in major units.
const MINOR: f64 = 100.0;

/// Logged offers as learning sees them: one row per offer, in the order of the log.
#[derive(Debug)]
pub(crate) struct OfferTable {
    pub(crate) rows: usize,
    pub(crate) rungs: usize,
    /// Normalised observations, rows x width.
    pub(crate) obs: Vec<f32>,
    /// Log of the uniform distribution over the allowed rungs, rows x rungs.
    pub(crate) log_uniform: Vec<f32>,
    pub(crate) rung: Vec<u8>,
    pub(crate) propensity: Vec<f32>,
    /// Own value mixed with that of the whole occasion (all offers of a session in a category).
    pub(crate) reward: Vec<f64>,
    /// Mean reward of the row's item, away from 0: the unit in which price effects are compared between items.
    pub(crate) scale: Vec<f64>,
    /// What the shopper's budget loses at each rung, rows x rungs: usual units x (price - limit x posted).
    pub(crate) cost: Vec<f32>,
    /// Log of each rung's price relative to the item's base price, rows x rungs.
    pub(crate) price_log: Vec<f32>,
    /// Price of each rung in money, rows x rungs.
    pub(crate) price: Vec<f32>,
    pub(crate) posted: Vec<f64>,
    pub(crate) units: Vec<f64>,
    /// Half of the sessions: models are fitted on one half and used on the other.
    pub(crate) half: Vec<bool>,
    pub(crate) occasions: usize,
}

impl OfferTable {
    /// Reads the offers that carry a logged distribution; the others, and those of users who were held out, say nothing about
    /// other prices.
    ///
    /// # Errors
    /// When an offer does not fit the bundle's catalogue, ladder or features, or too few are left.
    pub(crate) fn new(incumbent: &Bundle, offers: &[Offer], common_share: f64) -> Result<Self, LearnError> {
        const ROWS_MIN: usize = 100;
        let catalog = &incumbent.terms().catalog;
        let drawn = |offer: &&Offer| offer.logged.is_some() && !offer.held_out();
        let logged: Vec<&Offer> = offers.iter().filter(drawn).collect();
        if logged.len() < ROWS_MIN {
            let text = format!(
                "{} offers with a logged distribution, at least {ROWS_MIN} are needed",
                logged.len()
            );
            return Err(LearnError::Log(text));
        }
        let items = logged
            .iter()
            .map(|offer| item_of(catalog, offer))
            .collect::<Result<Vec<_>, _>>()?;
        let (reward, occasions) = rewards(&logged, common_share);
        let halves = halves(&logged);
        let mut table = Self::empty(logged.len(), incumbent.manifest().rungs);
        table.scale = scales(&items, &reward, catalog.items().len());
        table.reward = reward;
        table.occasions = occasions;
        table.half = halves;
        let rates = unit_rates(&logged, &items, catalog.items().len());
        let limit = incumbent.terms().price_index_limit.unwrap_or(1.0);
        for (offer, item) in logged.iter().zip(&items) {
            table.push_offer(offer)?;
            table.push_prices(catalog, *item, offer, rates[*item], limit);
        }
        Ok(table)
    }

    /// Normalises the observations.
    pub(crate) fn normalised(mut self, eyes: &Frozen) -> Result<Self, LearnError> {
        let width = eyes.mean.len();
        if self.obs.len() != self.rows * width {
            let text = format!(
                "the log has {} features an offer, the policy expects {width}",
                self.obs.len() / self.rows
            );
            return Err(LearnError::Log(text));
        }
        let raw = std::mem::take(&mut self.obs);
        self.obs.reserve(raw.len());
        raw.chunks_exact(width)
            .for_each(|row| eyes.push(row, &mut self.obs));
        Ok(self)
    }

    fn empty(rows: usize, rungs: usize) -> Self {
        Self {
            rows,
            rungs,
            obs: Vec::new(),
            log_uniform: Vec::with_capacity(rows * rungs),
            rung: Vec::with_capacity(rows),
            propensity: Vec::with_capacity(rows),
            reward: Vec::new(),
            scale: Vec::new(),
            cost: Vec::with_capacity(rows * rungs),
            price_log: Vec::with_capacity(rows * rungs),
            price: Vec::with_capacity(rows * rungs),
            posted: Vec::with_capacity(rows),
            units: Vec::with_capacity(rows),
            half: Vec::new(),
            occasions: 0,
        }
    }

    fn push_offer(&mut self, offer: &Offer) -> Result<(), LearnError> {
        let Some(logged) = &offer.logged else {
            return Ok(());
        };
        let mask = logged.mask.and(Mask::all(self.rungs));
        let propensity = logged.propensity();
        if !mask.allows(usize::from(logged.rung)) || propensity <= 0.0 {
            let text = format!(
                "decision {}: rung {} was not allowed when it was drawn",
                logged.decision.0, logged.rung
            );
            return Err(LearnError::Log(text));
        }
        self.obs.extend_from_slice(&logged.features);
        push_log_uniform(mask, self.rungs, &mut self.log_uniform);
        self.rung.push(logged.rung);
        self.propensity.push(propensity as f32);
        self.units.push(f64::from(offer.units));
        self.posted.push(offer.posted_minor.as_f64() / MINOR);
        Ok(())
    }

    fn push_prices(&mut self, catalog: &Catalog, item: usize, offer: &Offer, rate: f64, limit: f64) {
        let item = &catalog.items()[item];
        let posted = offer.posted_minor.as_f64();
        for rung in 0..self.rungs {
            // Rungs beyond an item's own ladder are masked; they repeat its highest price.
            let price = item.ladder.price(rung.min(item.ladder.rungs() - 1)).as_f64();
            self.cost.push((rate * (price - limit * posted) / MINOR) as f32);
            self.price_log
                .push((price / item.base_minor.as_f64()).ln() as f32);
            self.price.push((price / MINOR) as f32);
        }
    }

    /// A rows x columns tensor of one of the buffers.
    pub(crate) fn tensor(&self, numbers: &[f32]) -> Tensor {
        Tensor::from_slice(numbers).view([self.rows as i64, (numbers.len() / self.rows) as i64])
    }

    /// What the logged baskets would cost at the expected prices of a policy / at the posted prices. 1 if nothing sold.
    pub(crate) fn price_index(&self, probabilities: &[f32]) -> f64 {
        let (mut at_policy, mut at_posted) = (0.0, 0.0);
        for row in (0..self.rows).filter(|row| self.units[*row] > 0.0) {
            let of = |numbers: &[f32]| numbers[row * self.rungs..][..self.rungs].to_vec();
            let mean: f64 = of(probabilities)
                .iter()
                .zip(of(&self.price))
                .map(|(p, price)| f64::from(*p) * f64::from(price))
                .sum();
            at_policy += self.units[row] * mean;
            at_posted += self.units[row] * self.posted[row];
        }
        if at_posted > 0.0 {
            at_policy / at_posted
        } else {
            1.0
        }
    }
}

fn item_of(catalog: &Catalog, offer: &Offer) -> Result<usize, LearnError> {
    let unknown = || LearnError::Log(format!("item `{}` is not in the bundle's catalogue", offer.item));
    catalog.find(&offer.item).ok_or_else(unknown)
}

fn occasion<'a>(offer: &&'a Offer) -> (&'a str, &'a str) {
    (&offer.session, &offer.category)
}

/// `(1 - share) own + share x occasion`, as environments mix rewards; and how many occasions there are.
fn rewards(offers: &[&Offer], common_share: f64) -> (Vec<f64>, usize) {
    let mut totals = BTreeMap::new();
    for offer in offers {
        *totals.entry(occasion(offer)).or_insert(0.0) += offer.value_minor as f64;
    }
    let of = |offer: &&Offer| {
        let total = totals.get(&occasion(offer)).copied().unwrap_or(0.0);
        ((1.0 - common_share) * offer.value_minor as f64 + common_share * total) / MINOR
    };
    (offers.iter().map(of).collect(), totals.len())
}

fn scales(items: &[usize], rewards: &[f64], count: usize) -> Vec<f64> {
    let (mut sums, mut rows) = (vec![0.0; count], vec![0.0; count]);
    for (item, reward) in items.iter().zip(rewards) {
        sums[*item] += reward;
        rows[*item] += 1.0;
    }
    let overall = rewards.iter().sum::<f64>().abs() / rewards.len() as f64;
    let of = |item: &usize| 0.9 * (sums[*item] / rows[*item]).abs() + 0.1 * overall + 1e-6;
    items.iter().map(of).collect()
}

/// Units of each item per offer of it.
fn unit_rates(offers: &[&Offer], items: &[usize], count: usize) -> Vec<f64> {
    let (mut units, mut rows) = (vec![0.0; count], vec![0.0f64; count]);
    for (offer, item) in offers.iter().zip(items) {
        units[*item] += f64::from(offer.units);
        rows[*item] += 1.0;
    }
    units
        .iter()
        .zip(&rows)
        .map(|(units, rows)| units / rows.max(1.0))
        .collect()
}

/// Every second session, in order of name.
fn halves(offers: &[&Offer]) -> Vec<bool> {
    let mut sessions: Vec<&str> = offers.iter().map(|offer| offer.session.as_str()).collect();
    sessions.sort_unstable();
    sessions.dedup();
    let odd = |offer: &&Offer| {
        sessions
            .binary_search(&offer.session.as_str())
            .is_ok_and(|n| n % 2 == 1)
    };
    offers.iter().map(odd).collect()
}
