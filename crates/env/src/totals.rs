use serde::{Deserialize, Serialize};
use std::ops::AddAssign;

/// Sums over visits; money in major units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// Expected revenue.
    pub revenue: f64,
    /// Expected revenue less cost; where a cost is unknown it counts as 0.
    pub margin: f64,
    /// Expected units.
    pub units: f64,
    /// What the logged baskets would cost at the walk's prices.
    pub basket_priced: f64,
    /// What they cost at posted prices.
    pub basket_posted: f64,
    /// What was paid for them.
    pub basket_paid: f64,
}

impl Totals {
    /// What the logged baskets would cost at the walk's prices / at posted prices; 1 where nothing was bought.
    #[must_use]
    pub fn price_index(&self) -> f64 {
        if self.basket_posted > 0.0 {
            self.basket_priced / self.basket_posted
        } else {
            1.0
        }
    }

    /// These totals `weight` times.
    #[must_use]
    pub fn times(&self, weight: f64) -> Self {
        Self {
            revenue: self.revenue * weight,
            margin: self.margin * weight,
            units: self.units * weight,
            basket_priced: self.basket_priced * weight,
            basket_posted: self.basket_posted * weight,
            basket_paid: self.basket_paid * weight,
        }
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.revenue += other.revenue;
        self.margin += other.margin;
        self.units += other.units;
        self.basket_priced += other.basket_priced;
        self.basket_posted += other.basket_posted;
        self.basket_paid += other.basket_paid;
    }
}

impl std::iter::Sum for Totals {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        let mut total = Self::default();
        for part in parts {
            total += part;
        }
        total
    }
}

/// What a walk brought, by category, demand member and cluster (a user, or an anonymous session).
#[derive(Clone, Debug)]
pub struct Walk {
    /// The demand members that walked.
    pub members: Vec<usize>,
    /// Number of categories.
    pub categories: usize,
    /// Number of clusters.
    pub clusters: usize,
    /// Number of sessions.
    pub sessions: usize,
    /// Whether every item's cost is known, so that margins mean something.
    pub costs_known: bool,
    /// Share of a policy's prices at the lowest or highest allowed rung; 0 for logged and fixed prices.
    pub edge_share: f64,
    /// `[category][member][cluster]`.
    pub(crate) totals: Vec<Totals>,
}

impl Walk {
    /// The clusters of one category under the `member`-th of [`Walk::members`].
    #[must_use]
    pub fn category(&self, category: usize, member: usize) -> &[Totals] {
        let at = (category * self.members.len() + member) * self.clusters;
        &self.totals[at..at + self.clusters]
    }

    /// All categories together, by cluster, under the `member`-th of [`Walk::members`].
    #[must_use]
    pub fn by_cluster(&self, member: usize) -> Vec<Totals> {
        let mut sums = vec![Totals::default(); self.clusters];
        for category in 0..self.categories {
            for (sum, part) in sums.iter_mut().zip(self.category(category, member)) {
                *sum += *part;
            }
        }
        sums
    }

    /// Everything under the `member`-th of [`Walk::members`].
    #[must_use]
    pub fn total(&self, member: usize) -> Totals {
        self.by_cluster(member).into_iter().sum()
    }
}
