//! Prices that mind the stock.

use haggle_core::{Mask, Pmf};
use haggle_policy::bandit::{Bandit, BanditConfig, Context, Stock};

/// Market B1 (Ferreira, Simchi-Levi and Wang 2018): prices, and how often each is bought.
const SHOP: [(f64, f64); 4] = [(29.9, 0.8), (34.9, 0.6), (39.9, 0.3), (44.9, 0.1)];

/// A bandit that has seen every price of the shop 400 times, in turn, and exactly as many purchases as to be expected.
fn shopkeeper(floor: f64) -> Bandit {
    let prices = SHOP.map(|(price, _)| price).to_vec();
    let preset = BanditConfig::logit_thompson(prices, 0, 1);
    let mut bandit = Bandit::new(BanditConfig { floor, ..preset }).expect("a bandit");
    for visit in 0..1_600 {
        let (round, rung) = (f64::from(visit / 4), visit as usize % SHOP.len());
        let sold_after = |rounds: f64| (SHOP[rung].1 * rounds + 0.5).floor();
        let bought = sold_after(round + 1.0) > sold_after(round);
        let context = Context { segment: 0, x: &[] };
        bandit
            .update(context, rung, f64::from(bought))
            .expect("an update");
    }
    bandit
}

#[test]
fn a_stock_moves_prices_up_as_far_as_it_is_scarce() {
    let bandit = shopkeeper(0.0);
    let (context, all) = (Context { segment: 0, x: &[] }, Mask::all(4));
    let left = |units_left| Stock {
        units_left,
        visits_left: 1_000,
    };
    let mix = |units| bandit.pmf_selling(context, all, left(units)).expect("a pmf");
    // Plenty: as without a stock. One unit for four visits: three quarters at 39.9 and a quarter at 44.9, as published.
    assert_eq!(mix(900), bandit.pmf(context, all).expect("a pmf"));
    let published = mix(250);
    assert!((published.probabilities()[2] - 0.75).abs() < 0.1, "{published:?}");
    assert!((published.probabilities()[3] - 0.25).abs() < 0.1, "{published:?}");
    // Even the dearest price sells twice as fast as 50 units last: half of the time no offer; where there must be one, the
    // dearest stands in, and all units are sold at it.
    let or_nothing = bandit.pmf_for_stock(context, all, left(50)).expect("a pmf");
    assert!(
        (or_nothing.probabilities()[3] - 0.5).abs() < 0.15,
        "{or_nothing:?}"
    );
    assert!(
        (or_nothing.probabilities()[4] - 0.5).abs() < 0.15,
        "{or_nothing:?}"
    );
    assert_eq!(mix(50), Pmf::certain(4, 3));
    assert_eq!(mix(0), Pmf::certain(4, 3));
    let cheap = bandit
        .pmf_selling(context, Mask(0b0011), left(50))
        .expect("a pmf");
    assert_eq!(cheap, Pmf::certain(4, 1), "the dearest one that is allowed");
    assert!(
        bandit
            .pmf_selling(
                context,
                all,
                Stock {
                    units_left: 1,
                    visits_left: 0
                }
            )
            .is_err()
    );
}

#[test]
fn where_a_price_must_be_shown_the_floor_holds_on_every_allowed_one() {
    let bandit = shopkeeper(0.2);
    let left = Stock {
        units_left: 50,
        visits_left: 1_000,
    };
    let pmf = bandit.pmf_selling(Context { segment: 0, x: &[] }, Mask(0b1011), left);
    let expected = [0.2 / 3.0, 0.2 / 3.0, 0.0, 0.8 + 0.2 / 3.0];
    for (p, expected) in pmf.expect("a pmf").probabilities().iter().zip(expected) {
        assert!((p - expected).abs() < 1e-12, "{p} {expected}");
    }
}
