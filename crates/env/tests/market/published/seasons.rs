//! A stock and a deadline.

use super::close;
use crate::files::oracle;

#[test]
fn a_perishable_stock() {
    let rows = [
        (
            5, 546.307132, 621.226662, 516.699846, 117.69, 549.796136, 549.391597, 518.992317, 120.0,
        ),
        (
            10, 819.453267, 895.879735, 784.114161, 90.76, 825.381907, 824.632211, 789.718383, 90.0,
        ),
        (
            25,
            1090.720394,
            1103.638324,
            1081.289753,
            56.45,
            1094.314648,
            1092.768273,
            1080.230243,
            60.0,
        ),
        (
            60,
            1103.638324,
            1103.638324,
            1103.638324,
            50.0,
            1103.638324,
            1103.638324,
            1103.638324,
            50.0,
        ),
    ];
    for (stock, v1, fluid, fixed1, price1, continuous, v2, fixed2, price2) in rows {
        let stock = stock.to_string();
        let a1 = oracle("a1", &[("stock", &stock)]);
        close(a1.v_star, v1, 6);
        close(a1.references["fluid_bound"], fluid, 6);
        close(a1.v_fixed, fixed1, 6);
        close(a1.fixed_price, price1, 2);
        let a2 = oracle("a2", &[("stock", &stock)]);
        close(a2.v_star, v2, 6);
        close(a2.references["continuous_price"], continuous, 6);
        close(a2.v_fixed, fixed2, 6);
        assert_eq!(a2.fixed_price, price2);
    }
    // Nothing can be gained, and rounding must not make a gain of it.
    let ample = oracle("a1", &[("periods", "100000.0"), ("stock", "100000")]);
    assert!(ample.v_fixed <= ample.v_star && ample.v_fixed > ample.v_star * (1.0 - 1e-9));
    let rows = [
        (5, 0.9936, 0.4547, 0.5523),
        (10, 0.9909, 0.6057, 0.6893),
        (25, 0.9939, 0.9810, 0.6354),
        (60, 1.0, 1.0, 0.6291),
    ];
    for (stock, fluid, myopic, random) in rows {
        let a2 = oracle("a2", &[("stock", &stock.to_string())]);
        // Who may ask any price is compared with the optimum of any price, who plays the grid with that of the grid.
        let any = a2.references["continuous_price"];
        close(a2.references["fluid_resolve"] / any, fluid, 4);
        close(a2.references["myopic"] / any, myopic, 4);
        close(a2.references["uniform_random"] / a2.v_star, random, 4);
    }
    for (stock, value) in [("5", 549.132966), ("10", 824.397270), ("25", 1092.742670)] {
        close(oracle("a3", &[("stock", stock)]).v_star, value, 6);
    }
}

#[test]
fn a_sell_down() {
    let a4 = oracle("a4", &[]);
    close(a4.v_star, 67.3910, 4);
    close(a4.v_fixed / a4.v_star, 0.9731, 4);
    assert_eq!(a4.fixed_price, 1.4);
    for (stock, value, fixed) in [("20", 43.87, 0.9550), ("10", 27.98, 0.9481)] {
        let a4 = oracle("a4", &[("stock", stock)]);
        close(a4.v_star, value, 2);
        close(a4.v_fixed / a4.v_star, fixed, 4);
    }
}

#[test]
fn a_stock_and_four_prices() {
    let rows = [
        (100, 25, 1001.542970, 0.984),
        (1000, 250, 10093.504081, 0.988),
        (10000, 2500, 100993.509856, 0.988),
    ];
    for (periods, stock, value, fixed) in rows {
        let b1 = oracle(
            "b1",
            &[("periods", &periods.to_string()), ("stock", &stock.to_string())],
        );
        close(b1.v_star, value, 6);
        close(b1.v_fixed / b1.v_star, fixed, 3);
        close(b1.references["lp_per_period"], 10.1, 6);
    }
    for (periods, stock, value) in [
        ("100", "50", 1784.409976),
        ("1000", "500", 17939.767809),
        ("10000", "5000", 179489.767809),
    ] {
        let b1 = oracle("b1", &[("periods", periods), ("stock", stock)]);
        close(b1.v_star, value, 6);
        close(b1.references["lp_per_period"], 17.95, 6);
    }
}

#[test]
fn price_vectors_over_three_resources() {
    let curves = [
        (
            "linear = { intercepts = [8, 9], slopes = [1.5, 3] }",
            6.666667,
            9.75,
        ),
        (
            "exponential = { scales = [5, 9], slopes = [0.5, 1] }",
            4.598510,
            6.044910,
        ),
        ("logit = { scale = 10 }", 3.768095, 4.415905),
    ];
    for (curve, scarce, ample) in curves {
        for (stock, value) in [("[3, 5, 7]", scarce), ("[15, 12, 30]", ample)] {
            let curve = format!("{{ {curve} }}");
            let b2 = oracle("b2", &[("demand", &curve), ("stock", stock)]);
            close(b2.references["lp_per_period"], value, 6);
            assert!(b2.v_fixed <= b2.v_star * (1.0 + 1e-9));
        }
    }
}

#[test]
fn a_network_of_two_legs() {
    let b3 = oracle("b3", &[]);
    close(b3.v_star, 6519.452592, 6);
    close(b3.v_fixed, 6308.401802, 6);
    assert_eq!(b3.fixed_prices, Some(vec![130.0, 130.0, 220.0]));
    close(b3.references["lp"], 6860.0, 6);
    close(b3.references["bid_price"], 5629.877551, 6);
    close(b3.references["myopic"], 3289.422781, 6);
    close(b3.references["uniform_random"], 4473.642168, 6);
    // A seat on each leg: each is worth 130, which AB and BC are asked for, and ABC's 220 is too little for both.
    let scarce = oracle("b3", &[("stock", "[1, 1]")]);
    let sold = |chance: f64| 1.0 - (1.0 - chance).powi(200);
    close(
        scarce.references["bid_price"],
        130.0 * (sold(0.2 * 0.3) + sold(0.2 * 0.25)),
        9,
    );
}

#[test]
fn a_markdown() {
    let rows = [
        (
            "2.0",
            1539.192522,
            1518.257446,
            1504.710148,
            40.0,
            [0.9847, 0.9959, 0.6504, 0.8785],
        ),
        (
            "1.2",
            1071.184273,
            1061.647149,
            1061.545085,
            35.0,
            [0.9964, 0.9982, 0.9262, 0.8595],
        ),
        (
            "4.0",
            1997.436670,
            1997.428438,
            1997.350509,
            50.0,
            [1.0, 0.9999, 0.5006, 0.9197],
        ),
    ];
    for (rate, free, down, fixed, price, shares) in rows {
        let f = oracle("f", &[("base_rate", rate)]);
        close(f.v_star, free, 6);
        close(f.references["only_down"], down, 6);
        close(f.v_fixed, fixed, 6);
        assert_eq!(f.fixed_price, price);
        let names = ["open_loop", "fluid_daily", "myopic", "halving_ladder"];
        for (name, share) in names.into_iter().zip(shares) {
            close(f.references[name] / free, share, 4);
        }
    }
}

#[test]
fn a_season_of_rising_prices() {
    let season = oracle("season", &[]);
    close(season.v_star, 1007.606, 3);
    close(season.v_fixed, 971.522, 3);
}
