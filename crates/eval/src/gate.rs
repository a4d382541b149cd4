//! The gate: may the candidate be served in the incumbent's place, on the evidence of logged offers?
//!
//! It bets on the doubly robust difference, candidate minus incumbent, on the same occasions: unclipped product weights,
//! reward model cross-fitted by user, standard error clustered by user, one-sided bound. What the log cannot tell: the
//! memories of shoppers (reference prices, loyalty) as they would be after weeks of the candidate's prices.

use crate::occasion::FaultyOffers;
use crate::off_policy::{OffPolicyError, OffPolicyReport, compare};
use haggle_core::{Bounds, Item, Offer, Policy, allowed_rungs};
use haggle_policy::{Bundle, DataSource, GATE_FILE, Terms, VERDICT_FORMAT, Verdict};
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// What a candidate must show.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GateConfig {
    /// Probability, in (0.5, 1), with which the candidate must be better: one-sided, for all looks together.
    pub confidence: f64,
    /// How often this candidate will be judged on a growing log, this time included; each look gets its part of the
    /// error probability (Bonferroni). 1 = decide once, at the planned size.
    pub looks_planned: u32,
    /// The planned size: occasions (a session in front of a category) that the log must hold.
    pub occasions_min: usize,
    /// Least effective sample size of the candidate as a share of the occasions, in [0, 1].
    pub effective_share_min: f64,
    /// Largest share of all weight that one occasion may have, in [0, 1].
    pub weight_share_max: f64,
    /// How far from 1 the candidate's mean weight may be.
    pub weight_mean_apart_max: f64,
    /// Least p-value of the test that prices were drawn with the logged probabilities, in [0, 1].
    pub calibration_p_min: f64,
    /// Largest price index (logged baskets at the candidate's prices / at the posted prices). Default: the limit in the
    /// candidate's own terms.
    pub price_index_max: Option<f64>,
    /// By how much the estimated index may exceed that: a candidate trained to the limit lies on it, give or take the
    /// sampling error.
    pub price_index_tolerance: f64,
    /// Probability, in (0, 1), with which the log that is asked for should suffice if the seen difference is the true one.
    pub power: f64,
}

impl Default for GateConfig {
    fn default() -> Self {
        Self {
            confidence: 0.95,
            looks_planned: 1,
            occasions_min: 5_000,
            effective_share_min: 0.05,
            weight_share_max: 0.10,
            weight_mean_apart_max: 0.10,
            calibration_p_min: 0.001,
            price_index_max: None,
            price_index_tolerance: 0.01,
            power: 0.8,
        }
    }
}

/// A threshold out of its range.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("gate: {field} is {got}, expected {expected}")]
pub struct GateConfigError {
    /// The field.
    pub field: &'static str,
    /// Its value.
    pub got: f64,
    /// Its range.
    pub expected: &'static str,
}

impl GateConfig {
    /// Checks every threshold.
    ///
    /// # Errors
    /// Names the first one that is out of its range.
    pub fn validate(&self) -> Result<(), GateConfigError> {
        let check = |field, got: f64, sound: bool, expected| match sound {
            true => Ok(()),
            false => Err(GateConfigError { field, got, expected }),
        };
        let share = |field, got| check(field, got, (0.0..=1.0).contains(&got), "0 to 1");
        let positive = |field, got: f64| check(field, got, got.is_finite() && got > 0.0, "a positive number");
        let inside = |least: f64, got: f64| got > least && got < 1.0;
        let looks = f64::from(self.looks_planned);
        check(
            "confidence",
            self.confidence,
            inside(0.5, self.confidence),
            "above 0.5, below 1",
        )?;
        check("looks_planned", looks, looks >= 1.0, "1 or more")?;
        share("effective_share_min", self.effective_share_min)?;
        share("weight_share_max", self.weight_share_max)?;
        positive("weight_mean_apart_max", self.weight_mean_apart_max)?;
        share("calibration_p_min", self.calibration_p_min)?;
        positive("price_index_max", self.price_index_max.unwrap_or(1.0))?;
        share("price_index_tolerance", self.price_index_tolerance)?;
        check("power", self.power, inside(0.0, self.power), "above 0, below 1")
    }

