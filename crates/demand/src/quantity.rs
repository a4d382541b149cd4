//! How many units a purchase has: 1 + Poisson(rate), `ln rate = effect_j + level_c + shared' s - kappa_c x_j`, kappa >= 0.

use crate::look::{AGENTS_MAX, ItemLook, Kind, Look};
use crate::rows::CategoryRows;
use crate::solver::{Block, Likelihood, Parameters, Prior};

/// After the item effects.
const LEVEL: usize = 0;
const KAPPA: usize = 1;
const LOCAL: usize = 2;
const SHARED_KAPPA: usize = 0;
const MAILER: usize = 1;
const DISPLAY: usize = 2;
const LOYALTY: usize = 3;
const TASTE: usize = 4;
/// Only the user's features, not hour and weekday.
const TASTES_USED: usize = 4;
const SHARED: usize = TASTE + TASTES_USED;
const DESIGN_MAX: usize = AGENTS_MAX + LOCAL + SHARED;

const EFFECT_RIDGE: f64 = 1.0;
const LEVEL_RIDGE: f64 = 0.01;
const KAPPA_RIDGE: f64 = 4.0;
const SHARED_RIDGE: f64 = 0.1;
/// No purchase has more than 1 + exp(3) = 21 units on average.
const LOG_RATE_MAX: f64 = 3.0;

/// One purchase line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Purchase {
    pub row: u32,
    pub agent: u8,
    /// Units beyond the first.
    pub extra: u32,
}

/// The quantity parameters of one category, ready for use.
pub(crate) struct Quantity<'a> {
    agents: usize,
    local: &'a [f64],
    shared: &'a [f64],
}

impl<'a> Quantity<'a> {
    pub fn of(parameters: &'a Parameters, category: usize, agents: usize) -> Self {
        Self::new(&parameters.local[category], &parameters.shared, agents)
    }

    fn new(local: &'a [f64], shared: &'a [f64], agents: usize) -> Self {
        Self {
            agents,
            local,
            shared,
        }
    }

    /// Expected units beyond the first of a purchase of item `j` at relative log price `x`.
    pub fn rate(&self, look: &Look, j: usize, x: f64) -> f64 {
        let seen = &look.items[j];
        let tastes: f64 = self.shared[TASTE..]
            .iter()
            .zip(&look.tastes)
            .map(|(slope, taste)| slope * taste)
            .sum();
        let log = self.local[j] + self.local[self.agents + LEVEL] - self.kappa() * x
            + self.shared[MAILER] * seen.mailer
            + self.shared[DISPLAY] * seen.display
            + self.shared[LOYALTY] * seen.loyalty
            + tastes;
        log.min(LOG_RATE_MAX).exp()
    }

    /// How strongly the log rate falls with the log price, >= 0.
    pub fn kappa(&self) -> f64 {
        self.local[self.agents + KAPPA]
    }

    fn design(&self, look: &Look, j: usize, x: f64, out: &mut [f64; DESIGN_MAX]) {
        let (own, agents) = (self.local.len(), self.agents);
        let ItemLook {
            loyalty,
            mailer,
            display,
            ..
        } = look.items[j];
        out[..agents].fill(0.0);
        out[j] = 1.0;
        out[agents + LEVEL] = 1.0;
        out[agents + KAPPA] = -x;
        let shared = &mut out[own..own + SHARED];
        shared[SHARED_KAPPA] = 0.0;
        shared[MAILER] = mailer;
        shared[DISPLAY] = display;
        shared[LOYALTY] = loyalty;
        shared[TASTE..].copy_from_slice(&look.tastes[..TASTES_USED]);
    }
}

/// The likelihood of the units of all training purchases.
pub(crate) struct QuantityFit<'a> {
    pub kinds: &'a [Kind],
    pub rows: &'a [CategoryRows],
    /// Training purchases per category.
    pub purchases: &'a [Vec<Purchase>],
    /// Weight per row.
    pub weights: &'a [f64],
}

impl QuantityFit<'_> {
    /// Where the optimiser starts.
    pub fn start(&self) -> Parameters {
        let of = |(kind, purchases): (&Kind, &Vec<Purchase>)| {
            let extra: f64 = purchases.iter().map(|purchase| f64::from(purchase.extra)).sum();
            let mut local = vec![0.0; kind.items.len()];
            local.extend([((extra + 0.5) / (purchases.len() as f64 + 1.0)).ln(), 0.5]);
            local
        };
        let mut shared = vec![0.0; SHARED];
        shared[SHARED_KAPPA] = 0.5;
        Parameters {
            shared,
            local: self.kinds.iter().zip(self.purchases).map(of).collect(),
        }
    }
}

impl Likelihood for QuantityFit<'_> {
    fn name(&self) -> &'static str {
        "quantity"
    }

    fn local(&self, group: usize) -> Vec<Prior> {
        let mut priors = vec![Prior::ridge(EFFECT_RIDGE); self.kinds[group].items.len()];
        priors.push(Prior::ridge(LEVEL_RIDGE));
        priors.push(
            Prior::ridge(KAPPA_RIDGE)
                .around(SHARED_KAPPA)
                .within(0.0, f64::INFINITY),
        );
        priors
    }

    fn shared(&self) -> Vec<Prior> {
        let mut priors = vec![Prior::ridge(SHARED_RIDGE); SHARED];
        priors[SHARED_KAPPA] = priors[SHARED_KAPPA].within(0.0, f64::INFINITY);
        priors
    }

    fn evaluate(&self, group: usize, local: &[f64], shared: &[f64], block: &mut Block) -> f64 {
        let agents = self.kinds[group].items.len();
        let quantity = Quantity::new(local, shared, agents);
        let width = local.len() + shared.len();
        let mut design = [0.0; DESIGN_MAX];
        let mut loss = 0.0;
        for purchase in &self.purchases[group] {
            let row = purchase.row as usize;
            let weight = self.weights[row];
            if weight == 0.0 {
                continue;
            }
            let (look, x) = self.rows[group].look(row);
            let j = usize::from(purchase.agent);
            let (rate, y) = (quantity.rate(&look, j, x[j]), f64::from(purchase.extra));
            loss += weight * (rate - y * rate.ln());
            quantity.design(&look, j, x[j], &mut design);
            block.add_gradient(weight * (rate - y), &design[..width]);
            block.add_information(weight * rate, &design[..width]);
        }
        loss
    }
}

/// How many shared parameters there are, and how many per category.
pub(crate) fn shape(agents: &[usize]) -> (usize, Vec<usize>) {
    (SHARED, agents.iter().map(|count| count + LOCAL).collect())
}

/// Parameters of a known truth: one level and one kappa for all items.
#[cfg(test)]
pub(crate) fn known(kinds: &[Kind], level: f64, kappa: f64) -> Parameters {
    let mut shared = vec![0.0; SHARED];
    shared[SHARED_KAPPA] = kappa;
    let local = |kind: &Kind| {
        let mut local = vec![0.0; kind.items.len()];
        local.extend([level, kappa]);
        local
    };
    Parameters {
        shared,
        local: kinds.iter().map(local).collect(),
    }
}
