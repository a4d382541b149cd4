//! An item for the tests of the rules.

use crate::{Item, ItemTraits, Ladder, PriceMinor};

/// Rungs 80, 90, 100, 110, 120, 130; support 80 to 130; base 100; cost 70.
pub(crate) fn milk() -> Item {
    Item {
        id: "milk".into(),
        base_minor: PriceMinor(100),
        low_minor: PriceMinor(80),
        high_minor: PriceMinor(130),
        cost_minor: Some(PriceMinor(70)),
        ladder: Ladder::of_multiples(PriceMinor(100), &[0.8, 0.9, 1.0, 1.1, 1.2, 1.3]).expect("a ladder"),
        traits: ItemTraits {
            anchor_log: 0.0,
            revenue_slope: 1.0,
            share: 0.5,
            sales_rate: 0.1,
        },
    }
}
