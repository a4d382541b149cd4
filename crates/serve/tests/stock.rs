//! What is left to sell, told with the price request.
#![allow(clippy::unwrap_used)]

mod common;

use common::{engine_with, fixed_bundle, mlp_bundle, named, stocked_bundle};
use haggle_core::Policy;
use haggle_policy::Bundle;
use haggle_policy::bandit::{BanditConfig, Stock};
use haggle_serve::{Code, Engine, Mode, PriceReply, PriceRequest};

const NOW: i64 = 1_600_000_000;

fn left(units_left: u32, visits_left: u32) -> Option<Stock> {
    Some(Stock {
        units_left,
        visits_left,
    })
}

fn lamp(id: &str, stock: Option<Stock>) -> PriceRequest {
    PriceRequest {
        stock,
        ..named(id, id, "lamp")
    }
}

fn reopened(engine: Engine, dir: &std::path::Path, bundle: &Bundle) -> Engine {
    engine.close().unwrap();
    drop(engine);
    engine_with(dir, bundle, "", None)
}

#[test]
fn a_stock_is_logged_answered_again_and_replayed_to_the_same_bits() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = stocked_bundle(BanditConfig::logit_thompson);
    let engine = engine_with(dir.path(), &bundle, "", None);
    let price = |engine: &Engine, request| -> PriceReply { engine.price(request, NOW).unwrap() };
    let scarce = price(&engine, lamp("scarce", left(1, 1_000_000)));
    let plenty = price(&engine, lamp("plenty", left(1_000, 1)));
    let untold = price(&engine, lamp("untold", None));
    let minded = [&scarce, &plenty, &untold].map(|reply| reply.stock_minded);
    assert_eq!(minded, [Some(true), Some(true), None]);
    // Nothing has sold yet: any price is as good.
    assert!((scarce.propensity - 0.25).abs() < 1e-12, "{scarce:?}");
    let engine = reopened(engine, dir.path(), &bundle);
    assert_eq!(price(&engine, lamp("scarce", left(1, 1_000_000))), scarce);
    let other = engine.price(lamp("scarce", left(2, 1_000_000)), NOW);
    assert_eq!(
        other.unwrap_err().code,
        Code::Conflict,
        "another stock is another request"
    );
    for id in ["scarce", "plenty", "untold"] {
        let card = engine.explain(id, NOW).unwrap();
        assert!(card.replayed, "{card:?}");
        let parts: f64 = card.contributions.iter().map(|part| part.minor).sum();
        let moved = card.price_minor.as_f64() - card.base_minor.as_f64();
        assert!((parts - moved).abs() < 1e-9, "{card:?}");
        let told = card.contributions.iter().any(|part| part.of == "stock");
        assert_eq!(told, id != "untold", "{card:?}");
    }
    // A caller's own price beside what the bandit would have said for that stock.
    engine.set_mode(Mode::Apprentice, None).unwrap();
    let own = PriceRequest {
        own_minor: Some(haggle_core::PriceMinor(3_000)),
        ..lamp("own", left(1, 1_000_000))
    };
    assert_eq!(price(&engine, own).stock_minded, Some(false));
    assert!(engine.explain("own", NOW).unwrap().replayed);
}

#[test]
fn a_price_that_is_only_repeated_was_not_made_with_the_stock_in_mind() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = stocked_bundle(BanditConfig::logit_thompson);
    let engine = engine_with(dir.path(), &bundle, "[prices]\nsticky_s = 60\n", None);
    let at = |id: &str, now_s| {
        let request = PriceRequest {
            stock: left(1, 1_000_000),
            ..named(id, "one session", "lamp")
        };
        engine.price(request, now_s).unwrap()
    };
    let first = at("first", NOW);
    let repeated = at("repeated", NOW + 1);
    let anew = at("anew", NOW + 61);
    assert_eq!(repeated.price_minor, first.price_minor);
    let minded = [first, repeated, anew].map(|reply| reply.stock_minded);
    assert_eq!(minded, [Some(true), Some(false), Some(true)]);
    let card = engine.explain("repeated", NOW).unwrap();
    assert!(card.replayed && !card.why.contains("units are left"), "{card:?}");
}

#[test]
fn what_does_not_mind_a_stock_says_so() {
    let told = |engine: &Engine, item: &str| {
        let request = PriceRequest {
            stock: left(3, 40),
            ..named("d", "d", item)
        };
        engine.price(request, NOW).unwrap().stock_minded
    };
    let greedy = stocked_bundle(BanditConfig::logit_epsilon_greedy);
    for (bundle, item) in [
        (greedy, "lamp"),
        (mlp_bundle(), "milk-1"),
        (fixed_bundle(6, 0.0), "milk-1"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let engine = engine_with(dir.path(), &bundle, "", None);
        assert_eq!(told(&engine, item), Some(false), "{}", bundle.digest());
    }
    let dir = tempfile::tempdir().unwrap();
    let engine = engine_with(
        dir.path(),
        &stocked_bundle(BanditConfig::logit_thompson),
        "",
        None,
    );
    engine.freeze(true).unwrap();
    assert_eq!(told(&engine, "lamp"), Some(false), "a static price");
}

#[test]
fn nothing_left_is_refused_by_name_whoever_prices() {
    for (bundle, item) in [
        (stocked_bundle(BanditConfig::logit_thompson), "lamp"),
        (mlp_bundle(), "milk-1"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let engine = engine_with(dir.path(), &bundle, "", None);
        let refusal = |stock| {
            let request = PriceRequest {
                stock,
                ..named("d", "d", item)
            };
            engine.price(request, NOW).unwrap_err()
        };
        let sold_out = refusal(left(0, 7));
        assert_eq!(sold_out.code, Code::SoldOut);
        assert!(sold_out.message.contains(item), "{sold_out:?}");
        let over = refusal(left(7, 0));
        assert_eq!(over.code, Code::BadRequest);
        assert!(over.message.contains("stock.visits_left"), "{over:?}");
        assert_eq!(engine.status().decisions, 0);
    }
}
