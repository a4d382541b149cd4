//! The shop's rules as a file: what binds, what the answer says of it, and what may not move a price.
#![allow(clippy::unwrap_used)]

mod common;

use common::{engine_with, fixed_bundle, mlp_bundle, named};
use haggle_core::{Period, PriceMinor, Rule};
use haggle_serve::{Code, DISCLOSURE, Engine, PriceReply, PriceRequest, Record, Source};
use std::collections::BTreeMap;

const NOW: i64 = 1_600_000_000;
const NO_STICK: &str = "[prices]\nsticky_s = 0\n";

/// Asks anew, in a session of its own.
fn quote(engine: &Engine, id: &str, item: &str, now_s: i64) -> PriceReply {
    engine.price(named(id, id, item), now_s).unwrap()
}

fn names(reply: &PriceReply) -> Vec<Rule> {
    reply.trail.iter().map(|step| step.rule).collect()
}

#[test]
fn the_nearest_table_speaks_and_without_bounds_there_is_no_automation() {
    let dir = tempfile::tempdir().unwrap();
    let book = r#"
[all]
floor_minor = 90
[category.milk]
ceiling_minor = 160
[item."milk-0"]
floor_minor = 95
ceiling_minor = 105
[item."milk-2"]
ceiling_minor = 210
freeze = true
"#;
    let engine = engine_with(dir.path(), &fixed_bundle(9, 0.0), NO_STICK, Some(book));
    let own = quote(&engine, "a", "milk-0", NOW);
    assert_eq!(
        (own.price_minor, own.binding),
        (PriceMinor(105), Some(Rule::Ceiling)),
        "115 is wanted"
    );
    assert_eq!(names(&own), [Rule::Floor, Rule::Ceiling]);
    assert_eq!(own.trail.last().unwrap().left, 3, "95, 100 and 105");
    let group = quote(&engine, "b", "milk-1", NOW);
    assert_eq!(group.price_minor, PriceMinor(158), "the highest rung up to 160");
    let unbounded = quote(&engine, "c", "tea-0", NOW);
    assert_eq!(
        (unbounded.price_minor, unbounded.source),
        (PriceMinor(100), Source::Static)
    );
    assert_eq!(names(&unbounded).last(), Some(&Rule::NoBounds));
    let mut request = named("d", "d", "tea-0");
    request.bounds.ceiling_minor = Some(PriceMinor(130));
    let bounded = engine.price(request, NOW).unwrap();
    assert_eq!(
        (bounded.price_minor, bounded.source),
        (PriceMinor(115), Source::Policy),
        "bounds of the request count"
    );
    let frozen = quote(&engine, "e", "milk-2", NOW);
    assert_eq!(
        (frozen.price_minor, frozen.source),
        (PriceMinor(200), Source::Static)
    );
    assert_eq!(
        engine.price(named("a", "a", "milk-0"), NOW + 9).unwrap(),
        own,
        "again, with its trail"
    );
}

#[test]
fn a_price_moves_no_further_than_the_rule_allows_in_a_period() {
    let dir = tempfile::tempdir().unwrap();
    let book = r#"
[all]
floor_minor = 1
ceiling_minor = 1000
change = { share_max = 0.051, period = "day" }
"#;
    let bundle = fixed_bundle(12, 0.0);
    let day = Period::Day.seconds();
    let mut prices = Vec::new();
    for n in 0..8 {
        // A restart every step: what stood is rebuilt from the journal.
        let engine = engine_with(dir.path(), &bundle, NO_STICK, Some(book));
        prices.push(
            quote(&engine, &format!("d{n}"), "milk-0", NOW + n / 2 * day)
                .price_minor
                .0,
        );
        engine.close().unwrap();
    }
    assert_eq!(
        prices,
        [105, 105, 110, 110, 115, 115, 120, 120],
        "five per cent of what stood, once a day"
    );
}

