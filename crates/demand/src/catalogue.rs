//! The catalogue that a fitted model stands for: prices of the selection, traits of the fit.

use crate::choice::Choice;
use crate::error::DemandError;
use crate::look::{Kind, KindItem};
use crate::model::DemandModel;
use haggle_core::{Catalog, Item, ItemTraits, Ladder, PriceMinor, SavedCategory};

impl DemandModel {
    /// The items as a policy sees them, in the selection's order: ladders of `multiples` of the base price, traits from the
    /// point estimate, and, where `cost_share` states one in (0, 1), a unit cost of that share of the base price.
    ///
    /// # Errors
    /// When the multiples make no ladder or the cost share is out of range.
    pub fn catalog(&self, multiples: &[f64], cost_share: Option<f64>) -> Result<Catalog, DemandError> {
        if cost_share.is_some_and(|share| !(share > 0.0 && share < 1.0)) {
            return Err(DemandError::Config("cost_share must lie in (0, 1)".to_owned()));
        }
        let member = &self.content.members[0];
        let slope =
            |category: usize, kind: &Kind| Choice::of(&member.choice, category, kind.items.len()).slope();
        assemble(&self.content.kinds, multiples, cost_share, slope)
    }
}

/// The catalogue that training streams its visits with: the model looks at nothing in it but the grouping.
pub(crate) fn plain(kinds: &[Kind]) -> Result<Catalog, DemandError> {
    assemble(kinds, &[1.0], None, |_, _| 1.0)
}

fn assemble(
    kinds: &[Kind],
    multiples: &[f64],
    cost_share: Option<f64>,
    slope: impl Fn(usize, &Kind) -> f64,
) -> Result<Catalog, DemandError> {
    let refuse = |error: &dyn std::error::Error| DemandError::Catalog(error.to_string());
    let mut groups = Vec::with_capacity(kinds.len());
    for (category, kind) in kinds.iter().enumerate() {
        let price_slope = slope(category, kind) as f32;
        let item = |known: &KindItem| -> Result<Item, DemandError> {
            let base = PriceMinor(known.base_minor);
            Ok(Item {
                id: known.id.clone(),
                base_minor: base,
                low_minor: PriceMinor(known.low_minor),
                high_minor: PriceMinor(known.high_minor),
                cost_minor: cost_share.map(|share| PriceMinor::rounded(base.as_f64() * share)),
                ladder: Ladder::of_multiples(base, multiples).map_err(|error| refuse(&error))?,
                traits: ItemTraits {
                    price_slope,
                    share: known.share as f32,
                    sales_rate: known.sales_rate as f32,
                },
            })
        };
        groups.push(SavedCategory {
            name: kind.name.clone(),
            items: kind.items.iter().map(item).collect::<Result<_, _>>()?,
        });
    }
    Catalog::new(groups).map_err(|error| refuse(&error))
}
