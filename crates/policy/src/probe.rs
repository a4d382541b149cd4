//! Probe vectors: observations with the scores that a bundle's maker computed for them, so that whoever loads it knows that he
//! computes the same.

use crate::BundleError;
use crate::manifest::Terms;
use haggle_core::{Mask, PolicyError, Seeds};

/// Largest difference between a probe's score and the one computed here.
pub const PROBE_TOLERANCE: f32 = 1e-4;
pub(crate) const PROBES: usize = 16;

/// Checks that scores are those that a probe's maker computed.
///
/// # Errors
/// When their number differs or one of them is further away than [`PROBE_TOLERANCE`].
pub(crate) fn compare_probe(probe: usize, logits: &[f32], made: &[f32]) -> Result<(), BundleError> {
    if logits.len() != made.len() {
        let source = PolicyError::Width {
            expected: logits.len(),
            got: made.len(),
        };
        return Err(BundleError::ProbeInput { probe, source });
    }
    let apart = logits.iter().zip(made).map(|(got, made)| (got - made).abs());
    let difference = apart.fold(0.0, |worst, next| if next <= worst { worst } else { next });
    if difference.is_nan() || difference > PROBE_TOLERANCE {
        return Err(BundleError::Probe { probe, difference });
    }
    Ok(())
}

/// Inputs for probes: spread around the normaliser, drawn from the run's seed, items in turn.
pub(crate) struct Probes {
    seeds: Seeds,
    mean: Vec<f32>,
    std: Vec<f32>,
}

impl Probes {
    pub(crate) fn around(terms: &Terms, mean: &[f32], std: &[f32]) -> Self {
        Self {
            seeds: Seeds::new(terms.provenance.seed).named("probes"),
            mean: mean.to_vec(),
            std: std.to_vec(),
        }
    }

    pub(crate) fn input(&self, terms: &Terms, probe: usize) -> (usize, Vec<f32>, Mask) {
        let items = terms.catalog.items();
        let item = probe % items.len().max(1);
        let value = |n: usize| {
            let uniform = self.seeds.uniform_of(format!("{probe}/{n}").as_bytes()) as f32;
            self.mean[n] + self.std[n] * (6.0 * uniform - 3.0)
        };
        let mask = items.get(item).map_or(Mask::NONE, haggle_core::Item::supported);
        (item, (0..self.mean.len()).map(value).collect(), mask)
    }
}