#[test]
fn segments_stay_within_the_corridor_whatever_the_policy_wants() {
    let dir = tempfile::tempdir().unwrap();
    let book = r#"
segment_by = "tier"
[all]
floor_minor = 1
ceiling_minor = 1000
corridor = { share_max = 0.1, memory_s = 86400 }
"#;
    let engine = engine_with(dir.path(), &mlp_bundle(), NO_STICK, Some(book));
    let mut last: BTreeMap<String, u32> = BTreeMap::new();
    let (mut bound, mut prices) = (0, BTreeMap::new());
    for n in 0..2_000 {
        let tier = ["gold", "silver", "none"][n * n % 3].to_owned();
        let mut request = named(&format!("d{n}"), &format!("s{n}"), "milk-1");
        request.attributes.insert("tier".to_owned(), tier.clone());
        let reply = engine.price(request, NOW + n as i64).unwrap();
        bound += usize::from(names(&reply).contains(&Rule::Corridor));
        *prices.entry(reply.price_minor.0).or_insert(0) += 1;
        last.insert(tier, reply.price_minor.0);
        let (low, high) = (last.values().min().unwrap(), last.values().max().unwrap());
        assert!(f64::from(*high) <= f64::from(*low) * 1.1 + 1e-6, "{last:?}");
        assert!(reply.personal_data_used, "the segment moves the corridor");
    }
    assert!(
        bound > 100 && prices.len() > 3,
        "the rule bound {bound} times: {prices:?}"
    );
}

/// Everything that is named in `protected` may change: no bit of an observation, and no price, does.
#[test]
fn protected_attributes_reach_no_feature() {
    let config = r#"
[law]
protected = ["gender", "user", "spend_mean_minor", "recency_days"]
[prices]
sticky_s = 0
"#;
    let bundle = mlp_bundle();
    let run =
        |gender: Option<&str>, user: &str, spend: f32, recency: f32| -> Vec<(Vec<u32>, Vec<u64>, u32)> {
            let dir = tempfile::tempdir().unwrap();
            let engine = engine_with(dir.path(), &bundle, config, None);
            for n in 0..40 {
                let mut request = named(
                    &format!("d{n}"),
                    &format!("s{}", n / 3),
                    ["milk-0", "milk-1", "tea-0"][n % 3],
                );
                request.user = Some(format!("{user}{}", n % 5));
                request.context.spend_mean_minor = Some(spend * n as f32);
                request.context.recency_days = Some(recency);
                request.attributes = gender
                    .map(|value| ("gender".to_owned(), value.to_owned()))
                    .into_iter()
                    .collect();
                let reply = engine.price(request, NOW).unwrap();
                engine.reward(common::earn(&reply.decision, "r", 5), NOW).unwrap();
            }
            engine.close().unwrap();
            drop(engine);
            let journal = haggle_serve::Journal::existing(&dir.path().join("store")).unwrap();
            let records = journal
                .reader()
                .scan(0)
                .filter_map(|record| match record.unwrap().1 {
                    Record::Decision(record) => Some(record),
                    _ => None,
                });
            records
                .map(|record| {
                    assert_eq!(record.offer.user, None, "it is not even written down");
                    let draw = record.offer.logged.unwrap();
                    let features = draw.features.iter().map(|value| value.to_bits()).collect();
                    let pmf = draw.pmf.probabilities().iter().map(|p| p.to_bits()).collect();
                    (features, pmf, record.offer.price_minor.0)
                })
                .collect()
        };
    let reference = run(None, "u", 0.0, 0.0);
    assert_eq!(reference.len(), 40);
    assert_eq!(run(Some("f"), "ann", 100.0, 3.0), reference);
    assert_eq!(run(Some("m"), "bob", 9e6, 400.0), reference);
}

