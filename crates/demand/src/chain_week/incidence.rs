use super::cells::Cells;
use crate::solver::{Block, Likelihood, Prior};
use std::ops::Range;

const EFFECT_RIDGE: f64 = 0.01;
const PRICE_RIDGE: f64 = 2.0;
const PROMOTION_RIDGE: f64 = 5.0;
const SHARED_RIDGE: f64 = 0.01;

const EFFECT: usize = 0;
pub(super) const PRICE: usize = 1;
const MAILER: usize = 2;
const DISPLAY: usize = 3;
const LOCAL: usize = 4;
/// Shared centres come first, in the order of the local slopes.
const RATE: usize = 3;
pub(super) const SHARED: usize = 4;

/// Which terms a fit has besides the item effects.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Terms {
    Nothing,
    Price,
    Promotion,
    All,
}

/// The likelihood of the training weeks' cells.
pub(super) struct CellFit<'a> {
    pub(super) cells: &'a Cells<'a>,
    pub(super) terms: Terms,
}

impl CellFit<'_> {
    /// The negative log likelihood of an item in some weeks; `each` is told the slope, the weight and the design of each cell.
    pub(super) fn sum(
        &self,
        item: usize,
        local: &[f64],
        shared: &[f64],
        weeks: &Range<usize>,
        mut each: impl FnMut(f64, f64, &[f64; LOCAL + SHARED]),
    ) -> f64 {
        let mut loss = 0.0;
        let mut design = [0.0; LOCAL + SHARED];
        design[EFFECT] = 1.0;
        for week in weeks.clone() {
            let [price, mailer, display, rate] = self.cells.features[item][week];
            (design[PRICE], design[MAILER], design[DISPLAY]) = (price, mailer, display);
            design[LOCAL + RATE] = rate;
            let eta: f64 = local
                .iter()
                .chain(shared)
                .zip(&design)
                .map(|(parameter, x)| parameter * x)
                .sum();
            let (n, y) = (self.cells.sessions[week], self.cells.bought[item][week]);
            loss += n * crate::visit::softplus(eta) - y * eta;
            let p = crate::visit::sigmoid(eta);
            each(n * p - y, n * p * (1.0 - p), &design);
        }
        loss
    }

    fn allowed(&self, prior: Prior, terms: &[Terms], low: f64) -> Prior {
        if terms.contains(&self.terms) {
            prior.within(low, f64::INFINITY)
        } else {
            prior.within(0.0, 0.0)
        }
    }
}

impl Likelihood for CellFit<'_> {
    fn name(&self) -> &'static str {
        "chain-week incidence"
    }

    fn local(&self, _group: usize) -> Vec<Prior> {
        let promotion = Prior::ridge(PROMOTION_RIDGE);
        let promoted = [Terms::Promotion, Terms::All];
        vec![
            Prior::ridge(EFFECT_RIDGE),
            self.allowed(
                Prior::ridge(PRICE_RIDGE).around(PRICE - 1),
                &[Terms::Price, Terms::All],
                0.0,
            ),
            self.allowed(promotion.around(MAILER - 1), &promoted, f64::NEG_INFINITY),
            self.allowed(promotion.around(DISPLAY - 1), &promoted, f64::NEG_INFINITY),
        ]
    }

    fn shared(&self) -> Vec<Prior> {
        let (all, promoted) = (Prior::ridge(SHARED_RIDGE), [Terms::Promotion, Terms::All]);
        vec![
            self.allowed(all, &[Terms::Price, Terms::All], 0.0),
            self.allowed(all, &promoted, f64::NEG_INFINITY),
            self.allowed(all, &promoted, f64::NEG_INFINITY),
            self.allowed(all, &promoted, f64::NEG_INFINITY),
        ]
    }

    fn evaluate(&self, group: usize, local: &[f64], shared: &[f64], block: &mut Block) -> f64 {
        self.sum(
            group,
            local,
            shared,
            &self.cells.weeks.train,
            |slope, weight, design| {
                block.add_gradient(slope, design);
                block.add_information(weight, design);
            },
        )
    }
}
