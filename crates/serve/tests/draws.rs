//! How prices are drawn: with the probabilities that are logged, and not at all while they are frozen.
#![allow(clippy::unwrap_used)]

mod common;

use common::{ask, engine_with, mlp_bundle};
use haggle_core::Policy;
use haggle_serve::{Code, Engine, export};

const NOW: i64 = 1_600_000_000;

/// Chi-square of drawn rungs against the logged pmfs, over many draws of varying distributions.
#[test]
fn prices_are_drawn_with_the_probabilities_that_are_logged() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine_with(dir.path(), &mlp_bundle(), "", None);
    let draws = 26_000;
    let mut explored = 0;
    for n in 0..draws {
        let reply = engine
            .price(
                ask(&format!("s{}", n / 3), ["milk-0", "milk-1", "tea-2"][n % 3]),
                NOW,
            )
            .unwrap();
        explored += usize::from(reply.explored);
    }
    engine.close().unwrap();
    drop(engine);
    let journal = haggle_serve::Journal::open(&dir.path().join("store"), None).unwrap();
    let out = dir.path().join("out");
    let exported = export(&journal.reader(), &out).unwrap();
    assert_eq!(exported.offers, draws);
    let (mut expected, mut got) = ([0.0; 13], [0.0; 13]);
    let mut unexplored = 0.0;
    for path in exported.segments {
        for offer in haggle_core::read_segment(&std::fs::read(path).unwrap()).unwrap() {
            let logged = offer.logged.unwrap();
            let pmf = logged.pmf.probabilities();
            got[usize::from(logged.rung)] += 1.0;
            unexplored += pmf[logged.pmf.mode()];
            pmf.iter().zip(&mut expected).for_each(|(p, sum)| *sum += p);
        }
    }
    let terms = got.iter().zip(&expected);
    let chi_square: f64 = terms
        .map(|(got, expected): (&f64, &f64)| (got - expected).powi(2) / expected)
        .sum();
    assert!(
        chi_square < 32.9,
        "12 degrees of freedom, p = 0.001: {chi_square}"
    );
    let explored_expected = draws as f64 - unexplored;
    assert!((explored as f64 - explored_expected).abs() < 4.0 * explored_expected.sqrt());
}

#[test]
fn frozen_prices_are_the_most_probable_ones() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = mlp_bundle();
    let prices = |engine: &Engine, tag: &str| -> Vec<(bool, f64)> {
        let one = |n| engine.price(ask(&format!("{tag}{n}"), "milk-0"), NOW).unwrap();
        (0..100)
            .map(one)
            .map(|reply| (reply.explored, reply.propensity))
            .collect()
    };
    let first = engine_with(dir.path(), &bundle, "", None);
    assert!(prices(&first, "a").iter().any(|(explored, _)| *explored));
    first.freeze(true).unwrap();
    assert!(prices(&first, "b").iter().all(|answer| *answer == (false, 1.0)));
    first.close().unwrap();
    drop(first);
    let again = engine_with(dir.path(), &bundle, "", None);
    assert!(
        prices(&again, "c").iter().all(|answer| *answer == (false, 1.0)),
        "a restart does not thaw"
    );
    let refusal = again.swap(&dir.path().join("bundles").join(bundle.digest().short()), true);
    assert_eq!(refusal.unwrap_err().code, Code::Frozen);
}
