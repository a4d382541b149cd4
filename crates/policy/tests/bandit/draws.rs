//! What is drawn, and how often.

use crate::{PRESETS, PRICES, configs};
use haggle_core::{Mask, Pmf, Seeds};
use haggle_policy::bandit::{Bandit, BanditConfig, Context, Forgetting, Stock};
use proptest::prelude::*;
use rand::RngExt;

/// Chi-square of the draws against the probabilities they were drawn from, over 20 bins of probability. One rung of each
/// decision is counted, so that all counts are independent.
fn chi_square(config: &BanditConfig, draws: usize) -> f64 {
    const BINS: usize = 20;
    let mut bandit = Bandit::new(config.clone()).expect("a bandit");
    let mut rng = Seeds::new(4).rng();
    let mut bins = [(0.0, 0.0, 0.0); BINS];
    for round in 0..draws {
        let x: Vec<f64> = (0..config.contexts).map(|_| rng.random::<f64>()).collect();
        let context = Context { segment: 0, x: &x };
        let pmf = bandit.pmf(context, Mask::all(5)).expect("a pmf");
        let draw = pmf.draw(rng.random());
        assert_eq!(draw.propensity, pmf.probabilities()[draw.rung]);
        let watched = round % 5;
        let p = pmf.probabilities()[watched];
        let (drawn, expected, variance) = &mut bins[((p * BINS as f64) as usize).min(BINS - 1)];
        *drawn += f64::from(draw.rung == watched);
        *expected += p;
        *variance += p * (1.0 - p);
        if round % 64 == 0 {
            let bought = rng.random::<f64>() < 0.9 - 0.15 * draw.rung as f64 - 0.2 * x[0];
            bandit
                .update(context, draw.rung, f64::from(bought))
                .expect("an update");
        }
    }
    let filled = bins.iter().filter(|(_, _, variance)| *variance > 5.0);
    filled
        .map(|(drawn, expected, variance)| (drawn - expected).powi(2) / variance)
        .sum()
}

/// The 99.9 % quantile of chi-square with 20 degrees of freedom.
const CHI_SQUARE_20: f64 = 45.3;

#[test]
fn draws_come_as_often_as_their_propensity_says() {
    for preset in PRESETS {
        let value = chi_square(&preset(PRICES.to_vec(), 2, 3), 20_000);
        assert!(value < CHI_SQUARE_20, "{value}");
    }
}

#[test]
#[ignore = "proof: five million draws"]
fn a_million_draws_come_as_often_as_their_propensity_says() {
    for preset in PRESETS {
        let value = chi_square(&preset(PRICES.to_vec(), 2, 3), 1_000_000);
        assert!(value < CHI_SQUARE_20, "{value}");
    }
}

#[test]
fn demand_that_never_varies_does_not_end_in_nan() {
    for units in [0.0, 7.0] {
        let forgetting = Some(Forgetting {
            level: 2.0,
            slope: 8.0,
        });
        let preset = BanditConfig::linear_thompson(PRICES.to_vec(), 0, 1);
        let config = BanditConfig {
            forgetting,
            knots: 0,
            ..preset
        };
        let mut bandit = Bandit::new(config).expect("a bandit");
        for _ in 0..20_000 {
            let context = Context { segment: 0, x: &[] };
            let rung = bandit.pmf(context, Mask::all(5)).expect("a pmf").mode();
            bandit.update(context, rung, units).expect("an update");
        }
        let pmf = bandit
            .pmf(Context { segment: 0, x: &[] }, Mask::all(5))
            .expect("a pmf");
        assert!(pmf.probabilities().iter().all(|p| p.is_finite()));
    }
}

/// Sums to 1, keeps the floor where allowed, and is exactly 0 elsewhere.
fn is_sound(pmf: &Pmf, allowed: Mask, floor: f64) -> bool {
    let least = floor / allowed.count() as f64 * (1.0 - 1e-12);
    let mut rungs = pmf.probabilities().iter().enumerate();
    (pmf.probabilities().iter().sum::<f64>() - 1.0).abs() < 1e-12
        && rungs.all(|(rung, p)| {
            if allowed.allows(rung) {
                *p >= least
            } else {
                *p == 0.0
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn probabilities_are_exact_whatever_the_numbers(
        rows in prop::collection::vec((prop::num::f64::NORMAL, -1e300f64..1e300, 0usize..5, any::<bool>()), 1..80),
        mask in 1u64..32, which in 0usize..7, units_left in 0u32..50, visits_left in 1u32..50,
    ) {
        let config = configs(2).swap_remove(which);
        let mut bandit = Bandit::new(config).expect("a bandit");
        let (allowed, floor) = (Mask(mask), bandit.config().floor);
        for (a, b, rung, bought) in rows {
            let x = [a, b];
            let context = Context { segment: rung % bandit.config().pooling.segments(), x: &x };
            let pmf = bandit.pmf(context, allowed).expect("a pmf");
            prop_assert!(is_sound(&pmf, allowed, floor), "{pmf:?}");
            let minding = bandit.pmf_selling(context, allowed, Stock { units_left, visits_left });
            prop_assert_eq!(minding.is_ok(), bandit.minds_stock());
            prop_assert!(minding.as_ref().is_ok_and(|pmf| is_sound(pmf, allowed, floor)) || minding.is_err(), "{minding:?}");
            bandit.update(context, rung, f64::from(bought)).expect("an update");
        }
    }
}
