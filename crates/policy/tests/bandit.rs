//! Bandits keep their promises whatever they are shown.

use haggle_core::{Mask, Pmf, Seeds};
use haggle_policy::bandit::{Bandit, BanditConfig, BanditError, Context, Forgetting, Pooling, Stock};
use proptest::prelude::*;
use rand::RngExt;

const PRICES: [f64; 5] = [1.0, 2.0, 3.0, 4.0, 6.0];

type Preset = fn(Vec<f64>, usize, u64) -> BanditConfig;
const PRESETS: [Preset; 5] = [
    BanditConfig::logit_thompson,
    BanditConfig::logit_epsilon_greedy,
    BanditConfig::square_cb,
    BanditConfig::linear_upper_bound,
    BanditConfig::linear_thompson,
];

fn configs(contexts: usize) -> Vec<BanditConfig> {
    let mut configs: Vec<BanditConfig> = PRESETS
        .iter()
        .map(|preset| preset(PRICES.to_vec(), contexts, 5))
        .collect();
    for pooling in [Pooling::Separate(2), Pooling::Partial(2)] {
        let forgetting = Some(Forgetting {
            level: 50.0,
            slope: 200.0,
        });
        let preset = BanditConfig::logit_thompson(PRICES.to_vec(), contexts, 5);
        configs.push(BanditConfig {
            pooling,
            forgetting,
            ..preset
        });
    }
    configs
}

/// One lesson of the log.
struct Line {
    segment: usize,
    x: Vec<f64>,
    rung: usize,
    outcome: f64,
}

impl Line {
    fn context(&self) -> Context<'_> {
        Context {
            segment: self.segment,
            x: &self.x,
        }
    }
}

/// Plays `rounds` and returns the bandit with its log.
fn play(config: &BanditConfig, rounds: usize) -> (Bandit, Vec<Line>) {
    let mut bandit = Bandit::new(config.clone()).expect("a bandit");
    let mut rng = Seeds::new(9).rng();
    let segments = config.pooling.segments();
    let mut log = Vec::new();
    for _ in 0..rounds {
        let segment = rng.random_range(0..segments);
        let x: Vec<f64> = (0..config.contexts)
            .map(|_| 1e5 + 1e3 * rng.random::<f64>())
            .collect();
        let pmf = bandit
            .pmf(Context { segment, x: &x }, Mask::all(5))
            .expect("a pmf");
        let rung = pmf.draw(rng.random()).rung;
        let outcome = f64::from(rng.random::<f64>() < 0.9 - 0.15 * rung as f64);
        let line = Line {
            segment,
            x,
            rung,
            outcome,
        };
        bandit.update(line.context(), rung, outcome).expect("an update");
        log.push(line);
    }
    (bandit, log)
}

fn bits(bandit: &Bandit, context: Context<'_>) -> Vec<u64> {
    let pmf = bandit.pmf(context, Mask::all(5)).expect("a pmf");
    pmf.probabilities().iter().map(|p| p.to_bits()).collect()
}

#[test]
fn a_state_rebuilt_from_the_log_is_the_live_one_to_the_bit() {
    for config in configs(2) {
        let (live, log) = play(&config, 1500);
        let mut rebuilt = Bandit::new(config).expect("a bandit");
        for line in &log {
            rebuilt
                .update(line.context(), line.rung, line.outcome)
                .expect("an update");
        }
        assert_eq!(rebuilt.digest(), live.digest());
        let state = |bandit: &Bandit| serde_json::to_string(bandit).expect("JSON");
        assert_eq!(state(&rebuilt), state(&live));
    }
}

#[test]
fn a_state_that_was_written_and_read_goes_on_to_the_same_bits() {
    for config in configs(2) {
        let (mut live, log) = play(&config, 300);
        let text = serde_json::to_string(&live).expect("JSON");
        let mut read: Bandit = serde_json::from_str(&text).expect("a bandit");
        for line in &log {
            assert_eq!(bits(&read, line.context()), bits(&live, line.context()));
            live.update(line.context(), line.rung, line.outcome)
                .expect("an update");
            read.update(line.context(), line.rung, line.outcome)
                .expect("an update");
        }
        assert_eq!(read.digest(), live.digest());
    }
}

