//! Tuning where the truth is known exactly: a logged bandit with two segments, one item and seven prices.

use haggle_core::{
    Catalog, DecisionId, FEATURE_WIDTH, Guardrails, Item, ItemTraits, Ladder, Logged, MemoryRates,
    Observation, Offer, Pmf, Policy, PriceMinor, SavedCategory, Seeds,
};
use haggle_learn::{DeviceChoice, LearnError, TuneConfig, tune};
use haggle_policy::{Bundle, Layer, Network, Provenance, Terms};
use rand::RngExt;

const BASE: u32 = 200;
const MULTIPLES: [f64; 7] = [0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3];

/// Probability that a shopper of a segment buys one unit: the first feels the price, the second hardly does.
fn sale_chance(segment: usize, price: PriceMinor) -> f64 {
    let ratio = price.as_f64() / f64::from(BASE);
    [0.9 - 0.6 * ratio, 0.5 - 0.1 * ratio][segment]
}

fn incumbent(seed: u64, price_index_limit: Option<f64>) -> Bundle {
    let base = PriceMinor(BASE);
    let item = Item {
        id: "milk".into(),
        base_minor: base,
        low_minor: PriceMinor(BASE / 2),
        high_minor: PriceMinor(BASE * 2),
        cost_minor: None,
        ladder: Ladder::of_multiples(base, &MULTIPLES).expect("a ladder"),
        traits: ItemTraits {
            anchor_log: 0.0,
            revenue_slope: 1.0,
            share: 1.0,
            sales_rate: 0.4,
        },
    };
    let group = SavedCategory {
        name: "dairy".into(),
        items: vec![item],
    };
    let terms = Terms {
        catalog: Catalog::new(vec![group]).expect("a catalogue").into(),
        floor: 0.1,
        memory: MemoryRates::default(),
        guardrails: Guardrails::default(),
        price_index_limit,
        multiplier: 0.0,
        provenance: Provenance::default(),
    };
    let mut rng = Seeds::new(seed).named("incumbent").rng();
    let mut layer = |inputs: usize, outputs: usize, size: f32| Layer {
        inputs,
        outputs,
        weight: (0..inputs * outputs)
            .map(|_| size * (2.0 * rng.random::<f32>() - 1.0))
            .collect(),
        bias: vec![0.0; outputs],
    };
    let layers = [layer(FEATURE_WIDTH, 16, 0.4), layer(16, 7, 0.2)];
    let network =
        Network::new(vec![0.0; FEATURE_WIDTH], vec![1.0; FEATURE_WIDTH], &layers).expect("a network");
    Bundle::mlp(terms, &network).expect("a bundle")
}

fn features(segment: usize) -> Vec<f32> {
    let mut features = vec![0.0; FEATURE_WIDTH];
    features[0] = segment as f32 * 2.0 - 1.0;
    features
}

/// A log of the incumbent; `value` is what a shown price brings in minor units.
fn log(policy: &Bundle, seed: u64, mut value: impl FnMut(usize, PriceMinor, f64) -> i64) -> Vec<Offer> {
    let mut rng = Seeds::new(seed).named("log").rng();
    let item = &policy.terms().catalog.items()[0];
    let mask = item.supported();
    let offer = |n: usize| {
        let features = features(n % 2);
        let observation = Observation {
            item: 0,
            features: &features,
        };
        let pmf = policy.pmf(observation, mask).expect("a pmf");
        let draw = pmf.draw(rng.random());
        let price = item.ladder.price(draw.rung);
        let value = value(n % 2, price, rng.random());
        Offer {
            session: format!("s{n}"),
            user: None,
            category: "dairy".into(),
            item: "milk".into(),
            time_s: n as i64,
            price_minor: price,
            posted_minor: PriceMinor(BASE),
            units: u32::from(value > 0),
            value_minor: value,
            censored: false,
            logged: Some(Logged {
                decision: DecisionId(format!("d{n}")),
                policy: policy.digest(),
                mask,
                pmf,
                rung: draw.rung as u8,
                features,
            }),
        }
    };
    (0..20_000).map(offer).collect()
}

fn sale(segment: usize, price: PriceMinor, uniform: f64) -> i64 {
    if uniform < sale_chance(segment, price) {
        i64::from(price.0)
    } else {
        0
    }
}

