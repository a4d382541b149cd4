//! No bundle is served under which the rulebook leaves an item without any price: the next start would be refused.
#![allow(clippy::unwrap_used)]

mod common;

use common::{engine_config, engine_with, fixed_bundle, named, terms};
use haggle_core::{Catalog, Guardrails, PriceMinor, SavedCategory};
use haggle_policy::{Bundle, Terms};
use haggle_serve::{Code, Engine};

const NOW: i64 = 1_600_000_000;
const BOOK: &str = "[all]\nfloor_minor = 70\nceiling_minor = 110\n";

/// A shop of `milk-0` alone, at 70 to 130 around 100, with this cost and margin.
fn shop(cost_minor: Option<u32>, margin_min: f64, rung: u8) -> Bundle {
    let mut groups = Vec::<SavedCategory>::from((*terms(0.0).catalog).clone());
    groups.truncate(1);
    groups[0].items.truncate(1);
    groups[0].items[0].cost_minor = cost_minor.map(PriceMinor);
    let terms = Terms {
        catalog: Catalog::new(groups).unwrap().into(),
        guardrails: Guardrails { margin_min },
        ..terms(0.0)
    };
    Bundle::fixed(terms, vec![rung]).unwrap()
}

#[test]
fn a_swap_a_canary_and_a_rollback_to_it_are_refused_and_the_store_opens_again() {
    let dir = tempfile::tempdir().unwrap();
    let config = engine_config(dir.path(), &shop(None, 0.0, 6), "", Some(BOOK));
    let engine = Engine::open(&config).unwrap();
    let (_, dear) = shop(Some(120), 0.0, 6)
        .write(&dir.path().join("bundles"))
        .unwrap();
    let refusal = engine.swap(&dear, true).unwrap_err();
    assert_eq!(refusal.code, Code::BundleRefused);
    assert!(refusal.message.contains("milk-0"), "{}", refusal.message);
    let refusal = engine.begin_canary(&dear, 0.5, true).unwrap_err();
    assert_eq!(refusal.code, Code::BundleRefused);
    let (_, other) = shop(None, 0.0, 7).write(&dir.path().join("bundles")).unwrap();
    engine.swap(&other, true).unwrap();
    engine.close().unwrap();
    drop(engine);
    let engine = Engine::open(&config).unwrap();
    assert_eq!(
        engine.price(named("a", "a", "milk-0"), NOW).unwrap().price_minor,
        PriceMinor(105)
    );
    engine.close().unwrap();
}

#[test]
fn a_margin_of_the_bundle_itself_counts() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = shop(Some(100), 0.2, 11); // 125 at least
    let error = Engine::open(&engine_config(dir.path(), &bundle, "", Some(BOOK))).unwrap_err();
    assert!(error.to_string().contains("milk-0"), "{error}");
    assert!(!dir.path().join("store").exists(), "nothing half-made is left");
}

#[test]
fn only_what_can_be_left_out_of_a_request_can_be_protected() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = fixed_bundle(6, 0.0);
    for name in ["time_s", "channel", "session", "stock", "shelf"] {
        let config = format!("[law]\nprotected = [\"{name}\"]\n");
        let error = Engine::open(&engine_config(dir.path(), &bundle, &config, None)).unwrap_err();
        let message = error.to_string();
        assert!(
            message.contains(&format!("law.protected names `{name}`")),
            "{message}"
        );
        assert!(message.contains("daemon.toml:2"), "{message}");
    }
    let config = "[law]\nprotected = [\"user\", \"visits_56d\", \"age\"]\n";
    engine_with(dir.path(), &bundle, config, None).close().unwrap();
}
