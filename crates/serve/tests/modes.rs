//! Live, apprentice, shadow, frozen; deadlines and fallbacks; and why a price is what it is.
#![allow(clippy::unwrap_used)]

mod common;

use common::{engine_with, fixed_bundle, mlp_bundle, named};
use haggle_core::{Policy, PriceMinor};
use haggle_serve::{Arrival, Code, Engine, Mode, Record, Source};
use std::path::Path;
use std::time::Duration;

const NOW: i64 = 1_600_000_000;

fn records(dir: &Path) -> Vec<haggle_serve::DecisionRecord> {
    let journal = haggle_serve::Journal::existing(&dir.join("store")).unwrap();
    let decisions = journal
        .reader()
        .scan(0)
        .filter_map(|record| match record.unwrap().1 {
            Record::Decision(record) => Some(*record),
            _ => None,
        });
    decisions.collect()
}

#[test]
fn an_apprentice_answers_the_callers_own_price_and_writes_down_what_he_would_have_said() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = mlp_bundle();
    let engine = engine_with(dir.path(), &bundle, "", None);
    engine.set_mode(Mode::Apprentice, None).unwrap();
    assert_eq!(
        engine.price(named("x", "s", "milk-0"), NOW).unwrap_err().code,
        Code::BadRequest
    );
    let mut request = named("d", "s", "milk-0");
    request.own_minor = Some(PriceMinor(103));
    let reply = engine.price(request, NOW).unwrap();
    assert_eq!(
        (reply.price_minor, reply.source),
        (PriceMinor(103), Source::Caller)
    );
    assert_eq!(
        (reply.rung, reply.propensity, reply.personal_data_used),
        (7, 1.0, false),
        "105 is the nearest rung"
    );
    engine
        .reward(common::earn("d", "r", 103), NOW)
        .unwrap()
        .1
        .blocking_recv()
        .unwrap()
        .unwrap();
    assert!(engine.explain("d", NOW).unwrap().replayed);
    engine.close().unwrap();
    drop(engine);
    let pmf = records(dir.path()).remove(0).offer.logged.unwrap().pmf;
    assert!(
        pmf.probabilities().iter().filter(|p| **p > 0.0).count() > 5,
        "the policy's own distribution"
    );
    let journal = haggle_serve::Journal::existing(&dir.path().join("store")).unwrap();
    let exported = haggle_serve::export(&journal.reader(), &dir.path().join("out")).unwrap();
    let offers = haggle_core::read_segment(&std::fs::read(&exported.segments[0]).unwrap()).unwrap();
    assert_eq!(
        (offers[0].value_minor, offers[0].logged.is_none()),
        (103, true),
        "nobody knows his propensity"
    );
    drop(journal);
    let again = engine_with(dir.path(), &bundle, "", None);
    assert_eq!(
        again.status().mode,
        Mode::Apprentice,
        "a restart does not end an apprenticeship"
    );
    again.freeze(true).unwrap();
    again.freeze(false).unwrap();
    assert_eq!(again.status().mode, Mode::Apprentice, "nor does a kill switch");
}

#[test]
fn a_shadow_is_scored_and_never_served() {
    let dir = tempfile::tempdir().unwrap();
    let (served, shadow) = (fixed_bundle(6, 0.0), mlp_bundle());
    let (_, folder) = shadow.write(&dir.path().join("candidates")).unwrap();
    let engine = engine_with(dir.path(), &served, "", None);
    assert_eq!(
        engine.set_mode(Mode::Shadow, None).unwrap_err().code,
        Code::BadRequest
    );
    engine.set_mode(Mode::Shadow, Some(&folder)).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    for part in 0..2 {
        let other = (part == 1).then(|| engine_with(&dir.path().join("other"), &served, "", None));
        let engine = other.as_ref().unwrap_or(&engine);
        for n in 0..20 {
            let reply = engine
                .price(named(&format!("{part}-{n}"), &format!("s{n}"), "milk-0"), NOW)
                .unwrap();
            assert_eq!(
                (reply.price_minor, reply.policy),
                (PriceMinor(100), served.digest()),
                "{n}"
            );
        }
        if let Some(other) = &other {
            other.close().unwrap();
        }
    }
    engine.close().unwrap();
    drop(engine);
    let engine = engine_with(dir.path(), &served, "", None);
    assert_eq!(
        (engine.status().mode, engine.status().shadow),
        (Mode::Shadow, Some(shadow.digest()))
    );
    engine.close().unwrap();
    drop(engine);
    for record in records(dir.path()) {
        let beside = record.shadow.unwrap();
        let draw = record.offer.logged.unwrap();
        let observation = haggle_core::Observation {
            item: 0,
            features: &draw.features,
        };
        assert_eq!(beside.policy, shadow.digest());
        assert_eq!(
            beside.pmf,
            shadow.pmf(observation, draw.mask).unwrap(),
            "on the same observation"
        );
        assert!(draw.mask.allows(usize::from(beside.rung)));
    }
    assert!(
        records(&dir.path().join("other"))
            .iter()
            .all(|record| record.shadow.is_none())
    );
}

