//! Every market of `envs/` against published numbers, and against solvers that share nothing with the ones under test.

use crate::files::{market, oracle};
use haggle_env::market::Market;

/// The printed number, to 1e-6 or half a unit of its last digit.
#[track_caller]
fn close(got: f64, printed: f64, digits: i32) {
    let tolerance = 1e-6 * printed.abs() + 0.5 * 10f64.powi(-digits);
    assert!((got - printed).abs() <= tolerance, "{got} is not {printed}");
}

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
fn an_oligopoly() {
    let rows = [
        (2, 1.472927, 1.924981, 0.222927, 0.337490, 1.661695, 0.411695),
        (3, 1.370163, 2.000000, 0.120163, 0.250000, 1.624389, 0.374389),
        (4, 1.331461, 2.054411, 0.081461, 0.201103, 1.605247, 0.355247),
        (5, 1.311521, 2.097231, 0.061521, 0.169446, 1.593057, 0.343057),
    ];
    for (sellers, nash, monopoly, nash_profit, monopoly_profit, reply, reply_profit) in rows {
        let c = oracle("c", &[("sellers", &sellers.to_string())]);
        let equilibrium = c.equilibrium.expect("an equilibrium");
        close(equilibrium.nash_price.seller(0), nash, 6);
        close(equilibrium.nash_profit.seller(0), nash_profit, 6);
        close(equilibrium.monopoly_price.seller(0), monopoly, 6);
        close(equilibrium.monopoly_profit.seller(0), monopoly_profit, 6);
        close(c.references["best_reply_to_monopoly_price"], reply, 6);
        close(c.references["best_reply_to_monopoly_profit"], reply_profit, 6);
    }
    let unequal = oracle("c", &[("costs", "[1.0, 0.75]")])
        .equilibrium
        .expect("an equilibrium");
    close(unequal.nash_price.seller(0), 1.414199, 6);
    close(unequal.nash_price.seller(1), 1.325388, 6);
    let Market::LogitOligopoly(c) = market("c", &[]) else {
        panic!("another market")
    };
    // At an interior best reply the profit is what the margin exceeds mu by.
    let Market::LogitOligopoly(three) = market("c", &[("sellers", "3")]) else {
        panic!("another market")
    };
    let reply = three.best_reply(0, &[1.0, 1.5, 1.7]);
    close(reply, 1.445887, 6);
    close(three.profits(&[reply, 1.5, 1.7])[0], 0.195887, 6);
    close(three.profits(&[reply, 1.5, 1.7])[0], reply - 1.0 - 0.25, 6);
    for (rival, price, profit) in [
        (1.2, 1.371140, 0.121140),
        (1.4, 1.442993, 0.192993),
        (1.6, 1.527729, 0.277729),
        (1.8, 1.613586, 0.363586),
    ] {
        let reply = c.best_reply(0, &[1.0, rival]);
        close(reply, price, 6);
        close(c.profits(&[reply, rival])[0], profit, 6);
    }
}

/// How far sellers are from the equilibrium (0) towards the cartel (1), from their joint profit.
fn profit_gain(joint: f64) -> f64 {
    let c = oracle("c", &[]);
    (joint - c.references["joint_nash"]) / (c.v_star - c.references["joint_nash"])
}

#[test]
fn a_ladder_of_fifteen_rungs() {
    let c = market("c", &[]);
    let prices = c.prices().expect("a ladder");
    assert_eq!(prices.len(), 15);
    close(prices[0], 1.427721, 6);
    close(prices[1] - prices[0], 0.038747, 6);
    close(prices[14], 1.970186, 6);
    let Market::LogitOligopoly(game) = &c else {
        panic!("another market")
    };
    // Every pair of rungs of which each is a best reply to the other.
    let earns = |own: usize, other: usize| game.profits(&[prices[own], prices[other]])[0];
    let best = |own: usize, other: usize| (0..15).all(|rung| earns(rung, other) <= earns(own, other));
    let pairs = (0..15).flat_map(|own| (0..15).map(move |other| (own, other)));
    let nash: Vec<(usize, usize)> = pairs.filter(|(a, b)| best(*a, *b) && best(*b, *a)).collect();
    assert_eq!(nash, [(1, 1), (2, 2)]);
    for (rung, price, gain) in [(1, 1.466469, -0.023765), (2, 1.505216, 0.116579)] {
        close(prices[rung], price, 6);
        close(profit_gain(2.0 * earns(rung, rung)), gain, 6);
    }
    let uniform = |_: &[f32], _: &[u64], pmf: &mut [f32]| pmf.fill(1.0 / 15.0);
    let exact = c
        .exact_value(&mut uniform.clone())
        .expect("a value")
        .expect("finite states");
    close(profit_gain(exact.value), 0.497357, 6);
}

