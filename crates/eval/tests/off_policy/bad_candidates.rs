//! Candidates that the gate must not pass.

use crate::judged::{BETTER, SESSIONS, bundle, config, good_log, incumbent, reason, spoilt, terms, verdict};
use crate::shop::KINDS;
use haggle_core::{Catalog, Digest, PriceMinor, SavedCategory};
use haggle_eval::{GateConfig, judge};
use haggle_policy::{DataSource, Terms};

#[test]
fn a_candidate_is_not_judged_on_what_it_was_tuned_on() {
    let segment = DataSource {
        name: "0001.seg".to_owned(),
        digest: Digest::of(b"segment"),
    };
    let mut tuned = terms(0.1);
    tuned.provenance.data = vec![segment.clone()];
    let offers = good_log();
    let judge = |segment| {
        judge(
            &config(),
            &bundle(tuned.clone(), BETTER),
            &incumbent(),
            &offers,
            vec![segment],
        )
        .unwrap()
    };
    let left_out = offers.iter().filter(|offer| offer.judges()).count();
    assert!(left_out > 0 && left_out < offers.len());
    assert_eq!(judge(segment).report.unwrap().offers, left_out);
    let fresh = DataSource {
        name: "0002.seg".to_owned(),
        digest: Digest::of(b"later segment"),
    };
    assert_eq!(judge(fresh).report.unwrap().offers, offers.len());
}

#[test]
fn a_misfit_between_the_bundles_is_named() {
    let offers = good_log();
    let changed = |change: fn(&mut Terms)| {
        let mut terms = terms(0.1);
        change(&mut terms);
        reason(&verdict(&bundle(terms, BETTER), &offers)).to_owned()
    };
    let dearer = |terms: &mut Terms| {
        let mut groups = Vec::<SavedCategory>::from((*terms.catalog).clone());
        groups[0].items[0].high_minor = PriceMinor(141);
        terms.catalog = Catalog::new(groups).unwrap().into();
    };
    assert!(changed(dearer).contains("catalogue"));
    assert!(changed(|terms| terms.guardrails.margin_min = 0.1).contains("guardrails"));
    assert!(changed(|terms| terms.memory.sales = 0.1).contains("memory rates"));
    let itself = verdict(&incumbent(), &offers);
    assert!(
        itself.reasons[0].contains("the same bundle"),
        "{:?}",
        itself.reasons
    );
}

#[test]
fn a_candidate_far_from_the_log_is_refused() {
    let refused = verdict(&bundle(terms(0.0), [6.0; KINDS]), &good_log());
    let about = |text: &str| refused.reasons.iter().any(|reason| reason.contains(text));
    assert!(about("the effective size is"), "{:#?}", refused.reasons);
    assert!(about("the price index is"), "{:#?}", refused.reasons);
}

#[test]
fn a_dear_candidate_is_refused_by_its_own_limit_or_the_gates() {
    let mut cheap = terms(0.1);
    cheap.price_index_limit = Some(0.9);
    let candidate = bundle(cheap, BETTER);
    let refused = verdict(&candidate, &good_log());
    assert!(
        reason(&refused).ends_with("at most 0.9 is allowed, tolerance 0.01"),
        "{:?}",
        refused.reasons
    );
    let generous = GateConfig {
        price_index_max: Some(1.2),
        ..config()
    };
    let passed = judge(&generous, &candidate, &incumbent(), &good_log(), Vec::new()).unwrap();
    assert!(passed.verdict.passed, "{:?}", passed.reasons);
    let unsold = verdict(&candidate, &spoilt(1, |offer| offer.units = 0));
    assert!(
        unsold.reasons[0].contains("nothing was bought"),
        "{:?}",
        unsold.reasons
    );
}

#[test]
fn a_gain_that_is_not_sure_says_how_much_log_it_needs() {
    let offers = good_log();
    let cautious = GateConfig {
        confidence: 1.0 - 1e-14,
        ..config()
    };
    let refused = judge(
        &cautious,
        &bundle(terms(0.1), BETTER),
        &incumbent(),
        &offers,
        Vec::new(),
    )
    .unwrap();
    let needed = refused.occasions_needed.unwrap();
    assert!(needed > SESSIONS as u64, "{needed}");
    assert!(
        reason(&refused).ends_with(&format!("{needed} occasions would be needed")),
        "{:?}",
        refused.reasons
    );
    let worse = verdict(&bundle(terms(0.1), [0.3, -0.5, -0.5, -0.6]), &offers);
    assert_eq!(worse.occasions_needed, None);
    assert!(
        worse
            .reasons
            .last()
            .unwrap()
            .ends_with("does not look better at all"),
        "{:?}",
        worse.reasons
    );
}
