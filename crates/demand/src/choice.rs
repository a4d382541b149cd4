//! Which item a visitor takes: a multinomial logit with shrunk slopes per category.
//!
//! Utility of item j in category c, with x the log price relative to base (clipped to the logged range) and r the
//! remembered price on the same scale:
//!
//! ```text
//! effect_j + loyalty_c L_j + last l_j + mailer_c m_j + display_c d_j + deep L_j ln(1 + choices) + taste' z (level_j)
//!     - price_c (1 + tilt_j) exp(bend' z) x_j - news (x_j - r_j)
//! ```
//!
//! With `price_c >= 0`, `tilt_j >= -1` and `news >= 0` it falls in the own price for every visit. Once the memory has
//! followed the price, `news` is gone: short- and long-run responses differ by it.

use crate::look::{AGENTS_MAX, Kind, Look, TASTE_LINES, TASTE_VALUE, TASTE_VISITS};
use crate::rows::CategoryRows;
use crate::solver::{Block, Likelihood, Parameters, Prior};

const LOYALTY: usize = 0;
const MAILER: usize = 1;
const DISPLAY: usize = 2;
const PRICE: usize = 3;
/// Shared slopes that categories are shrunk to come first; their local twins follow the item effects in this order, and
/// the items' tilts follow those.
const SLOPES: usize = 4;
const LAST: usize = 4;
const DEEP: usize = 5;
const NEWS: usize = 6;
const BEND: usize = 7;
const BENDS: [usize; 3] = [TASTE_VALUE, TASTE_LINES, TASTE_VISITS];
const LEVEL: usize = BEND + BENDS.len();
const LEVELS: [usize; 2] = [TASTE_VALUE, TASTE_LINES];
const SHARED: usize = LEVEL + LEVELS.len();
const DESIGN_MAX: usize = 2 * AGENTS_MAX + SLOPES + SHARED;

const EFFECT_RIDGE: f64 = 0.01;
/// Empirical-Bayes precision of price slopes between categories on the bundled data is 1.4.
const SLOPE_RIDGE: f64 = 1.0;
/// Of 4, 8, 16, 32 and no tilts at all, 8 gives later choices most probability: mean nats of `haggle fit` on the bundled weeks,
/// fitted on 1-15, 1-20, 1-25, 1-25, 1-30 and tested on 16-25, 21-30, 26-30, 31-40, 31-40. Two of the five prefer no tilts.
const TILT_RIDGE: f64 = 8.0;
/// No item is more than three times as sensitive as its category.
const TILT_MAX: f64 = 2.0;
const PROMOTION_RIDGE: f64 = 2.0;
const SHARED_RIDGE: f64 = 0.01;
const BEND_RIDGE: f64 = 20.0;
/// exp(+-1.5): no visit is more than 4.5 times as sensitive as the usual one.
const BEND_LIMIT: f64 = 1.5;

/// One training choice: a session that bought exactly one item of the category.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Occasion {
    pub row: u32,
    pub agent: u8,
}

/// The choice parameters of one category, ready for use.
pub(crate) struct Choice<'a> {
    agents: usize,
    local: &'a [f64],
    shared: &'a [f64],
}

impl<'a> Choice<'a> {
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

    /// How strongly the log odds of item `j` fall with its log price when its price stays, >= 0.
    pub fn slope_long(&self, look: &Look, j: usize) -> f64 {
        self.slope() * (1.0 + self.tilts()[j]) * self.bend(look)
    }

    /// The same for a price that differs from the remembered one.
    pub fn slope_short(&self, look: &Look, j: usize) -> f64 {
        self.slope_long(look, j) + self.shared[NEWS]
    }

    /// The slope of the category for a visit with average tastes.
    fn slope(&self) -> f64 {
        self.local[self.agents + PRICE]
    }

    /// By which share of the category's slope each item's differs from it.
    fn tilts(&self) -> &[f64] {
        &self.local[self.agents + SLOPES..]
    }

    fn bend(&self, look: &Look) -> f64 {
        let sum: f64 = BENDS
            .iter()
            .enumerate()
            .map(|(k, taste)| self.shared[BEND + k] * look.tastes[*taste])
            .sum();
        sum.clamp(-BEND_LIMIT, BEND_LIMIT).exp()
    }

