//! The gate on a good log, and on logs that are bad in one way each.

use crate::judged::{BETTER, SESSIONS, bundle, config, good_log, incumbent, reason, spoilt, terms, verdict};
use crate::shop::{ITEMS, KINDS, RUNGS, Table, catalog};
use haggle_core::{Catalog, DecisionId, Digest, Logged, Mask, Offer, Pmf, Policy, PriceMinor, SavedCategory};
use haggle_eval::{GateConfig, GateVerdict, OffPolicyReport, judge};
use haggle_policy::{DataSource, GATE_FILE, Verdict};

type Spoil = fn(&mut Offer);

#[test]
fn users_who_are_held_out_are_left_out_of_every_estimate() {
    let items = catalog();
    let mut offers = good_log();
    let held_out = |offer: &Offer| offer.session.ends_with('7');
    for offer in offers.iter_mut().filter(|offer| held_out(offer)) {
        offer.price_minor = items.items()[items.find(&offer.item).unwrap()].base_minor;
        let logged = offer.logged.as_mut().unwrap();
        (logged.policy, logged.pmf, logged.rung) = (Logged::held_out(), Pmf::certain(RUNGS, 2), 2);
    }
    let candidate = bundle(terms(0.1), BETTER);
    let rest: Vec<Offer> = offers.iter().filter(|offer| !held_out(offer)).cloned().collect();
    let [all, rest] = [&offers, &rest].map(|offers| verdict(&candidate, offers).report.unwrap());
    assert_eq!(all.offers_held_out, offers.len() / 10);
    assert_eq!(all.offers + all.offers_held_out, offers.len());
    let offers_held_out = 0;
    let all = OffPolicyReport {
        offers_held_out,
        ..all
    };
    assert_eq!(all, rest, "as if they had not been there");
    offers.retain(held_out);
    let said = reason(&verdict(&candidate, &offers)).to_owned();
    assert!(said.contains("0 users"), "{said}");
}

#[test]
fn a_better_candidate_passes_and_its_verdict_reads_back() {
    let segments = vec![DataSource {
        name: "0001.seg".to_owned(),
        digest: Digest::of(b"segment"),
    }];
    let candidate = bundle(terms(0.1), BETTER);
    let verdict = judge(&config(), &candidate, &incumbent(), &good_log(), segments).unwrap();
    assert!(verdict.verdict.passed, "{:#?}", verdict.reasons);
    let report = verdict.report.as_ref().unwrap();
    assert_eq!((report.occasions, report.offers), (SESSIONS, SESSIONS * ITEMS));
    assert_eq!(
        (report.offers_of_incumbent, report.offers_not_reproduced),
        (SESSIONS * ITEMS, 0)
    );
    assert!(
        (report.incumbent.overlap.effective_share - 1.0).abs() < 1e-9,
        "its own log fits the incumbent"
    );
    assert!((report.incumbent.value.ipw.value - report.logged.value).abs() < 1e-9);

    let folder = tempfile::tempdir().unwrap();
    let path = verdict.write(folder.path()).unwrap();
    assert_eq!(path, folder.path().join(GATE_FILE));
    let json = std::fs::read(&path).unwrap();
    assert_eq!(serde_json::from_slice::<GateVerdict>(&json).unwrap(), verdict);
    assert_eq!(serde_json::from_slice::<Verdict>(&json).unwrap(), verdict.verdict);
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "no draft is left"
    );
}

#[test]
fn the_order_of_the_log_does_not_matter() {
    let candidate = bundle(terms(0.1), BETTER);
    let mut offers = good_log();
    let forwards = verdict(&candidate, &offers);
    offers.reverse();
    assert_eq!(verdict(&candidate, &offers), forwards);
}

#[test]
fn unusable_offers_are_counted_by_fault() {
    let candidate = bundle(terms(0.1), BETTER);
    let refusal = |spoil: Spoil| reason(&verdict(&candidate, &spoilt(900, spoil))).to_owned();
    let cases: [(Spoil, &str); 8] = [
        (|offer| offer.logged = None, "no propensity was logged"),
        (|offer| offer.item = "unknown".to_owned(), "no such item"),
        (|offer| offer.category = "elsewhere".to_owned(), "no such item"),
        (
            |offer| offer.price_minor = PriceMinor(7),
            "not the price of the drawn rung",
        ),
        (
            |offer| offer.logged.as_mut().unwrap().mask = Mask(1),
            "no distribution",
        ),
        (
            |offer| offer.logged.as_mut().unwrap().pmf = Pmf::certain(RUNGS + 1, RUNGS),
            "no distribution",
        ),
        (
            |offer| offer.logged.as_mut().unwrap().features.truncate(3),
            "another width",
        ),
        (
            |offer| offer.logged.as_mut().unwrap().decision = DecisionId("again".to_owned()),
            "twice",
        ),
    ];
    for (spoil, expected) in cases {
        let reason = refusal(spoil);
        assert!(reason.contains(expected), "{reason}");
        let count = if expected == "twice" { "9 of" } else { "10 of" };
        assert!(reason.starts_with(count), "{reason}");
    }
    let impossible = |offer: &mut Offer| {
        let logged = offer.logged.as_mut().unwrap();
        logged.pmf = Pmf::certain(RUNGS, (usize::from(logged.rung) + 1) % RUNGS);
    };
    let refused = verdict(&candidate, &spoilt(900, impossible));
    assert!(
        reason(&refused).contains("had probability 0"),
        "{:?}",
        refused.reasons
    );
}

