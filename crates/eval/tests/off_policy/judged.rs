//! Bundles and logs for the gate: a good log, and what spoils it.

use crate::shop::{KINDS, RUNGS, Table, catalog, log};
use haggle_core::{FEATURE_WIDTH, Guardrails, MemoryRates, Offer, Policy, Seeds};
use haggle_eval::{GateConfig, GateVerdict, judge};
use haggle_policy::{Bundle, Layer, Network, Provenance, Terms};

pub const SESSIONS: usize = 3_000;

pub fn terms(floor: f64) -> Terms {
    Terms {
        catalog: catalog().into(),
        floor,
        memory: MemoryRates::default(),
        guardrails: Guardrails::default(),
        price_index_limit: Some(1.1),
        multiplier: 0.0,
        provenance: Provenance::default(),
    }
}

/// A bundle of one linear layer: `tilt` rungs dearer for each kind of shopper, kinds being the first features.
pub fn bundle(terms: Terms, tilt: [f32; KINDS]) -> Bundle {
    let mut weight = vec![0.0; RUNGS * FEATURE_WIDTH];
    for (rung, row) in weight.chunks_exact_mut(FEATURE_WIDTH).enumerate() {
        for (weight, tilt) in row.iter_mut().zip(tilt) {
            *weight = tilt * (rung as f32 - 2.0);
        }
    }
    let layer = Layer {
        inputs: FEATURE_WIDTH,
        outputs: RUNGS,
        weight,
        bias: vec![0.0; RUNGS],
    };
    let network = Network::new(vec![0.0; FEATURE_WIDTH], vec![1.0; FEATURE_WIDTH], &[layer]).unwrap();
    Bundle::mlp(terms, &network).unwrap()
}

pub const BETTER: [f32; KINDS] = [-0.2, 0.15, 0.1, 0.25];

pub fn incumbent() -> Bundle {
    bundle(terms(0.1), [-0.2; KINDS])
}

/// What the incumbent would log in the shop of three rivals.
pub fn good_log() -> Vec<Offer> {
    let mut offers = log(
        &Table::tilted("incumbent", |_, _| -0.2),
        SESSIONS,
        &Seeds::new(23),
    );
    let policy = incumbent().digest();
    for offer in &mut offers {
        let logged = offer.logged.as_mut().unwrap();
        logged.policy = policy;
        logged.features.resize(FEATURE_WIDTH, 0.0);
    }
    offers
}

pub fn config() -> GateConfig {
    GateConfig {
        occasions_min: SESSIONS,
        ..GateConfig::default()
    }
}

pub fn verdict(candidate: &Bundle, offers: &[Offer]) -> GateVerdict {
    judge(&config(), candidate, &incumbent(), offers, Vec::new()).unwrap()
}

/// The only reason of a refusal.
pub fn reason(verdict: &GateVerdict) -> &str {
    assert!(!verdict.verdict.passed);
    assert_eq!(verdict.reasons.len(), 1, "{:#?}", verdict.reasons);
    &verdict.reasons[0]
}

/// The good log with every `step`-th offer changed.
pub fn spoilt(step: usize, spoil: impl Fn(&mut Offer)) -> Vec<Offer> {
    let mut offers = good_log();
    offers.iter_mut().step_by(step).for_each(spoil);
    offers
}
