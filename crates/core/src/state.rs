use crate::{Catalog, PriceMinor};
use serde::{Deserialize, Serialize};

/// How fast the memories of a market fade. Part of the bundle, so that the daemon forgets as the environment did.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryRates {
    /// Weight of the newest price shown in an item's reference price, in (0, 1].
    pub reference: f32,
    /// Weight of the newest visit in an item's sales rate, in (0, 1].
    pub sales: f32,
    /// What remains of a user's earlier choices after one more choice, in [0, 1).
    pub loyalty_decay: f32,
}

impl Default for MemoryRates {
    fn default() -> Self {
        Self {
            reference: 0.005,
            sales: 0.005,
            loyalty_decay: 0.9,
        }
    }
}

/// What earlier visits left behind at one item.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemState {
    /// Exponentially fading mean of the prices shown: what shoppers remember as normal.
    pub reference_minor: f32,
    /// The last price shown.
    pub last_minor: f32,
    /// Exponentially fading mean of the units sold per visit.
    pub sales_rate: f32,
    /// Share of the initial stock that is left; 1 where stock is not modelled.
    pub stock_left: f32,
}

/// The state of a category: one entry per item, in agent order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CategoryState {
    /// One entry per item.
    pub items: Vec<ItemState>,
}

impl CategoryState {
    /// The state before anything happened: base prices, the usual sales, full stock.
    #[must_use]
    pub fn initial(catalog: &Catalog, category: usize) -> Self {
        let of = |item: &crate::Item| ItemState {
            reference_minor: item.base_minor.0 as f32,
            last_minor: item.base_minor.0 as f32,
            sales_rate: item.traits.sales_rate,
            stock_left: 1.0,
        };
        Self {
            items: catalog.items_of(category).iter().map(of).collect(),
        }
    }

    /// A price was shown to one more visit.
    pub fn on_shown(&mut self, agent: usize, price: PriceMinor, rates: &MemoryRates) {
        let item = &mut self.items[agent];
        item.reference_minor += rates.reference * (price.0 as f32 - item.reference_minor);
        item.last_minor = price.0 as f32;
        item.sales_rate *= 1.0 - rates.sales;
    }

    /// Units were bought at the visit that [`CategoryState::on_shown`] opened.
    pub fn on_bought(&mut self, agent: usize, units: u32, rates: &MemoryRates) {
        self.items[agent].sales_rate += rates.sales * units as f32;
    }
}

/// What one user chose before in one category.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Loyalty {
    /// Fading count of choices per item, in agent order; empty before the first choice.
    pub counts: Vec<f32>,
    /// The agent number of the last choice.
    pub last: Option<u8>,
}

impl Loyalty {
    /// The user chose one item of a category with `agents` items.
    pub fn on_chosen(&mut self, agent: usize, agents: usize, rates: &MemoryRates) {
        self.counts.resize(agents, 0.0);
        for count in &mut self.counts {
            *count *= rates.loyalty_decay;
        }
        self.counts[agent] += 1.0;
        self.last = u8::try_from(agent).ok();
    }

    /// The fading number of choices of one item.
    #[must_use]
    pub fn count(&self, agent: usize) -> f32 {
        self.counts.get(agent).copied().unwrap_or(0.0)
    }

    /// The fading number of choices in the category.
    #[must_use]
    pub fn total(&self) -> f32 {
        self.counts.iter().sum()
    }

    /// Log of the smoothed share of one of `agents` items among the choices; the prior weighs 1.5 choices, spread evenly.
    #[must_use]
    pub fn log_share(&self, agent: usize, agents: usize) -> f32 {
        const PRIOR_CHOICES: f32 = 1.5;
        ((self.count(agent) + PRIOR_CHOICES / agents as f32) / (self.total() + PRIOR_CHOICES)).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loyalty_fades_by_the_decay_at_each_choice() {
        let mut loyalty = Loyalty::default();
        let rates = MemoryRates {
            loyalty_decay: 0.5,
            ..MemoryRates::default()
        };
        assert!((loyalty.log_share(0, 4) - 0.25f32.ln()).abs() < 1e-6);
        loyalty.on_chosen(0, 2, &rates);
        loyalty.on_chosen(1, 2, &rates);
        assert_eq!(loyalty.counts, [0.5, 1.0]);
        assert_eq!(loyalty.last, Some(1));
    }
}
