//! The gate: may the candidate be served in the incumbent's place, on the evidence of logged offers?
//!
//! It bets on the doubly robust difference, candidate minus incumbent, on the same occasions: unclipped product weights,
//! reward model cross-fitted by user, standard error clustered by user, one-sided bound. What the log cannot tell: the
//! memories of shoppers (reference prices, loyalty) as they would be after weeks of the candidate's prices.

use crate::gate_config::{GateConfig, GateConfigError};
use crate::occasion::FaultyOffers;
use crate::off_policy::{OffPolicyError, OffPolicyReport, compare};
use haggle_core::{Bounds, Item, Offer, Policy, allowed_rungs};
use haggle_policy::{Bundle, DataSource, GATE_FILE, Terms, VERDICT_FORMAT, Verdict};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::{fs, io};

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
