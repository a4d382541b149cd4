//! Seasons of which a share must be sold, against their dual.

use crate::files::oracle;
use crate::instances::near;

/// The dual of a season's constraint at a worth of a sold unit, by plain backward induction: an upper bound of the optimum.
fn season_dual(periods: usize, stock: usize, share: f64, worth: f64) -> f64 {
    let pmf = |price: f64| -> Vec<f64> {
        let mean = 2.0 * (-price).exp();
        let next = |p: &mut f64, n: usize| {
            let now = *p;
            *p *= mean / (n + 1) as f64;
            Some(now)
        };
        (0..stock.min(30)).scan((-mean).exp(), next).collect() // more are never sold in a period
    };
    let prices: Vec<(f64, Vec<f64>)> = (1..=20)
        .map(|n| f64::from(n) * 0.2)
        .map(|price| (price, pmf(price)))
        .collect();
    let mut value = vec![0.0; stock + 1];
    for _ in 0..periods {
        let best = |left: usize| {
            let earns = |(price, pmf): &(f64, Vec<f64>)| {
                let (mut sum, mut rest) = (0.0, 1.0);
                for (sold, p) in pmf.iter().enumerate().take(left) {
                    sum += p * (sold as f64 * (price + worth) + value[left - sold]);
                    rest -= p;
                }
                sum + rest * left as f64 * (price + worth)
            };
            prices.iter().map(earns).fold(0.0, f64::max)
        };
        value = (0..=stock).map(best).collect();
    }
    value[stock] - worth * share * stock as f64
}

#[test]
fn a_constrained_season_is_bounded_by_every_worth_of_a_sale() {
    let sets = [("periods", "12"), ("stock", "8"), ("sell_through_min", "0.8")];
    let bound = oracle("sell-through", &sets);
    let free = bound.references["unconstrained"];
    assert!(bound.references["unconstrained_sell_through"] < 0.8);
    assert!(bound.v_star < free && bound.v_fixed <= bound.v_star);
    // The least dual is the optimum.
    let duals: Vec<f64> = (0..4000)
        .map(|n| season_dual(12, 8, 0.8, f64::from(n) * 0.0005))
        .collect();
    assert!(duals.iter().all(|dual| bound.v_star <= dual + 1e-9));
    near(
        bound.v_star,
        duals.into_iter().fold(f64::INFINITY, f64::min),
        1e-4,
    );
}

#[test]
fn a_share_near_all_of_the_stock_is_no_extrapolation() {
    for (text, share) in [("0.999", 0.999), ("0.9999999", 0.9999999)] {
        let bound = oracle("sell-through", &[("sell_through_min", text)]);
        let duals = (0..44).map(|n| season_dual(100, 100, share, 1.5f64.powi(n)));
        let least = duals.fold(f64::INFINITY, f64::min);
        assert!(
            bound.v_star <= least + 1e-6,
            "{share}: {} above {least}",
            bound.v_star
        );
        assert!(
            bound.v_star >= 0.99 * least,
            "{share}: {} far below {least}",
            bound.v_star
        );
        assert!(bound.v_fixed <= bound.v_star);
    }
}
