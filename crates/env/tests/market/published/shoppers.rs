//! Shoppers who differ, compare or change.

use super::close;
use crate::files::oracle;

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
        let held = oracle("e1", &[("corridor", corridor)]);
        close(held.v_star, value, 6);
        close(held.v_fixed, 18.110915, 6); // the corridor follows the price
    }
    let far = oracle("e1", &[("corridor", "0.1"), ("reference_price", "20")]);
    close(far.v_fixed, 1.846458, 6); // everybody at the upper edge, and so is the optimum
    close(far.v_star, 1.846458, 6);
    close(far.fixed_price, 22.0, 6);
    let dear = oracle("e1-ladder", &[("corridor", "0.05"), ("reference_price", "100")]);
    close(dear.v_fixed, 10.979596, 6);
    close(dear.fixed_price, 95.0, 6);
    let inside = oracle("e1-corridor", &[]).references["uniform_random"];
    close(inside, 17.971326, 6);
    let e2 = oracle("e2", &[]);
    close(e2.v_star, 16.945965, 6);
    close(e2.v_fixed, 14.394033, 6);
    close(e2.fixed_price, 52.130251, 6);
    close(e2.references["x1_only"], 16.331258, 6);
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
