use crate::{Item, Mask, PriceMinor};
use serde::{Deserialize, Serialize};

/// The bounds that a request brings along.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bounds {
    /// No price below this one.
    pub floor_minor: Option<PriceMinor>,
    /// No price above this one.
    pub ceiling_minor: Option<PriceMinor>,
}

/// Standing rules of the shop, part of a bundle's provenance and of the environment it was trained in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Guardrails {
    /// Least share of the price that must remain after cost, in [0, 1); only where an item's cost is known.
    pub margin_min: f64,
}

/// A rule that took rungs away, in the order in which rules are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Outside the price range that the log supports (or a repeated price).
    Support,
    /// Below the margin floor.
    Margin,
    /// Below the request's floor.
    Floor,
    /// Above the request's ceiling.
    Ceiling,
}

/// Why no price is legal.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuardrailError {
    /// The request contradicts itself.
    #[error("item {item}: floor {floor} is above ceiling {ceiling}")]
    FloorAboveCeiling {
        /// The item.
        item: String,
        /// Its floor.
        floor: PriceMinor,
        /// Its ceiling.
        ceiling: PriceMinor,
    },
    /// The rules together leave nothing.
    #[error(
        "item {item}: no rung of the ladder {lowest} to {highest} satisfies all rules; the last to bind was {rule:?}"
    )]
    NothingAllowed {
        /// The item.
        item: String,
        /// Lowest price of its ladder.
        lowest: PriceMinor,
        /// Highest price of its ladder.
        highest: PriceMinor,
        /// The rule that took the last rung.
        rule: Rule,
    },
}

/// The rungs of an item that all rules allow, and the rules that took something away.
///
/// # Errors
/// When the floor is above the ceiling or nothing is left: without a legal price there is no automation.
pub fn allowed_rungs(
    item: &Item,
    rules: &Guardrails,
    bounds: &Bounds,
) -> Result<(Mask, Vec<Rule>), GuardrailError> {
    if let (Some(floor), Some(ceiling)) = (bounds.floor_minor, bounds.ceiling_minor)
        && floor > ceiling
    {
        return Err(GuardrailError::FloorAboveCeiling {
            item: item.id.clone(),
            floor,
            ceiling,
        });
    }
    let ladder = &item.ladder;
    let least = item
        .cost_minor
        .map_or(0.0, |cost| cost.as_f64() / (1.0 - rules.margin_min));
    let steps = [
        (Rule::Support, item.supported()),
        (Rule::Margin, ladder.mask_where(|price| price.as_f64() >= least)),
        (
            Rule::Floor,
            ladder.mask_where(|price| bounds.floor_minor.is_none_or(|floor| price >= floor)),
        ),
        (
            Rule::Ceiling,
            ladder.mask_where(|price| bounds.ceiling_minor.is_none_or(|ceiling| price <= ceiling)),
        ),
    ];
    let mut mask = Mask::all(ladder.rungs());
    let mut trail = Vec::new();
    for (rule, allowed) in steps {
        let left = mask.and(allowed);
        if left.is_empty() {
            let (lowest, highest) = (ladder.price(0), ladder.price(ladder.rungs() - 1));
            return Err(GuardrailError::NothingAllowed {
                item: item.id.clone(),
                lowest,
                highest,
                rule,
            });
        }
        if left != mask {
            trail.push(rule);
        }
        mask = left;
    }
    Ok((mask, trail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ItemTraits, Ladder};

    fn item() -> Item {
        Item {
            id: "milk".into(),
            base_minor: PriceMinor(100),
            low_minor: PriceMinor(85),
            high_minor: PriceMinor(125),
            cost_minor: Some(PriceMinor(80)),
            ladder: Ladder::of_multiples(PriceMinor(100), &[0.8, 0.9, 1.0, 1.1, 1.2, 1.3]).expect("a ladder"),
            traits: ItemTraits {
                anchor_log: 0.0,
                revenue_slope: 1.0,
                share: 0.5,
                sales_rate: 0.1,
            },
        }
    }

    #[test]
    fn rules_bind_in_order_and_are_named() {
        let rules = Guardrails { margin_min: 0.2 };
        let bounds = Bounds {
            floor_minor: None,
            ceiling_minor: Some(PriceMinor(110)),
        };
        let (mask, trail) = allowed_rungs(&item(), &rules, &bounds).expect("something is allowed");
        assert_eq!(mask.iter().collect::<Vec<_>>(), [2, 3]);
        assert_eq!(trail, [Rule::Support, Rule::Margin, Rule::Ceiling]);
    }

    #[test]
    fn contradictions_are_errors() {
        let bounds = Bounds {
            floor_minor: Some(PriceMinor(120)),
            ceiling_minor: Some(PriceMinor(90)),
        };
        let error = allowed_rungs(&item(), &Guardrails::default(), &bounds).expect_err("contradiction");
        assert_eq!(error.to_string(), "item milk: floor 1.20 is above ceiling 0.90");
        let bounds = Bounds {
            floor_minor: Some(PriceMinor(500)),
            ceiling_minor: None,
        };
        let error = allowed_rungs(&item(), &Guardrails::default(), &bounds).expect_err("nothing left");
        assert!(matches!(
            error,
            GuardrailError::NothingAllowed {
                rule: Rule::Floor,
                ..
            }
        ));
    }

    #[test]
    fn an_item_whose_range_holds_no_rung_keeps_the_one_nearest_to_its_base_price() {
        let narrow = Item {
            low_minor: PriceMinor(101),
            base_minor: PriceMinor(102),
            high_minor: PriceMinor(103),
            ..item()
        };
        assert_eq!(narrow.supported().iter().collect::<Vec<_>>(), [2]);
    }
}