#[test]
fn an_empty_log_is_refused_in_words() {
    let refused = verdict(&bundle(terms(0.1), BETTER), &[]);
    assert!(
        reason(&refused).contains("an interval needs 2"),
        "{:?}",
        refused.reasons
    );
    assert_eq!(refused.report, None);
}

#[test]
fn prices_that_the_guardrails_forbid_are_counted() {
    let mut ruled = terms(0.1);
    let mut groups = Vec::<SavedCategory>::from((*ruled.catalog).clone());
    groups[0].items[1].low_minor = PriceMinor(120); // its lowest rung, 0.90, loses its support
    ruled.catalog = Catalog::new(groups).unwrap().into();
    let old = bundle(ruled.clone(), [-0.2; KINDS]);
    let mut offers = good_log();
    offers
        .iter_mut()
        .for_each(|offer| offer.logged.as_mut().unwrap().policy = old.digest());
    let refused = judge(&config(), &bundle(ruled, BETTER), &old, &offers, Vec::new()).unwrap();
    assert!(
        reason(&refused).starts_with("3000 of 9000 offers allowed prices"),
        "{:?}",
        refused.reasons
    );
}

#[test]
fn false_propensities_are_found() {
    let candidate = bundle(terms(0.1), BETTER);
    let other = Digest::of(b"another policy");
    let flat = |offer: &mut Offer| {
        let logged = offer.logged.as_mut().unwrap();
        logged.policy = other;
        logged.pmf = Pmf::from_logits(&[0.0; RUNGS], Mask::all(RUNGS), 0.0).unwrap();
    };
    let refused = verdict(&candidate, &spoilt(1, flat));
    assert!(
        refused.reasons[0].contains("not drawn with the logged probabilities"),
        "{:?}",
        refused.reasons
    );
}

#[test]
fn frozen_prices_are_no_evidence() {
    let frozen = |offer: &mut Offer| {
        let logged = offer.logged.as_mut().unwrap();
        logged.pmf = Pmf::certain(RUNGS, usize::from(logged.rung));
    };
    let refused = verdict(&bundle(terms(0.1), BETTER), &spoilt(100, frozen));
    assert!(
        refused.reasons[0].contains("90 of 9000 offers priced by the incumbent"),
        "{:?}",
        refused.reasons
    );
    assert!(
        refused.reasons[1].contains("could not occur in the log"),
        "{:?}",
        refused.reasons
    );
}

#[test]
fn one_heavy_occasion_is_refused() {
    // The dearest prices of all three items, once, in a log that hardly ever shows them.
    let rare = Pmf::from_logits(&[0.0, 0.0, 0.0, 0.0, -6.0], Mask::all(RUNGS), 0.0).unwrap();
    let mut offers = good_log();
    for (n, offer) in offers.iter_mut().enumerate() {
        let item = n % ITEMS;
        let logged = offer.logged.as_mut().unwrap();
        logged.policy = Digest::of(b"another policy");
        logged.rung = if n < ITEMS {
            4
        } else {
            rare.draw(f64::from(logged.rung) / 6.0 + 0.05).rung as u8
        };
        logged.pmf = rare.clone();
        offer.price_minor = catalog().items()[item].ladder.price(usize::from(logged.rung));
    }
    let refused = verdict(&bundle(terms(0.1), BETTER), &offers);
    let heavy = refused
        .reasons
        .iter()
        .any(|reason| reason.contains("one occasion holds"));
    assert!(heavy, "{:#?}", refused.reasons);
    assert!(
        refused
            .reasons
            .iter()
            .any(|reason| reason.contains("the mean weight is")),
        "{:#?}",
        refused.reasons
    );
}

#[test]
fn too_small_a_log_says_what_was_planned() {
    let planned = GateConfig {
        occasions_min: SESSIONS + 1,
        ..config()
    };
    let refused = judge(
        &planned,
        &bundle(terms(0.1), BETTER),
        &incumbent(),
        &good_log(),
        Vec::new(),
    )
    .unwrap();
    assert_eq!(reason(&refused), "3000 occasions in the log, 3001 were planned");
}

#[test]
fn the_price_index_of_a_known_basket() {
    // The incumbent's mean price multiple of one item, for one kind of shopper, whatever was bought.
    let pmf = Table::tilted("incumbent", |_, _| -0.2).at(0, 0);
    let expected = pmf.mean(|rung| 0.6 + 0.2 * rung as f64);
    let report = verdict(&bundle(terms(0.1), BETTER), &good_log()).report.unwrap();
    let index = report.incumbent.price_index.unwrap();
    assert!(
        (index.value - expected).abs() < 1e-6,
        "{index:?} instead of {expected}"
    );
}