    /// The confidence that this one look must reach.
    #[must_use]
    pub fn confidence_per_look(&self) -> f64 {
        1.0 - (1.0 - self.confidence) / f64::from(self.looks_planned)
    }
}

/// What the gate says, with everything that led to it. Written as [`GATE_FILE`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateVerdict {
    /// The part that a server reads.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Every check that failed, in plain words; empty when passed.
    pub reasons: Vec<String>,
    /// Lower bound of the gain per occasion, major units of money; the candidate passes only above 0.
    pub gain_lower_bound: Option<f64>,
    /// Occasions that the log should hold in all for the bound to pass, if the seen difference and spread are the true
    /// ones; none when the candidate does not look better.
    pub occasions_needed: Option<u64>,
    /// The price index limit that was applied, tolerance not included; none = unconstrained.
    pub price_index_max: Option<f64>,
    /// The estimates; none when the log cannot be used.
    pub report: Option<OffPolicyReport>,
    /// The thresholds.
    pub thresholds: GateConfig,
    /// The log: segments by name and digest.
    pub segments: Vec<DataSource>,
}

impl GateVerdict {
    /// Writes the verdict into the candidate's folder, whole or not at all, in place of an older one.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(&self, folder: &Path) -> io::Result<PathBuf> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        let path = folder.join(GATE_FILE);
        let draft = folder.join(format!(".{GATE_FILE}.{}", std::process::id()));
        let written = fs::write(&draft, json)
            .and_then(|()| fs::File::open(&draft)?.sync_all())
            .and_then(|()| fs::rename(&draft, &path));
        if let Err(error) = written {
            // Best effort: the write has failed already, and its own error is the one to tell.
            let _ = fs::remove_file(&draft);
            return Err(error);
        }
        Ok(path)
    }
}

/// Judges a candidate against the incumbent on the offers of some segments. Where the candidate was tuned on one of them,
/// only offers count that tuning has left out ([`Offer::judges`]). A bad log or candidate is not an error but a refusal
/// with its reasons.
///
/// # Errors
/// When a threshold is out of its range.
pub fn judge(
    config: &GateConfig,
    candidate: &Bundle,
    incumbent: &Bundle,
    offers: &[Offer],
    segments: Vec<DataSource>,
) -> Result<GateVerdict, GateConfigError> {
    config.validate()?;
    let price_index_max = config.price_index_max.or(candidate.terms().price_index_limit);
    let mut reasons = misfits(candidate, incumbent);
    reasons.extend(rule_breaks(candidate.terms(), offers));
    let learnt_from = &candidate.terms().provenance.data;
    let seen = segments
        .iter()
        .any(|segment| learnt_from.iter().any(|data| data.digest == segment.digest));
    let unseen: Vec<Offer>;
    let offers = if seen {
        unseen = offers.iter().filter(|offer| offer.judges()).cloned().collect();
        &unseen[..]
    } else {
        offers
    };
    let features = candidate.manifest().obs_width;
    let report = match compare(offers, &candidate.terms().catalog, features, candidate, incumbent) {
        Ok(report) => {
            reasons.extend(config.shortfalls(&report, price_index_max));
            Some(report)
        }
        Err(error) => {
            reasons.extend(unusable(&error, offers.len()));
            None
        }
    };
    Ok(GateVerdict {
        verdict: Verdict {
            format: VERDICT_FORMAT,
            candidate: candidate.digest(),
            incumbent: incumbent.digest(),
            passed: reasons.is_empty(),
        },
        reasons,
        gain_lower_bound: report.as_ref().map(|report| config.gain_lower_bound(report)),
        occasions_needed: report.as_ref().and_then(|report| config.occasions_needed(report)),
        price_index_max,
        report,
        thresholds: config.clone(),
        segments,
    })
}

