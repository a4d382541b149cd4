//! The tabular reference for market C.

use haggle_env::market::{LogitOligopoly, Market, Pricing};
use haggle_learn::{TabularConfig, TabularReport, tabular_q};

fn market() -> LogitOligopoly {
    let file = include_str!("../../../envs/c.toml");
    match toml::from_str(file).expect("a market") {
        Market::LogitOligopoly(market) => market,
        other => panic!("{other:?}"),
    }
}

fn learn(change: impl FnOnce(&mut TabularConfig)) -> TabularReport {
    let mut config = TabularConfig::default();
    change(&mut config);
    tabular_q(&market(), &config).expect("runs that settle")
}

#[test]
fn short_runs_repeat_and_settle() {
    // Exploration that fades forty times as fast: less to learn from, but the same machine.
    let short = || {
        learn(|config| {
            config.beta = 1.6e-4;
            config.stable_periods = 10_000;
            config.runs = 4;
        })
    };
    let report = short();
    assert_eq!(report, short());
    assert_eq!((report.settled, report.unsettled), (4, 0));
    // No price of the ladder is below the lowest Nash price by more than a rung, none above the monopoly's by more.
    assert!((-0.2..=1.0).contains(&report.delta_mean), "{report:?}");
}

#[test]
fn bad_settings_are_named() {
    for (change, sentence) in [
        (
            (|config| config.alpha = 0.0) as fn(&mut TabularConfig),
            "alpha = 0: above 0, at most 1 expected",
        ),
        (
            |config| config.discount = 1.0,
            "discount = 1: 0 to below 1 expected",
        ),
        (|config| config.runs = 0, "runs = 0: 1 to 1000000 expected"),
        (
            |config| config.runs = 100_000_000_000,
            "runs = 100000000000: 1 to 1000000 expected",
        ),
    ] {
        let mut config = TabularConfig::default();
        change(&mut config);
        let error = tabular_q(&market(), &config).expect_err("refused");
        assert_eq!(error.to_string(), sentence);
    }
}

#[test]
fn markets_that_tables_cannot_answer_are_refused_before_any_is_built() {
    for (change, part) in [
        (
            (|market| market.rivals = vec![Pricing::Fixed(1.6)]) as fn(&mut LogitOligopoly),
            "leave `rivals` out",
        ),
        (|market| market.sellers = 20, "3.33e23 states x 15 prices"),
        (|market| market.sellers = 8, "2.56e9 states"),
        (
            |market| (market.sellers, market.rungs) = (5, 60),
            "7.78e8 states x 60 prices x 5 sellers",
        ),
        (
            |market| market.sellers = 1,
            "the cartel earns no more than the equilibrium",
        ),
        (
            |market| market.prices = Some(vec![1.6]),
            "the cartel earns no more than the equilibrium",
        ),
    ] {
        let mut market = market();
        change(&mut market);
        let error = tabular_q(&market, &TabularConfig::default()).expect_err("refused");
        assert!(error.to_string().contains(part), "{error}");
    }
}

/// Calvano et al. 2020 as a thousand runs of another program repeat it: Delta .848 on average.
#[test]
#[ignore = "proof: 200 runs of about two million periods"]
fn two_hundred_runs_collude_as_published() {
    let report = learn(|_| ());
    println!("{report:?}");
    assert_eq!(report.unsettled, 0);
    assert!((report.delta_mean - 0.848).abs() <= 0.025, "{report:?}");
}

/// Without a future there is nothing to punish with: what is left of Delta is not collusion.
#[test]
#[ignore = "proof: 200 runs of about two million periods"]
fn without_a_future_they_hardly_do() {
    let report = learn(|config| config.discount = 0.0);
    println!("{report:?}");
    assert!((report.delta_mean - 0.222).abs() <= 0.025, "{report:?}");
}
