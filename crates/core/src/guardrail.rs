use crate::{Item, ItemRules, Mask, Past, PriceMinor, Ruling};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Guardrails {
    /// Least share of the price that must remain after cost, in [0, 1); only where an item's cost is known.
    pub margin_min: f64,
}

/// A rule that took rungs away. The first four are hard: without a rung that satisfies them there is no price. The others
/// choose among what the hard ones leave, the cart first and then in this order, and never leave nothing. Journals hold their
/// places in this declaration, which therefore stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Outside the price range that the log supports (or a repeated price).
    Support,
    /// Below the margin floor.
    Margin,
    /// Below the floor of the shop or of the request.
    Floor,
    /// Above the ceiling of the shop or of the request.
    Ceiling,
    /// The item has no floor or no ceiling: it keeps its base price.
    NoBounds,
    /// The item is frozen at its base price.
    Freeze,
    /// Above the price that the session has put into its cart.
    Cart,
    /// Too far from what other segments were shown.
    Corridor,
    /// Too far from the price that stood when the period began.
    Change,
    /// Not the price that the session was shown before.
    Sticky,
    /// Not one of the price endings.
    Ending,
}

/// As it stands on the wire.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
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
        "item {item}: no rung of the ladder {lowest} to {highest} satisfies all rules; the last to bind was `{rule}`"
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

/// The rungs of an item that the bundle's rules and the bounds of a request allow, and the rules that took something away.
///
/// # Errors
/// When the floor is above the ceiling or nothing is left: without a legal price there is no automation.
pub fn allowed_rungs(
    item: &Item,
    rules: &Guardrails,
    bounds: &Bounds,
) -> Result<(Mask, Vec<Rule>), GuardrailError> {
    let ruling = Ruling::of(item, rules, &ItemRules::default(), &Past::default(), bounds)?;
    Ok((
        ruling.mask,
        ruling.trail.into_iter().map(|step| step.rule).collect(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::milk::milk;

    /// Support 85 to 125; cost 80.
    fn item() -> Item {
        Item {
            low_minor: PriceMinor(85),
            high_minor: PriceMinor(125),
            cost_minor: Some(PriceMinor(80)),
            ..milk()
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