    /// Utilities at base prices that are also the remembered ones.
    pub fn at_base(&self, kind: &Kind, look: &Look) -> [f64; AGENTS_MAX] {
        let slopes = &self.local[self.agents..];
        let deep = self.shared[DEEP] * look.total.ln_1p();
        let taste: f64 = LEVELS
            .iter()
            .enumerate()
            .map(|(k, taste)| self.shared[LEVEL + k] * look.tastes[*taste])
            .sum();
        let mut utility = [0.0; AGENTS_MAX];
        for (j, (place, item)) in utility.iter_mut().zip(&kind.items).enumerate() {
            let seen = &look.items[j];
            *place = self.local[j]
                + (slopes[LOYALTY] + deep) * seen.loyalty
                + self.shared[LAST] * seen.last
                + slopes[MAILER] * seen.mailer
                + slopes[DISPLAY] * seen.display
                + taste * item.level;
        }
        utility
    }

    /// Utilities at relative log prices `x`, from those at base prices.
    pub fn at(&self, base: &[f64; AGENTS_MAX], look: &Look, x: &[f64; AGENTS_MAX]) -> [f64; AGENTS_MAX] {
        let (slope, news) = (self.slope() * self.bend(look), self.shared[NEWS]);
        let mut utility = *base;
        for (j, tilt) in self.tilts().iter().enumerate() {
            utility[j] -= slope * (1.0 + tilt) * x[j] + news * (x[j] - look.items[j].reference);
        }
        utility
    }
}

/// Turns the first `agents` utilities into probabilities; gives the log of the sum of their exponentials.
pub(crate) fn softmax(utility: &mut [f64; AGENTS_MAX], agents: usize) -> f64 {
    let largest = utility[..agents]
        .iter()
        .copied()
        .fold(f64::NEG_INFINITY, f64::max);
    let mut total = 0.0;
    for u in &mut utility[..agents] {
        *u = (*u - largest).exp();
        total += *u;
    }
    for u in &mut utility[..agents] {
        *u /= total;
    }
    largest + total.ln()
}

/// The likelihood of many occasions.
pub(crate) struct ChoiceFit<'a> {
    pub kinds: &'a [Kind],
    pub rows: &'a [CategoryRows],
    /// Training occasions per category.
    pub occasions: &'a [Vec<Occasion>],
    /// Weight per row (session).
    pub weights: &'a [f64],
    /// Without prices, every price parameter stays 0.
    pub with_price: bool,
}

impl ChoiceFit<'_> {
    /// Where the optimiser starts.
    pub fn start(&self) -> Parameters {
        let mut shared = vec![0.0; SHARED];
        shared[LOYALTY] = 1.0;
        shared[PRICE] = 1.0;
        let local = self.kinds.iter().map(|kind| {
            let mut local: Vec<f64> = kind.items.iter().map(|item| item.share.ln()).collect();
            local.extend([1.0, 0.0, 0.0, 1.0]);
            local.resize(local.len() + kind.items.len(), 0.0);
            local
        });
        Parameters {
            local: local.collect(),
            shared,
        }
    }

    fn price(&self, prior: Prior) -> Prior {
        prior.within(0.0, if self.with_price { f64::INFINITY } else { 0.0 })
    }
}