/// Why the two bundles cannot be compared.
fn misfits(candidate: &Bundle, incumbent: &Bundle) -> Vec<String> {
    let (new, old) = (candidate.terms(), incumbent.terms());
    let spec = |bundle: &Bundle| (bundle.manifest().feature_spec, bundle.manifest().obs_width);
    let same = |same: bool, what: &str| {
        (!same).then(|| format!("{what} of the candidate differ from the incumbent's; they must be the same"))
    };
    let itself = candidate.digest() == incumbent.digest();
    let itself =
        itself.then(|| "candidate and incumbent are the same bundle: there is nothing to promote".to_owned());
    let all = [
        itself,
        same(spec(candidate) == spec(incumbent), "the features"),
        same(new.catalog == old.catalog, "the catalogue and ladders"),
        same(new.guardrails == old.guardrails, "the guardrails"),
        same(
            new.memory == old.memory,
            "the memory rates (the logged features hold the incumbent's)",
        ),
    ];
    all.into_iter().flatten().collect()
}

/// The log was made under the shop's standing rules: a mask that allows more would let the candidate break them.
fn rule_breaks(terms: &Terms, offers: &[Offer]) -> Option<String> {
    let legal =
        |item: &Item| allowed_rungs(item, &terms.guardrails, &Bounds::default()).map(|(mask, _)| mask);
    let legal: Vec<_> = terms
        .catalog
        .items()
        .iter()
        .map(|item| legal(item).unwrap_or_default())
        .collect();
    let breaks = |offer: &&Offer| {
        let known = offer.logged.as_ref().zip(terms.catalog.find(&offer.item));
        known.is_some_and(|(logged, item)| logged.mask.and(legal[item]) != logged.mask)
    };
    let count = offers.iter().filter(breaks).count();
    let first = offers.iter().find(breaks)?;
    Some(format!(
        "{count} of {} offers allowed prices that the guardrails forbid (first: {}); none may",
        offers.len(),
        named(&first.session, &first.item)
    ))
}

fn named(session: &str, item: &str) -> String {
    format!("session {session}, item {item}")
}

fn unusable(error: &OffPolicyError, offers: usize) -> Vec<String> {
    let faulty = |faulty: &FaultyOffers| {
        let FaultyOffers {
            fault,
            count,
            first: (session, item),
        } = faulty;
        format!(
            "{count} of {offers} offers cannot be used: {fault} (first: {})",
            named(session, item)
        )
    };
    match error {
        OffPolicyError::Faulty(kinds) => kinds.iter().map(faulty).collect(),
        other => {
            let source = other
                .source()
                .map_or_else(String::new, |source| format!(": {source}"));
            vec![format!("{other}{source}")]
        }
    }
}

impl GateConfig {
    /// Why the estimates do not suffice, in plain words; empty when they do.
    #[must_use]
    pub fn shortfalls(&self, report: &OffPolicyReport, price_index_max: Option<f64>) -> Vec<String> {
        let mut reasons = self.doubts(report);
        reasons.extend(price_index_max.and_then(|limit| self.over_index(report, limit)));
        let bound = self.gain_lower_bound(report);
        if bound <= 0.0 {
            let gain = &report.difference.doubly_robust;
            let needed = self.occasions_needed(report);
            let advice = needed.map_or_else(
                || "the candidate does not look better at all".to_owned(),
                |needed| format!("at this difference and spread {needed} occasions would be needed"),
            );
            reasons.push(format!(
                "the gain per occasion is {:.4}, between {:.4} and {:.4}; its lower bound at {:.2} % confidence, {bound:.4}, \
                 must be above 0; {advice}",
                gain.value,
                gain.low,
                gain.high,
                100.0 * self.confidence_per_look(),
            ));
        }
        reasons
    }