/// Expected revenue per offer in minor units, and expected price of a sale at the posted price / the posted price.
fn truth(policy: &Bundle) -> (f64, f64) {
    let item = &policy.terms().catalog.items()[0];
    let (mut revenue, mut paid, mut posted) = (0.0, 0.0, 0.0);
    for segment in 0..2 {
        let features = features(segment);
        let observation = Observation {
            item: 0,
            features: &features,
        };
        let pmf = policy.pmf(observation, item.supported()).expect("a pmf");
        let price = |rung| item.ladder.price(rung);
        revenue += pmf.mean(|rung| price(rung).as_f64() * sale_chance(segment, price(rung))) / 2.0;
        let rate = sale_chance(segment, PriceMinor(BASE));
        paid += rate * pmf.mean(|rung| price(rung).as_f64());
        posted += rate * f64::from(BASE);
    }
    (revenue, paid / posted)
}

fn config(seed: u64) -> TuneConfig {
    TuneConfig {
        seed,
        steps: 200,
        minibatch_rows: 512,
        threads: 1,
        kl_max: 0.2,
        device: DeviceChoice::Cpu,
        ..TuneConfig::default()
    }
}

#[test]
fn a_signal_is_found_by_every_seed() {
    for seed in 1..=5 {
        let old = incumbent(seed, None);
        let (new, report) = tune(&old, &log(&old, seed, sale), Vec::new(), &config(seed)).expect("tuned");
        let (before, after) = (truth(&old).0, truth(&new).0);
        // Best price of each segment: 150 and 260 of the ladder's 140 to 260.
        assert!(
            after > 1.02 * before,
            "seed {seed}: {before:.2} -> {after:.2}, {report:?}"
        );
        assert!(
            report.kl <= 0.2 && report.gain_in_sample > 0.0,
            "seed {seed}: {report:?}"
        );
        assert_eq!(new.terms().provenance.parent, Some(old.digest()));
    }
}

#[test]
fn noise_moves_the_policy_no_further_than_its_limit() {
    for seed in 1..=2 {
        let old = incumbent(seed, None);
        let noise = |_, _, uniform: f64| if uniform < 0.4 { 200 } else { 0 };
        let (_, report) = tune(&old, &log(&old, seed, noise), Vec::new(), &config(seed)).expect("tuned");
        assert!(report.kl <= 0.2, "seed {seed}: {report:?}");
    }
}

#[test]
fn the_price_index_is_kept() {
    for seed in 1..=2 {
        let old = incumbent(seed, Some(1.0));
        let (new, report) = tune(&old, &log(&old, seed, sale), Vec::new(), &config(seed)).expect("tuned");
        let ((before, index_before), (after, index_after)) = (truth(&old), truth(&new));
        let limit = index_before.max(1.0) + 0.01;
        assert!(
            index_after <= limit,
            "seed {seed}: index {index_before:.4} -> {index_after:.4}, {report:?}"
        );
        assert!(
            after > before,
            "seed {seed}: {before:.2} -> {after:.2}, {report:?}"
        );
    }
}

#[test]
fn nothing_is_learnt_from_users_who_are_held_out() {
    let old = incumbent(1, None);
    let offers = log(&old, 1, sale);
    let mut with_held_out = offers.clone();
    for mut offer in log(&old, 2, |_, _, _| 1_000).into_iter().take(2_000) {
        offer.session = format!("held out {}", offer.session);
        offer.price_minor = PriceMinor(BASE);
        let logged = offer.logged.as_mut().expect("drawn");
        (logged.policy, logged.pmf, logged.rung) = (Logged::held_out(), Pmf::certain(7, 3), 3);
        with_held_out.push(offer);
    }
    let tuned = |offers: &[Offer]| tune(&old, offers, Vec::new(), &config(1)).expect("tuned");
    let [(alone, report), (beside, beside_report)] = [&offers, &with_held_out].map(|offers| tuned(offers));
    assert_eq!(
        (beside.digest(), beside_report.offers),
        (alone.digest(), report.offers)
    );
}

#[test]
fn logs_that_do_not_fit_are_refused() {
    let old = incumbent(1, None);
    let sound = log(&old, 1, sale);
    let text = |offers: &[Offer]| {
        let error = tune(&old, offers, Vec::new(), &config(1)).expect_err("refused");
        assert!(matches!(error, LearnError::Log(_)));
        error.to_string()
    };
    assert!(text(&sound[..50]).contains("50 offers"));
    let mut offers = sound.clone();
    offers[3].item = "beer".into();
    assert!(text(&offers).contains("`beer`"));
    let mut offers = sound.clone();
    offers
        .iter_mut()
        .filter_map(|offer| offer.logged.as_mut())
        .for_each(|logged| logged.rung = 60);
    assert!(text(&offers).contains("rung 60 was not allowed"));
}