#[test]
fn sellers_who_are_given_a_ladder_have_its_equilibria() {
    let prices = market("c", &[]).prices().expect("a ladder");
    let ladder = format!("{prices:?}");
    let c = oracle("c", &[("prices", &ladder)]);
    let any = oracle("c", &[]);
    let equilibrium = c.equilibrium.expect("an equilibrium");
    let points: Vec<f64> = equilibrium
        .nash_points
        .iter()
        .map(|point| point.price.seller(0))
        .collect();
    assert_eq!(points.len(), 2);
    close(points[0], 1.466469, 6);
    close(points[1], 1.505216, 6);
    // The first has the least joint profit and stands for both; 15 rungs come close to the best of all prices.
    close(equilibrium.nash_price.seller(0), 1.466469, 6);
    close(profit_gain(c.references["joint_nash"]), -0.023765, 6);
    assert_eq!(equilibrium.monopoly_price.seller(0), prices[13]); // 1.931439, beside 1.924981
    assert!(c.v_star < any.v_star && c.v_star > 0.9999 * any.v_star);
    assert_eq!(c.v_fixed, c.v_star);
    // On two rungs with one in the cartel's place the rival undercuts: the reply to 1.9 is 1.6, and only 1.6 stays.
    let two = oracle("c", &[("prices", "[1.6, 1.9]")]);
    let equilibrium = two.equilibrium.expect("an equilibrium");
    assert_eq!(equilibrium.nash_points.len(), 1);
    assert_eq!(equilibrium.nash_price.seller(1), 1.6);
    assert_eq!(equilibrium.monopoly_price.seller(1), 1.9);
    assert_eq!(two.references["best_reply_to_monopoly_price"], 1.6);
    // Capacities, in steps of 0.01: four equilibria around 1.794200, and a cartel beside 1.924981.
    let prices: Vec<f64> = (140..210).map(|cents| f64::from(cents) / 100.0).collect();
    let c2 = oracle("c2", &[("prices", &format!("{prices:?}"))]);
    let equilibrium = c2.equilibrium.expect("an equilibrium");
    let points = equilibrium.nash_points.iter().map(|point| point.price.seller(0));
    assert_eq!(points.collect::<Vec<_>>(), [1.78, 1.79, 1.8, 1.81]);
    assert_eq!(equilibrium.nash_price.seller(1), 1.78);
    assert_eq!(
        (equilibrium.monopoly_price.seller(0), c2.fixed_price),
        (1.92, 1.92)
    );
}

#[test]
fn a_duopoly_with_capacities() {
    let rows = [
        (305, 2.061459, 2.061459),
        (365, 1.924631, 1.924981),
        (410, 1.794200, 1.924981),
        (440, 1.675179, 1.924981),
        (455, 1.594878, 1.924981),
        (472, 1.472927, 1.924981),
        (600, 1.472927, 1.924981),
    ];
    for (capacity, nash, monopoly) in rows {
        let c2 = oracle("c2", &[("capacity", &capacity.to_string())])
            .equilibrium
            .expect("an equilibrium");
        close(c2.nash_price.seller(0), nash, 6);
        close(c2.monopoly_price.seller(0), monopoly, 6);
    }
}

#[test]
fn a_duopoly_in_turns() {
    let rows = [
        ("6", [0.138889, 0.137465, 0.222222, 0.073785]),
        ("24", [0.104001, 0.167877, 0.248264, 0.093368]),
    ];
    for (steps, values) in rows {
        for (rival, value) in ["undercut-and-reset", "matcher", "half", "myopic"]
            .into_iter()
            .zip(values)
        {
            close(
                oracle("d", &[("steps", steps), ("rival", &format!("\"{rival}\""))]).v_star,
                value,
                6,
            );
        }
    }
}

#[test]
fn personal_prices() {
    let e1 = oracle("e1", &[]);
    close(e1.v_star, 22.444957, 6);
    close(e1.v_fixed, 18.110915, 6);
    close(e1.fixed_price, 56.664, 3);
    close(e1.references["consumer_surplus_clairvoyant"], 12.744133, 6);
    close(e1.references["consumer_surplus_fixed"], 15.309166, 3); // the table's is at the rounded price
    let grid = oracle(
        "e1",
        &[(
            "prices",
            "[40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90, 95, 100, 105, 110]",
        )],
    );
    close(grid.v_star, 22.438767, 6);
    close(grid.v_fixed, 18.082378, 6);
    close(grid.references["uniform_random"], 14.161724, 6);
    for (corridor, value) in [
        ("0.05", 18.931177),
        ("0.1", 19.654205),
        ("0.2", 20.834750),
        ("0.3", 21.840249),
    ] {
        close(oracle("e1", &[("corridor", corridor)]).v_star, value, 6);
    }
    let e2 = oracle("e2", &[]);
    close(e2.v_star, 16.945965, 6);
    close(e2.v_fixed, 14.394033, 6);
    close(e2.fixed_price, 52.130251, 6);
    close(e2.references["x1_only"], 16.331258, 6);
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

#[test]
fn reference_prices() {
    let rows = [
        ("0.5", "0.5", [82853.545833, 83333.333333, 83847.583333]),
        ("0.2", "0.8", [82584.462720, 83333.333333, 83535.933333]),
        ("0.8", "0.2", [86880.326552, 87117.414552, 87824.772115]),
    ];
    for (gain, loss, values) in rows {
        for (start, value) in ["30", "50", "70"].into_iter().zip(values) {
            let g0 = oracle(
                "g0",
                &[("gain", gain), ("loss", loss), ("reference_price", start)],
            );
            close(g0.v_star, value, 6);
        }
    }
    let seeking = oracle("g0", &[]);
    close(seeking.v_fixed / seeking.v_star, 0.957, 3);
    let from_30 = oracle("g0", &[("reference_price", "30")]);
    close(from_30.references["myopic"] / from_30.v_star, 0.954, 3);
}

#[test]
fn demand_that_changes_or_is_unknown() {
    let h1 = oracle("h1", &[]);
    close(h1.v_star, 13_300_000.0, 0);
    assert_eq!(h1.fixed_price, 45.0);
    close(h1.v_fixed / h1.v_star, 0.913534, 6);
    let h2 = oracle("h2", &[]);
    close(h2.v_star, 13_062_500.0, 0);
    close(h2.fixed_price, 50.0, 6);
    close(h2.v_fixed / h2.v_star, 0.956938, 6);
    let i = oracle("i", &[]);
    close(i.fixed_price, 1.1, 6);
    close(i.v_star, 0.605, 6);
}