impl Likelihood for ChoiceFit<'_> {
    fn name(&self) -> &'static str {
        "choice"
    }

    fn local(&self, group: usize) -> Vec<Prior> {
        let agents = self.kinds[group].items.len();
        let mut priors = vec![Prior::ridge(EFFECT_RIDGE); agents];
        priors.push(Prior::ridge(PROMOTION_RIDGE).around(LOYALTY));
        priors.push(Prior::ridge(PROMOTION_RIDGE).around(MAILER));
        priors.push(Prior::ridge(PROMOTION_RIDGE).around(DISPLAY));
        priors.push(self.price(Prior::ridge(SLOPE_RIDGE).around(PRICE)));
        let (low, high) = if self.with_price {
            (-1.0, TILT_MAX)
        } else {
            (0.0, 0.0)
        };
        priors.extend(vec![Prior::ridge(TILT_RIDGE).within(low, high); agents]);
        priors
    }

    fn shared(&self) -> Vec<Prior> {
        let mut priors = vec![Prior::ridge(SHARED_RIDGE); SHARED];
        priors[PRICE] = self.price(priors[PRICE]);
        priors[NEWS] = self.price(priors[NEWS]);
        let bend = if self.with_price { 1.0 } else { 0.0 };
        priors[BEND..LEVEL].fill(Prior::ridge(BEND_RIDGE).within(-bend, bend));
        priors
    }

    fn evaluate(&self, group: usize, local: &[f64], shared: &[f64], block: &mut Block) -> f64 {
        let (kind, rows) = (&self.kinds[group], &self.rows[group]);
        let agents = kind.items.len();
        let choice = Choice::new(local, shared, agents);
        let width = local.len() + shared.len();
        let mut design = [[0.0; DESIGN_MAX]; AGENTS_MAX];
        let mut loss = 0.0;
        for occasion in &self.occasions[group] {
            let row = occasion.row as usize;
            let weight = self.weights[row];
            if weight == 0.0 {
                continue;
            }
            let (look, x) = rows.look(row);
            let mut p = choice.at(&choice.at_base(kind, &look), &look, &x);
            let chosen = usize::from(occasion.agent);
            let utility = p[chosen];
            loss += weight * (softmax(&mut p, agents) - utility);

            let mut mean = [0.0; DESIGN_MAX];
            for j in 0..agents {
                choice.design(kind, &look, &x, j, &mut design[j]);
                for (sum, d) in mean[..width].iter_mut().zip(&design[j]) {
                    *sum += p[j] * d;
                }
            }
            block.add_gradient(weight, &mean[..width]);
            block.add_gradient(-weight, &design[chosen][..width]);
            for j in 0..agents {
                let mut centred = [0.0; DESIGN_MAX];
                for ((c, d), m) in centred[..width].iter_mut().zip(&design[j]).zip(&mean) {
                    *c = d - m;
                }
                block.add_information(weight * p[j], &centred[..width]);
            }
        }
        loss
    }
}

impl Choice<'_> {
    /// The derivative of the utility of item `j` by every parameter.
    fn design(&self, kind: &Kind, look: &Look, x: &[f64; AGENTS_MAX], j: usize, out: &mut [f64; DESIGN_MAX]) {
        let (own, agents) = (self.local.len(), self.agents);
        let (seen, bend) = (&look.items[j], self.bend(look));
        let tilted = (1.0 + self.tilts()[j]) * bend * x[j];
        out[..own].fill(0.0);
        out[j] = 1.0;
        out[agents + LOYALTY] = seen.loyalty;
        out[agents + MAILER] = seen.mailer;
        out[agents + DISPLAY] = seen.display;
        out[agents + PRICE] = -tilted;
        out[agents + SLOPES + j] = -self.slope() * bend * x[j];
        let shared = &mut out[own..own + SHARED];
        shared[LAST] = seen.last;
        shared[DEEP] = seen.loyalty * look.total.ln_1p();
        shared[NEWS] = seen.reference - x[j];
        for (k, taste) in BENDS.iter().enumerate() {
            shared[BEND + k] = -self.slope() * tilted * look.tastes[*taste];
        }
        for (k, taste) in LEVELS.iter().enumerate() {
            shared[LEVEL + k] = kind.items[j].level * look.tastes[*taste];
        }
    }
}

/// How many shared parameters there are, and how many per category.
pub(crate) fn shape(agents: &[usize]) -> (usize, Vec<usize>) {
    (SHARED, agents.iter().map(|count| 2 * count + SLOPES).collect())
}

/// Parameters of a known truth: item effects fall by .3 from item to item, tastes play no role.
#[cfg(test)]
pub(crate) fn known(
    kinds: &[Kind],
    price: &[f64],
    tilts: &[f64],
    loyalty: f64,
    mailer: f64,
    news: f64,
) -> Parameters {
    let mut shared = vec![0.0; SHARED];
    (shared[LOYALTY], shared[MAILER], shared[NEWS]) = (loyalty, mailer, news);
    let local = |(kind, price): (&Kind, &f64)| {
        let mut local: Vec<f64> = (0..kind.items.len()).map(|j| -0.3 * j as f64).collect();
        local.extend([loyalty, mailer, 0.5, *price]);
        local.extend(tilts);
        local
    };
    Parameters {
        shared,
        local: kinds.iter().zip(price).map(local).collect(),
    }
}

/// The estimates that [`known`] fixes: loyalty, and the price slope of each item.
#[cfg(test)]
pub(crate) fn estimates(parameters: &Parameters, category: usize, agents: usize) -> (f64, Vec<f64>) {
    let choice = Choice::of(parameters, category, agents);
    let slopes = choice.tilts().iter().map(|tilt| choice.slope() * (1.0 + tilt));
    (choice.local[agents + LOYALTY], slopes.collect())
}
