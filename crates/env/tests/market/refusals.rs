//! Parameters that make no market are refused by the name of their field; what is out of reach, with its size.

use crate::files::market;
use haggle_env::market::{MarketEnv, OracleError};

#[test]
fn every_bad_parameter_is_named() {
    let cases = [
        ("a1", "periods", "-1"),
        ("a1", "arrival_rate", "nan"),
        ("a1", "price_scale", "inf"),
        ("a1", "stock", "0"),
        ("a2", "periods", "0"),
        ("a2", "arrival_rate", "-0.1"),
        ("a2", "arrival_rate", "1.5"),
        ("a2", "prices", "[]"),
        ("a2", "prices", "[30, 20]"),
        ("a2", "prices", "[20, 20]"),
        ("a2", "prices", "[-1, 20]"),
        ("a2", "prices", "[20, nan]"),
        ("a4", "stock", "0"),
        ("a4", "base_rate", "-2"),
        ("a4", "price_scale_end", "0"),
        ("a4", "sell_through_min", "1.0"),
        ("a4", "sell_through_min", "0"),
        ("b1", "probabilities", "[0.5]"),
        ("b1", "probabilities", "[0.8, 0.6, 0.3, 1.1]"),
        ("b2", "uses", "[[1, 3], [1, 1]]"),
        ("b2", "stock", "[3, 5, -7]"),
        ("b2", "prices", "[[1, 2, 3]]"),
        (
            "b2",
            "demand",
            "{ linear = { intercepts = [8], slopes = [1.5, 3] } }",
        ),
        ("b3", "arrival_rate", "[0.6, 0.6, 0.1]"),
        ("b3", "arrival_rate", "[0.1, 0.1]"),
        ("b3", "uses", "[[1, 0], [0, 1], [0, 0]]"),
        ("b3", "prices", "[[60, 90, 130], [60, 90, 130], []]"),
        ("b3", "common_share", "2"),
        ("c", "sellers", "0"),
        ("c", "sellers", "101"),
        ("c", "costs", "[1.0]"),
        ("c", "costs", "-1"),
        ("c", "quality", "[2.0, 2.0, 2.0]"),
        ("c", "mu", "0"),
        ("c", "mu", "1e-308"),
        ("c", "rungs", "1"),
        ("c", "prices", "[]"),
        ("c", "discount", "1"),
        ("c", "common_share", "-0.5"),
        ("c", "rivals", "[1.4, 1.5]"),
        ("c", "rivals", "[-1]"),
        ("c2", "capacity", "0"),
        ("d", "steps", "0"),
        ("d", "start", "0.4"),
        ("d", "discount", "1.0"),
        ("e1", "weights", "[0.5, 0.3, 0.2, 0.1]"),
        ("e1", "slopes", "[0.1, 0.08, 0.06, 0]"),
        ("e1", "corridor", "1"),
        ("e2", "slope", "0"),
        ("f", "salvage", "-5"),
        ("f", "week_weights", "[]"),
        ("f", "week_weights", "[1, 1, 1, 1, 1, 1]"),
        ("f", "trend", "[1, inf]"),
        ("g0", "discount", "-0.1"),
        ("g0", "loss", "-1"),
        ("h1", "periods", "0"),
        ("h1", "price_max", "10"),
        ("i", "price_min", "-1"),
        ("i", "intercept", "0.9"),
        ("a2-continuous", "rungs_per_period_max", "1"),
        ("a2-continuous", "prices", "[1.0]"),
        ("hidden-type", "weights", "[0.5, 0.6]"),
        ("hidden-type", "probabilities", "[[0.5, 0.05]]"),
    ];
    for (name, key, value) in cases {
        let market = market(name, &[(key, value)]);
        let error = market.oracle().expect_err("a refusal");
        assert_eq!(error.field(), key, "{name}: {key} = {value}: {error}");
        assert_eq!(market.check(), Err(error.clone()), "{name}: {key} = {value}");
        assert!(error.to_string().contains("expected"), "{error}");
    }
}

#[test]
fn any_price_needs_a_top_that_reaches_the_cartel() {
    let topped = |top: &str| market("c-continuous", &[("prices", &format!("[1.0, {top}]"))]);
    // The cartel of market C asks 1.92498 (Calvano et al. 2020).
    assert!(topped("1.93").oracle().is_ok() && MarketEnv::new(&topped("1.93"), 1).is_ok());
    let low = topped("1.9").oracle().expect_err("a refusal");
    assert_eq!(
        low.to_string(),
        "prices = [1.0, 1.9]: a highest price of at least 1.925 (the dearest Nash or cartel price), where action = \
         \"multiplier\", expected"
    );
}

#[test]
fn what_a_seller_does_is_told_as_the_file_says_it() {
    let refused = |sets: &[(&str, &str)]| {
        let error = MarketEnv::new(&market("c-continuous", sets), 1).expect_err("a refusal");
        error.to_string()
    };
    let free = refused(&[("costs", "0.0")]);
    assert!(free.starts_with("costs = 0.0: costs above 0"), "{free}");
    let mixed = refused(&[("sellers", "3"), ("rivals", "[1.6, \"best-reply\"]")]);
    assert!(
        mixed.starts_with("rivals = [1.6, \"best-reply\"]: no rivals"),
        "{mixed}"
    );
}

