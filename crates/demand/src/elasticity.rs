use crate::choice::Choice;
use crate::look::{AGENTS_MAX, ItemLook, Kind, Look, TASTES};
use crate::model::{DemandModel, Member};
use crate::quantity::Quantity;
use crate::visit;
use serde::{Deserialize, Serialize};

/// A number with the central 95 % of its draws (members of the ensemble, resampled users).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The point estimate.
    pub point: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Interval {
    /// A point with the central 95 % of `draws`; the point itself when there are none.
    #[must_use]
    pub fn of(point: f64, mut draws: Vec<f64>) -> Self {
        draws.sort_by(f64::total_cmp);
        let Some(last) = draws.len().checked_sub(1) else {
            return Self {
                point,
                low: point,
                high: point,
            };
        };
        let at = |share: f64| draws[(last as f64 * share).round() as usize];
        Self {
            point,
            low: at(0.025),
            high: at(0.975),
        }
    }

    /// Whether a value lies inside.
    #[must_use]
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }
}

/// How expected units of a category's items respond to prices: of a usual visitor without history, at base prices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CategoryElasticity {
    /// The category.
    pub category: String,
    /// Of an item's units by its own price, right after a change; the mean over items by expected units.
    pub own_short: Interval,
    /// The same once the remembered price has followed.
    pub own_long: Interval,
    /// Of the category's units when all its prices move together, for good.
    pub together: Interval,
}

impl DemandModel {
    /// The elasticities of every category.
    #[must_use]
    pub fn elasticities(&self) -> Vec<CategoryElasticity> {
        let of = |(category, kind): (usize, &Kind)| {
            let values: Vec<[f64; 3]> = self
                .content
                .members
                .iter()
                .map(|member| member.elasticity(category, kind))
                .collect();
            let interval = |which: usize| {
                Interval::of(
                    values[0][which],
                    values.iter().map(|value| value[which]).collect(),
                )
            };
            CategoryElasticity {
                category: kind.name.clone(),
                own_short: interval(0),
                own_long: interval(1),
                together: interval(2),
            }
        };
        self.content.kinds.iter().enumerate().map(of).collect()
    }
}

impl Member {
    /// What the category loses per unit of an item's own revenue and log price ([`haggle_core::ItemTraits`]), for a usual
    /// visitor without history at base prices, once the remembered price has followed: the own loss
    /// `b [(1 - s) + e s] + kappa rate / (1 + rate)` less what rivals gain, `b (1 - e) sum s_j p_j / p` over the others,
    /// with `e = g (1 - P)` the part of the response that leaves the category.
    pub(crate) fn revenue_slopes(&self, category: usize, kind: &Kind) -> Vec<f64> {
        let look = newcomer();
        let agents = kind.items.len();
        let outlook = self.outlook(category, kind, &look, &[0.0; AGENTS_MAX]);
        let choice = Choice::of(&self.choice, category, agents);
        let kappa = Quantity::of(&self.quantity, category, agents).kappa();
        let escape = visit::outside(&self.visit, category) * (1.0 - outlook.visits);
        let worth =
            |j: usize| outlook.shares[j] * (1.0 + outlook.extra[j]) * f64::from(kind.items[j].base_minor);
        let all: f64 = (0..agents).map(worth).sum();
        let of = |j: usize| {
            let (share, extra) = (outlook.shares[j], outlook.extra[j]);
            let felt = (1.0 - share) + escape * share;
            let rivals = (1.0 - escape) * share * (all - worth(j)) / worth(j);
            choice.slope_long(&look, j) * (felt - rivals) + kappa * extra / (1.0 + extra)
        };
        (0..agents).map(of).collect()
    }

    /// Own short, own long, together. With P the visit probability, s a share, g the outside slope and b the choice slope,
    /// `d ln(P s) / d ln p = -b [(1 - s) + g (1 - P) s]`, and `-b + (1 - g (1 - P)) sum s_k b_k` by all prices together;
    /// units add `-kappa rate / (1 + rate)`.
    fn elasticity(&self, category: usize, kind: &Kind) -> [f64; 3] {
        let look = newcomer();
        let agents = kind.items.len();
        let outlook = self.outlook(category, kind, &look, &[0.0; AGENTS_MAX]);
        let choice = Choice::of(&self.choice, category, agents);
        let kappa = Quantity::of(&self.quantity, category, agents).kappa();
        let escape = visit::outside(&self.visit, category) * (1.0 - outlook.visits);
        let (mut sums, mut total) = ([0.0; 3], 0.0);
        let mean: f64 = (0..agents)
            .map(|k| outlook.shares[k] * choice.slope_long(&look, k))
            .sum();
        for j in 0..agents {
            let (share, extra) = (outlook.shares[j], outlook.extra[j]);
            let units = share * (1.0 + extra);
            let quantity = kappa * extra / (1.0 + extra);
            let felt = (1.0 - share) + escape * share;
            sums[0] -= units * (choice.slope_short(&look, j) * felt + quantity);
            sums[1] -= units * (choice.slope_long(&look, j) * felt + quantity);
            sums[2] -= units * (choice.slope_long(&look, j) - (1.0 - escape) * mean + quantity);
            total += units;
        }
        sums.map(|sum| sum / total)
    }
}

/// A usual visitor without history.
fn newcomer() -> Look {
    Look {
        tastes: [0.0; TASTES],
        total: 0.0,
        habit: 0.0,
        items: [ItemLook::default(); AGENTS_MAX],
    }
}
