//! How often intervals hold the truth, and how often the gate promotes whom.

use crate::shop::{KINDS, Table, catalog, log};
use haggle_core::Seeds;
use haggle_eval::{Estimate, GateConfig, OffPolicyReport, compare};
use rayon::prelude::*;

const LOGS: u64 = 400;

fn incumbent() -> Table {
    Table::tilted("incumbent", |_, _| -0.2)
}

/// Dearer for shoppers who feel prices little; `push` for all.
fn candidate(push: f32) -> Table {
    Table::tilted("candidate", |kind, item| {
        [-0.3, 0.25, 0.1, 0.3][kind] - 0.1 * item as f32 + push
    })
}

/// The candidate whose exact value is `ratio` of the incumbent's; dearer is better in this range.
fn candidate_worth(ratio: f64) -> Table {
    let wanted = ratio * incumbent().value();
    let (mut low, mut high) = (-0.9f32, 0.4f32);
    for _ in 0..40 {
        let middle = (low + high) / 2.0;
        if candidate(middle).value() < wanted {
            low = middle;
        } else {
            high = middle;
        }
    }
    candidate(low)
}

fn reports(candidate: &Table, sessions: usize, seeds: &str) -> Vec<OffPolicyReport> {
    let (catalog, incumbent, seeds) = (
        catalog(),
        incumbent(),
        Seeds::new(11).named(seeds).indexed(sessions as u64),
    );
    let report = |n: u64| {
        let offers = log(&incumbent, sessions, &seeds.indexed(n));
        compare(&offers, &catalog, KINDS, candidate, &incumbent).unwrap()
    };
    (0..LOGS).into_par_iter().map(report).collect()
}

fn share(reports: &[OffPolicyReport], of: impl Fn(&OffPolicyReport) -> bool) -> f64 {
    reports.iter().filter(|report| of(report)).count() as f64 / reports.len() as f64
}

fn covers(estimate: &Estimate, truth: f64) -> bool {
    estimate.low <= truth && truth <= estimate.high
}

fn promoted(reports: &[OffPolicyReport]) -> f64 {
    let config = |report: &OffPolicyReport| GateConfig {
        occasions_min: report.occasions,
        ..GateConfig::default()
    };
    share(reports, |report| {
        config(report).shortfalls(report, None).is_empty()
    })
}

fn mean(reports: &[OffPolicyReport], of: impl Fn(&OffPolicyReport) -> f64) -> f64 {
    reports.iter().map(of).sum::<f64>() / reports.len() as f64
}

/// Of 400 logs, a share of .95 has a standard error of .011, and so has one of .05.
#[test]
fn intervals_hold_the_truth_and_an_equal_candidate_is_not_promoted() {
    let candidate = candidate_worth(1.0);
    let truth = candidate.value();
    assert!((truth - incumbent().value()).abs() < 1e-6);
    let mut false_promotions = 0.0;
    for sessions in [300, 1000] {
        let reports = reports(&candidate, sessions, "equal");
        let value = share(&reports, |report| {
            covers(&report.candidate.value.doubly_robust, truth)
        });
        let gain = share(&reports, |report| covers(&report.difference.doubly_robust, 0.0));
        println!("{sessions} sessions: value covered {value}, gain covered {gain}");
        assert!(
            (0.92..=0.98).contains(&value),
            "{sessions} sessions: value covered in {value}"
        );
        assert!(
            (0.92..=0.98).contains(&gain),
            "{sessions} sessions: gain covered in {gain}"
        );
        let narrower = mean(&reports, |report| {
            report.difference.doubly_robust.std_error / report.difference.ipw.std_error
        });
        assert!(
            narrower < 0.9,
            "{sessions} sessions: {narrower} of the width of weighting alone"
        );
        let promoted = promoted(&reports);
        println!("{sessions} sessions: {promoted} promoted, width {narrower}");
        false_promotions += promoted / 2.0;
    }
    // 800 logs: 5 % has a standard error of .8 %.
    assert!(
        false_promotions <= 0.065,
        "an equal candidate was promoted in {false_promotions}"
    );
}

#[test]
fn a_better_candidate_is_promoted_and_a_worse_one_is_not() {
    let better = promoted(&reports(&candidate_worth(1.05), 600, "better"));
    let worse = promoted(&reports(&candidate_worth(0.97), 600, "worse"));
    println!("promoted: better {better}, worse {worse}");
    assert!(better >= 0.8, "+5 % is promoted in {better}");
    assert!(worse <= 0.01, "-3 % is promoted in {worse}");
}
