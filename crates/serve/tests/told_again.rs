//! A price that a session is told again: what keeps it, what may change it, and what it counts for.
#![allow(clippy::unwrap_used)]

mod common;

use common::{ask, bandit_bundle, earn, engine_with, fixed_bundle, named};
use haggle_core::{PriceMinor, Rule};
use haggle_serve::{Code, Engine, Mode, PriceReply, PriceRequest, Source};

const NOW: i64 = 1_600_000_000;
const BOOK: &str = "[all]\nfloor_minor = 50\nceiling_minor = 500\n";

fn look(engine: &Engine, session: &str, now_s: i64) -> PriceReply {
    engine.price(ask(session, "milk-2"), now_s).unwrap()
}

#[test]
fn the_kill_switch_holds_for_sessions_that_were_told_a_price_but_for_their_carts() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine_with(dir.path(), &fixed_bundle(12, 0.0), "", Some(BOOK));
    for session in ["open", "carted"] {
        assert_eq!(look(&engine, session, NOW).price_minor, PriceMinor(260));
    }
    let cheap = PriceRequest {
        bounds: haggle_core::Bounds {
            floor_minor: None,
            ceiling_minor: Some(PriceMinor(160)),
        },
        ..named("cheap", "carted", "milk-2")
    };
    assert_eq!(engine.price(cheap, NOW).unwrap().price_minor, PriceMinor(160));
    engine.cart("cheap", NOW).unwrap();
    engine.set_mode(Mode::Frozen, None).unwrap();
    let open = look(&engine, "open", NOW + 1);
    assert_eq!((open.price_minor, open.source), (PriceMinor(200), Source::Static));
    let carted = look(&engine, "carted", NOW + 1);
    assert_eq!(
        (carted.price_minor, carted.source),
        (PriceMinor(160), Source::Static)
    );
    assert_eq!(carted.rules, [Rule::Cart, Rule::Freeze, Rule::Sticky]);
}

#[test]
fn a_repeat_is_one_visitor_and_as_old_as_the_first_look_even_where_one_rung_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let config = "[prices]\nsticky_s = 30\n[rewards]\nterms = { window_s = 5 }\n";
    let bundle = bandit_bundle();
    let engine = engine_with(dir.path(), &bundle, config, Some(BOOK));
    let one = PriceRequest {
        bounds: haggle_core::Bounds {
            floor_minor: Some(PriceMinor(200)),
            ceiling_minor: Some(PriceMinor(200)),
        },
        ..ask("s", "milk-2")
    };
    let rules: Vec<Vec<Rule>> = (0..6)
        .map(|n| engine.price(one.clone(), NOW + 4 * n).unwrap().rules)
        .collect();
    assert!(!rules[0].contains(&Rule::Sticky));
    assert!(
        rules[1..].iter().all(|rules| rules.contains(&Rule::Sticky)),
        "{rules:?}"
    );
    let free = |now_s| look(&engine, "s", now_s).rules.contains(&Rule::Sticky);
    assert!(
        free(NOW + 29) && !free(NOW + 30),
        "30 seconds from the first look on"
    );
    engine.expire(NOW + 1_000);
    let begun = std::time::Instant::now();
    while engine.status().bandits[0].lessons < 2 {
        assert!(begun.elapsed().as_secs() < 60);
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert_eq!(
        engine.status().bandits[0].lessons,
        2,
        "the first look, and the one that drew anew"
    );
}

#[test]
fn a_callers_new_price_is_no_repeat() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine_with(dir.path(), &bandit_bundle(), "", Some(BOOK));
    engine.set_mode(Mode::Apprentice, None).unwrap();
    let own = |price, now_s| {
        let request = PriceRequest {
            own_minor: Some(PriceMinor(price)),
            ..ask("s", "milk-2")
        };
        engine
            .price(request, now_s)
            .unwrap()
            .rules
            .contains(&Rule::Sticky)
    };
    assert_eq!(
        [own(200, NOW), own(210, NOW + 1), own(210, NOW + 2)],
        [false, false, true]
    );
}

#[test]
fn a_corridor_that_moves_a_price_nobody_drew_is_disclosed() {
    let dir = tempfile::tempdir().unwrap();
    let book = "segment_by = \"tier\"\n[all]\nfloor_minor = 50\nceiling_minor = 500\n\
        corridor = { share_max = 0.1, memory_s = 86400 }\n";
    let config = "[prices]\nholdout_share = 0.999999\n";
    let engine = engine_with(dir.path(), &fixed_bundle(6, 0.0), config, Some(book));
    let of = |id: &str, tier: &str, ceiling| {
        let mut request = named(id, id, "milk-2");
        request.attributes.insert("tier".to_owned(), tier.to_owned());
        request.bounds.ceiling_minor = ceiling;
        engine.price(request, NOW).unwrap()
    };
    let first = of("a", "gold", Some(PriceMinor(150)));
    assert!(!first.personal_data_used, "{first:?}");
    let moved = of("b", "silver", None);
    assert_eq!(
        (moved.source, moved.binding),
        (Source::Holdout, Some(Rule::Corridor))
    );
    assert!(
        moved.personal_data_used && moved.disclosure.is_some(),
        "{moved:?}"
    );
}

#[test]
fn a_reward_that_came_early_is_known_before_its_price_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let config = "[rewards]\nbackward_window_s = 60\n";
    let engine = engine_with(dir.path(), &fixed_bundle(6, 0.0), config, None);
    let told = |value| {
        engine
            .reward(earn("d", "r", value), NOW)
            .map(|(status, _)| status)
    };
    let first = told(70).unwrap();
    let request = PriceRequest {
        defer: true,
        ..named("d", "s", "milk-2")
    };
    engine.price(request, NOW).unwrap();
    let again = told(70).unwrap();
    assert_eq!(format!("{first:?} {again:?}"), "Early Duplicate");
    assert_eq!(told(71).unwrap_err().code, Code::Conflict);
    assert_eq!(
        engine.cancel("d", NOW).unwrap_err().code,
        Code::Conflict,
        "it has earned something"
    );
}
