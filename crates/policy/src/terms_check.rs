//! What a manifest must say so that its policy can be served.

use crate::BundleError;
use crate::manifest::{Head, Manifest};
use haggle_core::{FEATURE_WIDTH, feature_spec_digest};

/// Version and subject are looked at first: a manifest of another format or for a market need not have these fields.
pub(crate) fn parse(bytes: &[u8]) -> Result<Manifest, BundleError> {
    let head = Head::read(bytes)?;
    if let Some(market) = head.market {
        return Err(BundleError::Market { kind: market.kind });
    }
    serde_json::from_slice(bytes).map_err(BundleError::Manifest)
}

pub(crate) fn check_terms(manifest: &Manifest) -> Result<(), BundleError> {
    let expected = feature_spec_digest();
    let got = manifest.feature_spec;
    if got != expected || manifest.obs_width != FEATURE_WIDTH {
        return Err(BundleError::FeatureSpec { got, expected });
    }
    let terms = &manifest.terms;
    let ladder = terms.catalog.rungs_max();
    if manifest.rungs != ladder {
        return Err(BundleError::Rungs {
            rungs: manifest.rungs,
            ladder,
        });
    }
    let range = |name, got: f64, sound: bool, expected| {
        if sound {
            Ok(())
        } else {
            Err(BundleError::Range { name, got, expected })
        }
    };
    let share = |name, got: f32, sound: bool| range(name, f64::from(got), sound, "a share between 0 and 1");
    let within = |value: f32| value > 0.0 && value <= 1.0;
    let memory = &terms.memory;
    range("floor", terms.floor, (0.0..=1.0).contains(&terms.floor), "0 to 1")?;
    share("memory.reference", memory.reference, within(memory.reference))?;
    share("memory.sales", memory.sales, within(memory.sales))?;
    share(
        "memory.loyalty_decay",
        memory.loyalty_decay,
        (0.0..1.0).contains(&memory.loyalty_decay),
    )?;
    let margin = terms.guardrails.margin_min;
    range(
        "guardrails.margin_min",
        margin,
        (0.0..1.0).contains(&margin),
        "0 to below 1",
    )?;
    let limit = terms.price_index_limit.unwrap_or(1.0);
    range(
        "price_index_limit",
        limit,
        limit.is_finite() && limit > 0.0,
        "a positive number",
    )?;
    let multiplier = terms.multiplier;
    range(
        "multiplier",
        multiplier,
        multiplier.is_finite() && multiplier >= 0.0,
        "0 or more",
    )
}

pub(crate) fn check_fixed(manifest: &Manifest, rungs: &[u8]) -> Result<(), BundleError> {
    let items = manifest.terms.catalog.items();
    let on_ladder = |item: &usize| {
        let rung = rungs.get(*item).copied().map(usize::from);
        rung.is_some_and(|rung| rung < items[*item].ladder.rungs())
    };
    match (0..items.len()).find(|item| !on_ladder(item)) {
        Some(item) => Err(BundleError::FixedRung { item }),
        None => Ok(()),
    }
}
