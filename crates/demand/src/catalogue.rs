//! The catalogue that a fitted model stands for: prices of the selection, traits of the fit.

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
        assemble(&self.content.kinds, multiples, cost_share, |category, kind| {
            member.revenue_slopes(category, kind)
        })
    }
}

/// The catalogue that training streams its visits with: the model looks at nothing in it but the grouping.
pub(crate) fn plain(kinds: &[Kind]) -> Result<Catalog, DemandError> {
    assemble(kinds, &[1.0], None, |_, kind| vec![1.0; kind.items.len()])
}

fn assemble(
    kinds: &[Kind],
    multiples: &[f64],
    cost_share: Option<f64>,
    slopes: impl Fn(usize, &Kind) -> Vec<f64>,
) -> Result<Catalog, DemandError> {
    let refuse = |error: &dyn std::error::Error| DemandError::Catalog(error.to_string());
    let mut groups = Vec::with_capacity(kinds.len());
    for (category, kind) in kinds.iter().enumerate() {
        let slopes = slopes(category, kind);
        let item = |(known, slope): (&KindItem, &f64)| -> Result<Item, DemandError> {
            let base = PriceMinor(known.base_minor);
            Ok(Item {
                id: known.id.clone(),
                base_minor: base,
                low_minor: PriceMinor(known.low_minor),
                high_minor: PriceMinor(known.high_minor),
                cost_minor: cost_share.map(|share| PriceMinor::rounded(base.as_f64() * share)),
                ladder: Ladder::of_multiples(base, multiples).map_err(|error| refuse(&error))?,
                traits: ItemTraits {
                    anchor_log: 0.0,
                    revenue_slope: *slope as f32,
                    share: known.share as f32,
                    sales_rate: known.sales_rate as f32,
                },
            })
        };
        groups.push(SavedCategory {
            name: kind.name.clone(),
            items: kind
                .items
                .iter()
                .zip(&slopes)
                .map(item)
                .collect::<Result<_, _>>()?,
        });
    }
    Catalog::new(groups).map_err(|error| refuse(&error))
}
