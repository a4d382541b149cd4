//! A bandit is a function of its log.

use crate::{PRESETS, PRICES, configs};
use haggle_core::{Mask, Seeds};
use haggle_policy::bandit::{Bandit, BanditConfig, BanditError, Context};
use rand::RngExt;

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
    assert!(say(wide).contains("coefficients, at most 1024 expected"));
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