#[test]
fn a_corridor_without_a_price_inside_is_refused() {
    let narrow = market("e1-ladder", &[("corridor", "0.01"), ("reference_price", "42.5")]);
    let refusal = narrow.oracle().expect_err("a refusal");
    assert_eq!(refusal.field(), "reference_price");
    assert_eq!(
        refusal.to_string(),
        "reference_price = 42.5: a corridor with a price of the ladder inside expected"
    );
    assert_eq!(narrow.check().expect_err("a refusal"), refusal);
    assert_eq!(
        MarketEnv::new(&narrow, 1).expect_err("a refusal").field(),
        "reference_price"
    );
}

#[test]
fn what_cannot_be_sold_cannot_be_asked_for() {
    let scarce = market(
        "sell-through",
        &[("base_rate", "0.2"), ("sell_through_min", "0.99")],
    );
    assert_eq!(
        scarce.oracle().expect_err("a refusal").field(),
        "sell_through_min"
    );
}

#[test]
fn what_is_too_large_says_so_with_its_size() {
    let cases = [
        market("a1", &[("stock", "10000000")]),
        market("a2", &[("periods", "1000000"), ("stock", "100000")]),
        market("a4", &[("periods", "100000"), ("stock", "10000")]),
        market("b1", &[("periods", "1000000"), ("stock", "1000000")]),
        market("b3", &[("periods", "100000"), ("stock", "[300, 300]")]),
        market("f", &[("periods", "1000"), ("stock", "10000")]),
        market("hidden-type", &[("periods", "1000")]),
    ];
    for market in cases {
        let error = market.oracle().expect_err("a refusal");
        assert!(matches!(error, OracleError::TooLarge { .. }), "{error}");
        assert_eq!(market.check(), Err(error));
    }
    for wide in [
        market("c", &[("sellers", "9"), ("rivals", "[1.5]")]),
        market("b3", &[("stock", "[3000, 3000]")]),
    ] {
        let error = wide.oracle().expect_err("a refusal");
        assert!(matches!(error, OracleError::TooManyStates { .. }), "{error}");
    }
}

#[test]
fn all_that_is_solved_counts() {
    // 200 periods of 1001 x 1001 states; 3 products with 3 prices each: 27 choices of fixed prices and 2 references value one
    // price per product, the optimum and equal chances all 9; a shopper buys or does not.
    let b3 = market("b3", &[("stock", "[1000, 1000]")]);
    assert_eq!(
        b3.check().expect_err("a refusal").to_string(),
        "solving the market takes 2.00e8 states x 105 actions x 2 outcomes; up to 2e10 of them (about a minute) are solved \
         exactly: fewer periods, less stock or fewer prices are needed"
    );
    // A menu of 40 prices for each of 20 products: 40^20 choices, which are counted and not made.
    let menu: Vec<f64> = (1..=40).map(f64::from).collect();
    let wide = market(
        "b3",
        &[
            ("stock", "[1]"),
            ("uses", &format!("{:?}", vec![[1]; 20])),
            ("arrival_rate", &format!("{:?}", vec![0.05; 20])),
            ("prices", &format!("{:?}", vec![menu.clone(); 20])),
            ("probabilities", &format!("{:?}", vec![vec![0.5; 40]; 20])),
        ],
    );
    let error = wide.oracle().expect_err("a refusal");
    assert!(matches!(error, OracleError::TooLarge { .. }), "{error}");
    assert!(market("b3", &[("stock", "[300, 300]")]).check().is_ok());
}

#[test]
fn numbers_that_cannot_be_counted_are_refused() {
    let cases = [
        ("a2", "price_scale", "1e308"),
        ("b1", "prices", "[1e38, 2e38, 3e38, 4e38]"),
        ("c", "quality", "1e308"),
        ("e1", "intercepts", "[1e308, 5, 4.5, 6]"),
        ("e2", "slope_slope", "1e308"),
        ("f", "salvage", "1e308"),
        ("g0", "base_rate", "1e308"),
        ("i", "intercept", "1e308"),
    ];
    for (name, key, value) in cases {
        let answer = market(name, &[(key, value)]).oracle();
        let error = answer.expect_err(&format!("{name}: {key} = {value}"));
        println!("{name}: {key} = {value}: {error}");
    }
}

#[test]
fn large_numbers_and_extreme_parameters_stay_finite() {
    // Plenty of stock: the price that sells best, and lambda* T = 10^4 e^-1 x e units at most.
    let a1 = market(
        "a1",
        &[
            ("periods", "100000"),
            ("arrival_rate", "0.27182818284590454"),
            ("stock", "20000"),
        ],
    );
    let oracle = a1.oracle().expect("an answer");
    assert!(
        (oracle.v_star / (50.0 * 1e4) - 1.0).abs() < 1e-9,
        "{}",
        oracle.v_star
    );
    assert!(
        (oracle.v_fixed / (50.0 * 1e4) - 1.0).abs() < 1e-6,
        "{}",
        oracle.v_fixed
    );
    for (key, value) in [
        ("mu", "0.001"),
        ("mu", "50.0"),
        ("quality", "200.0"),
        ("quality", "-50.0"),
        ("sellers", "1"),
    ] {
        let oracle = market("c", &[(key, value)]).oracle().expect("an answer");
        assert!(
            oracle.v_star.is_finite() && oracle.v_star >= 0.0,
            "{key} = {value}: {oracle:?}"
        );
        assert!(oracle.v_star >= oracle.references["joint_nash"] * (1.0 - 1e-9));
    }
}
