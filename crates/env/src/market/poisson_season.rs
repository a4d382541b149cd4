//! What A4 and F have in common: so many shoppers a period that their number is Poisson.

use super::checks::{count, ladder, positive};
use super::oracle::OracleError;
use super::search::poisson_sales;
use super::season::{Demand, Moves, Season};
use super::sell_through::sell_through;

/// The parameters that both files have, under the same names.
pub(super) struct PoissonSeason<'a> {
    pub(super) periods: usize,
    pub(super) stock: usize,
    pub(super) base_rate: f64,
    pub(super) price_scale: f64,
    pub(super) prices: &'a [f64],
    pub(super) sell_through_min: Option<f64>,
}

impl PoissonSeason<'_> {
    pub(super) fn check(&self) -> Result<(), OracleError> {
        count("periods", self.periods)?;
        count("stock", self.stock)?;
        positive("base_rate", self.base_rate)?;
        positive("price_scale", self.price_scale)?;
        ladder(self.prices)?;
        sell_through(self.sell_through_min)
    }

    /// Tables of so many phases, with the mean demand of each at a price: any price may follow, and what is left is worth
    /// nothing.
    pub(super) fn tables(&self, phases: usize, mean: impl Fn(usize, f64) -> f64) -> Season {
        let cells = (0..phases).flat_map(|phase| self.prices.iter().map(move |price| (phase, *price)));
        let demand = cells.map(|(phase, price)| Demand::new(poisson_sales(mean(phase, price), self.stock)));
        Season {
            periods: self.periods,
            stock: self.stock,
            prices: self.prices.to_vec(),
            demand: demand.collect(),
            moves: Moves::Free,
            salvage: 0.0,
            sell_through_min: self.sell_through_min,
            week: 0,
        }
    }
}