#[test]
fn a_saved_state_that_was_tampered_with_is_refused() {
    let (bandit, _) = play(&configs(2).swap_remove(6), 30);
    let good = serde_json::to_value(&bandit).expect("JSON");
    let refused = |pointer: &str, value: serde_json::Value| {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).expect("a place") = value;
        serde_json::from_value::<Bandit>(bad).is_err()
    };
    assert!(!refused("/config/floor", 0.01.into()));
    assert!(refused("/config/floor", 1.5.into()));
    assert!(refused("/config/contexts", 3.into()));
    assert!(refused("/models", serde_json::json!([])));
    assert!(refused("/models/0/draws", serde_json::json!([1.0])));
    assert!(refused("/models/0/memory/segments/0", 2.into()));
    assert!(refused("/models/0/memory/rungs/0", 5.into()));
    assert!(refused("/models/0/design/scale", serde_json::json!([1.0])));
}

#[test]
fn the_digest_names_settings_and_every_outcome() {
    let config = BanditConfig::logit_thompson(PRICES.to_vec(), 0, 1);
    let fresh = |config: &BanditConfig| Bandit::new(config.clone()).expect("a bandit");
    let learnt = |rung, outcome| {
        let mut bandit = fresh(&config);
        bandit
            .update(Context { segment: 0, x: &[] }, rung, outcome)
            .expect("an update");
        bandit.digest()
    };
    assert_ne!(
        fresh(&config).digest(),
        fresh(&BanditConfig {
            floor: 0.1,
            ..config.clone()
        })
        .digest()
    );
    assert_ne!(learnt(0, 1.0), learnt(1, 1.0));
    assert_ne!(learnt(0, 1.0), learnt(0, 0.0));
    assert_eq!(learnt(0, 1.0), learnt(0, 1.0));
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    for config in configs(2) {
        let (mut bandit, log) = play(&config, 20);
        let (before, known) = (bandit.digest(), log[0].context());
        for (at, x) in [[f64::NAN, 0.0], [0.0, f64::INFINITY]].iter().enumerate() {
            let context = Context { segment: 0, x };
            assert_eq!(bandit.pmf(context, Mask::all(5)), Err(BanditError::NotFinite(at)));
            assert_eq!(bandit.update(context, 0, 1.0), Err(BanditError::NotFinite(at)));
        }
        let narrow = Context {
            segment: 0,
            x: &[1.0],
        };
        assert_eq!(
            bandit.pmf(narrow, Mask::all(5)),
            Err(BanditError::Width { expected: 2, got: 1 })
        );
        let stranger = Context {
            segment: 7,
            x: &[1.0, 1.0],
        };
        assert!(matches!(
            bandit.pmf(stranger, Mask::all(5)),
            Err(BanditError::Segment { got: 7, .. })
        ));
        assert_eq!(
            bandit.update(known, 5, 1.0),
            Err(BanditError::Rung { got: 5, rungs: 5 })
        );
        assert!(matches!(
            bandit.update(known, 0, f64::NAN),
            Err(BanditError::Outcome { .. })
        ));
        assert!(bandit.pmf(known, Mask(1 << 40)).is_err());
        assert_eq!(bandit.digest(), before);
    }
}

#[test]
fn settings_out_of_range_are_named() {
    let config = BanditConfig::logit_thompson(PRICES.to_vec(), 0, 1);
    let say = |config| Bandit::new(config).expect_err("a refusal").to_string();
    let floor = BanditConfig {
        floor: 1.0,
        ..config.clone()
    };
    assert_eq!(say(floor), "bandit: floor is 1, expected a share in [0, 1)");
    let price = BanditConfig {
        prices: vec![1.0, f64::NAN],
        ..config.clone()
    };
    assert_eq!(
        say(price),
        "bandit: prices is NaN, expected finite prices, at least 0"
    );
    let wide = BanditConfig {
        contexts: usize::MAX,
        ..config
    };
    assert!(say(wide).contains("at most 1024 coefficients"));
}

#[test]
fn the_best_price_is_found_among_huge_and_constant_contexts() {
    // 0.9 - 0.15 rung: revenues 0.9, 1.5, 1.8, 1.8, 1.8 x 1.0 (6 x 0.3): rungs 2 to 4 tie at 1.8.
    for preset in PRESETS {
        let (bandit, log) = play(&preset(PRICES.to_vec(), 3, 1), 4000);
        let pmf = bandit.pmf(log[0].context(), Mask::all(5)).expect("a pmf");
        assert!(
            pmf.mean(|rung| PRICES[rung] * (0.9 - 0.15 * rung as f64)) > 1.7,
            "{:?}",
            bandit.config().rule
        );
    }
}

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