    /// Why the estimates themselves cannot be trusted.
    fn doubts(&self, report: &OffPolicyReport) -> Vec<String> {
        let n = report.occasions;
        let overlap = &report.candidate.overlap;
        let p = report.calibration.p_value();
        let refuse = |wrong: bool, reason: &dyn Fn() -> String| wrong.then(reason);
        let all = [
            refuse(n < self.occasions_min, &|| {
                format!("{n} occasions in the log, {} were planned", self.occasions_min)
            }),
            refuse(report.offers_not_reproduced > 0, &|| {
                format!(
                    "{} of {} offers priced by the incumbent logged other probabilities than it computes (were prices \
                     frozen?); all must agree",
                    report.offers_not_reproduced, report.offers_of_incumbent
                )
            }),
            refuse(p < self.calibration_p_min, &|| {
                format!(
                    "prices were not drawn with the logged probabilities: p = {p:.2e}, at least {} is expected",
                    self.calibration_p_min
                )
            }),
            refuse(overlap.mass_unsupported > 0.0, &|| {
                format!(
                    "{:.3} % of the candidate's prices could not occur in the log; all must have had a probability above 0",
                    100.0 * overlap.mass_unsupported
                )
            }),
            refuse(overlap.effective_share < self.effective_share_min, &|| {
                format!(
                    "the effective size is {:.0} of {n} occasions ({:.1} %), at least {:.1} % is needed: the candidate is too \
                     far from what was logged",
                    overlap.effective_size,
                    100.0 * overlap.effective_share,
                    100.0 * self.effective_share_min
                )
            }),
            refuse(overlap.weight_share_max > self.weight_share_max, &|| {
                format!(
                    "one occasion holds {:.1} % of the weight, at most {:.1} % may be",
                    100.0 * overlap.weight_share_max,
                    100.0 * self.weight_share_max
                )
            }),
            refuse(
                (overlap.weight_mean.value - 1.0).abs() > self.weight_mean_apart_max,
                &|| {
                    format!(
                        "the mean weight is {:.3}, expected within {} of 1",
                        overlap.weight_mean.value, self.weight_mean_apart_max
                    )
                },
            ),
        ];
        all.into_iter().flatten().collect()
    }

    fn over_index(&self, report: &OffPolicyReport, limit: f64) -> Option<String> {
        let Some(index) = report.candidate.price_index else {
            return Some("nothing was bought in the log: the price index is unknown".to_owned());
        };
        (index.value > limit + self.price_index_tolerance).then(|| {
            format!(
                "the price index is {:.4}, between {:.4} and {:.4}; at most {limit} is allowed, tolerance {}",
                index.value, index.low, index.high, self.price_index_tolerance
            )
        })
    }

    /// What the gain per occasion exceeds with the confidence of one look, major units of money.
    #[must_use]
    pub fn gain_lower_bound(&self, report: &OffPolicyReport) -> f64 {
        report
            .difference
            .doubly_robust
            .lower_bound(self.confidence_per_look())
    }

    /// Occasions after which the bound passes with probability `power`, if the seen difference and spread are the true
    /// ones: `n ((z_confidence + z_power) se / gain)^2`. None when the gain is not positive.
    #[must_use]
    pub fn occasions_needed(&self, report: &OffPolicyReport) -> Option<u64> {
        let gain = &report.difference.doubly_robust;
        let normal = Normal::standard();
        let z = normal.inverse_cdf(self.confidence_per_look()) + normal.inverse_cdf(self.power);
        let needed = report.occasions as f64 * (z * gain.std_error / gain.value).powi(2);
        (gain.value > 0.0).then_some(needed.ceil() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_out_of_range_are_named() {
        let config = GateConfig {
            confidence: 95.0,
            ..GateConfig::default()
        };
        let error = config.validate().expect_err("out of range");
        assert_eq!(
            error.to_string(),
            "gate: confidence is 95, expected above 0.5, below 1"
        );
        assert_eq!(GateConfig::default().validate(), Ok(()));
        assert!(serde_json::from_str::<GateConfig>(r#"{"confidense":0.9}"#).is_err());
    }

    #[test]
    fn looks_share_the_error() {
        let config = GateConfig {
            looks_planned: 5,
            ..GateConfig::default()
        };
        assert!((config.confidence_per_look() - 0.99).abs() < 1e-12);
    }
}
