use super::*;
use crate::milk::milk;
use crate::{ChangeLimit, Corridor, Ending, Ladder, Period};

fn bounded() -> ItemRules {
    ItemRules {
        floor_minor: Some(PriceMinor(80)),
        ceiling_minor: Some(PriceMinor(130)),
        mandatory: true,
        ..ItemRules::default()
    }
}

fn rule(rules: &ItemRules, past: &Past) -> (Vec<u32>, Vec<Rule>, Ruling) {
    let ruling = Ruling::of(&milk(), &Guardrails::default(), rules, past, &Bounds::default());
    let ruling = ruling.expect("something is allowed");
    let prices = ruling
        .mask
        .iter()
        .map(|rung| milk().ladder.price(rung).0)
        .collect();
    (
        prices,
        ruling.trail.iter().map(|step| step.rule).collect(),
        ruling,
    )
}

#[test]
fn without_bounds_an_item_keeps_its_base_price() {
    let unbounded = ItemRules {
        ceiling_minor: None,
        ..bounded()
    };
    let (prices, trail, _) = rule(&unbounded, &Past::default());
    assert_eq!((prices, trail), (vec![100], vec![Rule::NoBounds]));
    let request = Bounds {
        floor_minor: None,
        ceiling_minor: Some(PriceMinor(120)),
    };
    let ruling = Ruling::of(
        &milk(),
        &Guardrails::default(),
        &unbounded,
        &Past::default(),
        &request,
    );
    assert_eq!(ruling.expect("bounds of the request count").mask.count(), 5);
}

#[test]
fn margin_floors_hold_against_every_other_rule() {
    let rules = ItemRules {
        margin_min: Some(0.4), // 70 / 0.6 = 116.67
        freeze: Some(true),
        ..bounded()
    };
    let past = Past {
        carted: Some(PriceMinor(90)),
        ..Past::default()
    };
    let (prices, trail, ruling) = rule(&rules, &past);
    assert_eq!((prices, trail), (vec![120], vec![Rule::Margin, Rule::Cart]));
    assert_eq!(
        ruling.binding(&milk(), 4),
        Some(Rule::Cart),
        "the next higher rung"
    );
}

#[test]
fn a_price_at_exactly_its_margin_floor_is_allowed() {
    for (margin_min, cost, price) in [(0.32, 68, 100), (0.3, 21, 30), (0.31, 69, 100)] {
        let item = Item {
            cost_minor: Some(PriceMinor(cost)),
            low_minor: PriceMinor(1),
            base_minor: PriceMinor(price),
            high_minor: PriceMinor(500),
            ladder: Ladder::new([price - 1, price, price + 1].map(PriceMinor).to_vec()).expect("a ladder"),
            ..milk()
        };
        let rules = ItemRules {
            margin_min: Some(margin_min),
            ..ItemRules::default()
        };
        let (standing, past) = (Guardrails::default(), Past::default());
        let ruling = Ruling::of(&item, &standing, &rules, &past, &Bounds::default()).expect("two prices");
        assert_eq!(
            ruling.mask.iter().collect::<Vec<_>>(),
            [1, 2],
            "{margin_min} {cost}"
        );
    }
}

#[test]
fn a_frozen_item_never_gets_dearer_than_in_the_cart() {
    let frozen = ItemRules {
        freeze: Some(true),
        ..bounded()
    };
    let past = Past {
        told: Some(PriceMinor(130)),
        ..Past::default()
    };
    assert_eq!(rule(&frozen, &past).0, [100], "the base price, whatever was told");
    let carted = Past {
        carted: Some(PriceMinor(90)),
        ..past
    };
    let (prices, trail, ruling) = rule(&frozen, &carted);
    assert_eq!((prices, trail), (vec![90], vec![Rule::Cart, Rule::Freeze]));
    assert!(ruling.frozen);
}

#[test]
fn the_trail_names_a_repeat_where_nothing_else_was_left() {
    let frozen = ItemRules {
        freeze: Some(true),
        ..bounded()
    };
    let told = |price| Past {
        told: Some(PriceMinor(price)),
        ..Past::default()
    };
    assert_eq!(rule(&frozen, &told(100)).1, [Rule::Freeze, Rule::Sticky]);
    assert_eq!(
        rule(&frozen, &told(110)).1,
        [Rule::Freeze],
        "another price is no repeat"
    );
}

#[test]
fn changes_stay_within_their_share_of_the_price_that_stood() {
    let rules = ItemRules {
        change: Some(ChangeLimit {
            share_max: 0.1,
            period: Period::Day,
        }),
        ..bounded()
    };
    let at = |stood| Past {
        stood: Some(PriceMinor(stood)),
        ..Past::default()
    };
    assert_eq!(rule(&rules, &at(100)).0, [90, 100, 110]);
    assert_eq!(
        rule(&rules, &at(200)).0,
        [130],
        "the nearest one when none is within"
    );
    assert_eq!(rule(&rules, &Past::default()).0.len(), 6, "nothing stood");
}

#[test]
fn a_corridor_spans_the_lowest_and_the_highest_of_all_segments() {
    let rules = ItemRules {
        corridor: Some(Corridor {
            share_max: 0.1,
            memory_s: 60,
        }),
        ..bounded()
    };
    let past = |low, high| Past {
        others: Some((PriceMinor(low), PriceMinor(high))),
        ..Past::default()
    };
    assert_eq!(rule(&rules, &past(100, 110)).0, [100, 110]);
    assert_eq!(
        rule(&rules, &past(100, 100)).0,
        [100, 110],
        "100 / 1.1 = 90.9 is the lowest"
    );
    let (_, trail, ruling) = rule(&rules, &past(110, 120));
    assert_eq!(trail, [Rule::Corridor]);
    assert_eq!(ruling.binding(&milk(), 4), Some(Rule::Corridor));
    assert_eq!(ruling.trail[0].left, 2);
}

#[test]
fn a_session_keeps_its_price_and_a_cart_never_gets_dearer() {
    let past = Past {
        told: Some(PriceMinor(110)),
        ..Past::default()
    };
    assert_eq!(rule(&bounded(), &past).0, [110]);
    let past = Past {
        carted: Some(PriceMinor(100)),
        ..past
    };
    assert_eq!(
        rule(&bounded(), &past).0,
        [100],
        "nearest to what it was told, below the cart"
    );
}

#[test]
fn endings_hold_where_some_price_has_them() {
    let ending = |text: &str| Ending::try_from(text.to_owned()).expect("an ending");
    let with = |endings: &[&str]| ItemRules {
        endings: Some(endings.iter().map(|text| ending(text)).collect()),
        ..bounded()
    };
    assert_eq!(rule(&with(&["10", "30"]), &Past::default()).0, [110, 130]);
    assert_eq!(rule(&with(&["99"]), &Past::default()).0.len(), 6);
    assert!(Ending::try_from("1x".to_owned()).is_err() && Ending::try_from(String::new()).is_err());
    assert_eq!(String::from(ending("05")), "05");
}