#[test]
fn attributes_that_nothing_names_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine_with(dir.path(), &fixed_bundle(6, 0.0), "", None);
    let mut request: PriceRequest = named("d", "s", "milk-0");
    request.attributes.insert("zip".to_owned(), "10115".to_owned());
    let refusal = engine.price(request, NOW).unwrap_err();
    assert_eq!(refusal.code, Code::BadRequest);
    assert!(refusal.message.contains("attribute `zip`"), "{}", refusal.message);
}

#[test]
fn a_price_that_personal_data_could_move_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let says = |engine: &Engine, id: &str, user: Option<&str>, visits: Option<f32>| {
        let mut request = named(id, id, "milk-0");
        request.user = user.map(str::to_owned);
        request.context.visits_56d = visits;
        let reply = engine.price(request, NOW).unwrap();
        assert_eq!(reply.disclosure.is_some(), reply.personal_data_used);
        reply.disclosure
    };
    let engine = engine_with(&dir.path().join("mlp"), &mlp_bundle(), "", None);
    assert_eq!(says(&engine, "a", None, None), None);
    assert_eq!(
        says(&engine, "b", Some("new"), None),
        None,
        "nothing is known of him"
    );
    assert_eq!(says(&engine, "c", None, Some(2.0)).as_deref(), Some(DISCLOSURE));
    assert_eq!(
        DISCLOSURE,
        "THIS PRICE WAS SET BY AN ALGORITHM USING YOUR PERSONAL DATA."
    );
    engine.price(named("d", "d", "milk-0"), NOW).unwrap();
    engine.reward(common::earn("d", "r", 5), NOW).unwrap();
    assert_eq!(
        says(&engine, "e", Some("user of d"), None).as_deref(),
        Some(DISCLOSURE),
        "he has bought before"
    );
    let fixed = engine_with(&dir.path().join("fixed"), &fixed_bundle(6, 0.0), "", None);
    assert_eq!(
        says(&fixed, "a", Some("u"), Some(2.0)),
        None,
        "a fixed price looks at nobody"
    );
}

#[test]
fn a_session_keeps_its_price_and_its_cart_never_gets_dearer() {
    let dir = tempfile::tempdir().unwrap();
    let config = "[prices]\nsticky_s = 100\n";
    let bundle = mlp_bundle();
    let engine = engine_with(dir.path(), &bundle, config, None);
    let ask = |engine: &Engine, id: &str, session: &str, now_s| {
        engine.price(named(id, session, "milk-0"), now_s).unwrap()
    };
    let first = ask(&engine, "first", "s", NOW);
    for n in 0..20 {
        let again = ask(&engine, &format!("again {n}"), "s", NOW + 99);
        assert_eq!((again.price_minor, again.propensity), (first.price_minor, 1.0));
        assert!(again.rules.contains(&Rule::Sticky));
    }
    let later: Vec<_> = (0..20)
        .map(|n| ask(&engine, &format!("later {n}"), &format!("t{n}"), NOW + 100))
        .collect();
    assert!(
        later.iter().any(|reply| reply.price_minor != first.price_minor),
        "others draw their own"
    );
    let expired = ask(&engine, "expired", "s", NOW + 100);
    assert!(!expired.rules.contains(&Rule::Sticky));
    let (lowest, cart) = (
        later.iter().min_by_key(|reply| reply.price_minor).unwrap(),
        100..140,
    );
    engine
        .cart(&lowest.decision, NOW + 101)
        .unwrap()
        .1
        .blocking_recv()
        .unwrap()
        .unwrap();
    let session = format!("t{}", lowest.decision.trim_start_matches("later "));
    engine.close().unwrap();
    drop(engine);
    let engine = engine_with(dir.path(), &bundle, "[prices]\nsticky_s = 0\n", None);
    for n in cart {
        let reply = ask(&engine, &format!("cart {n}"), &session, NOW + 300);
        assert!(
            reply.price_minor <= lowest.price_minor,
            "after a restart, too: {reply:?}"
        );
    }
}
