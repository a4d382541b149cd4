//! Several sellers.

use super::close;
use crate::files::{market, oracle};
use haggle_env::market::Market;

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
    for (sellers, rivals, price, profit) in [
        ("2", "[1.6]", Some(1.527729), 0.277729),
        ("2", "[1.2]", None, 0.121140),
        ("3", "[1.5, 1.7]", Some(1.445887), 0.195887),
    ] {
        let c = oracle("c", &[("sellers", sellers), ("rivals", rivals)]);
        close(c.references["best_reply_profit"], profit, 6);
        if let Some(price) = price {
            close(c.references["best_reply_price"], price, 6);
        }
        assert!(
            c.v_star <= c.references["best_reply_profit"] + 1e-12,
            "the ladder is not better"
        );
    }
    let reacting = oracle("c", &[("rivals", "[\"matcher\"]")]);
    assert!(!reacting.references.contains_key("best_reply_price"));
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