#[test]
fn a_deadline_that_has_passed_gets_the_fallback_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine_with(
        dir.path(),
        &fixed_bundle(9, 0.0),
        "[prices]\ndeadline_ms = 60000\n",
        None,
    );
    let ask = |id: &str, deadline_ms, waited| {
        let arrival = Arrival::at(NOW);
        let since = arrival.since.checked_sub(Duration::from_millis(waited)).unwrap();
        let mut request = named(id, id, "milk-0");
        request.deadline_ms = deadline_ms;
        let reply = engine.quote(request, Arrival { since, ..arrival }).unwrap().reply;
        (reply.price_minor.0, reply.source, reply.propensity)
    };
    assert_eq!(ask("a", Some(5), 6), (100, Source::Deadline, 1.0));
    assert_eq!(
        ask("b", None, 6),
        (115, Source::Policy, 1.0),
        "a minute is allowed to those who do not say"
    );
    assert_eq!(ask("c", None, 60_001), (100, Source::Deadline, 1.0));
    assert_eq!(engine.status().fallbacks, 2);
    let card = engine.explain("a", NOW + 5).unwrap();
    assert!(
        card.replayed && card.why.contains("the deadline had passed"),
        "{}",
        card.why
    );
}

/// The card of every decision: the parts add up to the difference from the base price, and the decision comes out the same.
#[test]
fn a_card_explains_each_price_and_makes_it_again_to_the_last_bit() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (mlp_bundle(), fixed_bundle(4, 0.2));
    let (_, folder) = new.write(&dir.path().join("candidates")).unwrap();
    let book = "[all]\nfloor_minor = 1\nceiling_minor = 1000\n[item.\"milk-0\"]\nceiling_minor = 105\n";
    let engine = engine_with(dir.path(), &old, "", Some(book));
    let mut bound = 0;
    let decide = |engine: &Engine, round: usize| {
        for n in 0..30 {
            let id = format!("{round}-{n}");
            let request = named(
                &id,
                &format!("{round} s{}", n / 3),
                ["milk-0", "milk-1", "tea-0"][n % 3],
            );
            let reply = engine.price(request, NOW + n as i64).unwrap();
            if n % 4 == 0 {
                engine.reward(common::earn(&id, "r", 9), NOW).unwrap();
            }
            assert_eq!(reply.decision, id);
        }
    };
    decide(&engine, 0);
    engine.swap(&folder, true).unwrap();
    decide(&engine, 1);
    engine.freeze(true).unwrap();
    decide(&engine, 2);
    for round in 0..3 {
        for n in 0..30 {
            let id = format!("{round}-{n}");
            let (card, told) = (
                engine.explain(&id, NOW + 100).unwrap(),
                engine.get(&id).unwrap().price,
            );
            assert!(card.replayed, "{card:?}");
            assert_eq!(
                (card.price_minor, card.propensity, card.binding),
                (told.price_minor, told.propensity, told.binding)
            );
            let sum: f64 = card.contributions.iter().map(|part| part.minor).sum();
            let difference = f64::from(card.price_minor.0) - f64::from(card.base_minor.0);
            assert!((sum - difference).abs() < 1e-9, "{sum} {difference}");
            assert_eq!(card.policy, told.policy);
            assert!(
                card.ladder
                    .iter()
                    .any(|rung| rung.price_minor == card.price_minor && rung.allowed)
            );
            assert!(
                card.why.starts_with(&card.price_minor.to_string())
                    || card.why.starts_with("the policy finds")
            );
            bound += usize::from(card.binding.is_some() && card.why.contains("holds it there"));
            let parts: Vec<&str> = card.contributions.iter().map(|part| part.of.as_str()).collect();
            match round {
                2 => assert_eq!(parts, ["static"]),
                _ => assert_eq!(parts.len(), 8, "{parts:?}"),
            }
        }
    }
    assert!(bound > 5, "the ceiling binds now and then: {bound}");
    assert_eq!(
        engine.explain("none", NOW).unwrap_err().code,
        Code::UnknownDecision
    );
}

#[test]
fn a_shadow_that_is_served_is_no_shadow_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let (served, shadow) = (fixed_bundle(6, 0.0), mlp_bundle());
    let write = |bundle: &haggle_policy::Bundle| bundle.write(&dir.path().join("candidates")).unwrap().1;
    let (served_at, shadow_at, other_at) = (write(&served), write(&shadow), write(&fixed_bundle(3, 0.0)));
    let engine = engine_with(dir.path(), &served, "", None);
    let itself = engine.set_mode(Mode::Shadow, Some(&served_at)).unwrap_err();
    assert_eq!(itself.code, Code::BundleRefused);
    let stands = |engine: &Engine| {
        let status = engine.status();
        (status.policy, status.mode, status.shadow)
    };
    engine.set_mode(Mode::Shadow, Some(&shadow_at)).unwrap();
    engine.swap(&other_at, true).unwrap();
    assert_eq!(
        engine.status().mode,
        Mode::Shadow,
        "another bundle is still compared with it"
    );
    engine.swap(&shadow_at, true).unwrap();
    let now = (shadow.digest(), Mode::Live, None);
    assert_eq!(stands(&engine), now);
    engine.close().unwrap();
    drop(engine);
    let engine = engine_with(dir.path(), &served, "", None);
    assert_eq!(stands(&engine), now);
    // The same by a rollback.
    engine.swap(&served_at, true).unwrap();
    engine.set_mode(Mode::Shadow, Some(&shadow_at)).unwrap();
    engine.rollback().unwrap();
    assert_eq!(stands(&engine), now);
}
