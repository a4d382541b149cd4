use crate::calibration::Calibration;
use crate::estimate::Estimate;
use crate::occasion::{FaultyOffers, Occasion, faulty_offers, occasions};
use crate::weighed_log::WeighedLog;
use crate::weighed_offer::Weighing;
use haggle_core::{Catalog, Digest, Offer, Policy, PolicyError};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Why a log says nothing of two policies.
#[derive(Debug, thiserror::Error)]
pub enum OffPolicyError {
    /// Offers that cannot be used.
    #[error("{} kinds of unusable offers; the first: {}", .0.len(), .0.first().map_or_else(String::new, |faulty| faulty.fault.to_string()))]
    Faulty(Vec<FaultyOffers>),
    /// Too few independent observations for an interval.
    #[error("{0} users (or sessions of unknown users) in the log: an interval needs 2 at least")]
    Clusters(usize),
    /// A policy without an answer.
    #[error("policy {policy:?} has no answer for item `{item}` in session `{session}`")]
    Policy {
        /// The policy.
        policy: Digest,
        /// The session.
        session: String,
        /// The item.
        item: String,
        /// Why.
        source: PolicyError,
    },
}

/// Two policies on one log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OffPolicyReport {
    /// Occasions in the log: a session in front of a category.
    pub occasions: usize,
    /// Offers in the log.
    pub offers: usize,
    /// Offers of occasions that were left out, because the user was held out: whatever either policy would have done, he got
    /// the static price. Who is held out depends on nothing that he does, so nothing is biased without him.
    #[serde(default)]
    pub offers_held_out: usize,
    /// Major units of money that an occasion brought, as logged.
    pub logged: Estimate,
    /// The policy that may be served.
    pub candidate: PolicyReport,
    /// The policy that is served.
    pub incumbent: PolicyReport,
    /// Candidate minus incumbent on the same occasions.
    pub difference: Values,
    /// Whether the propensities are true.
    pub calibration: Calibration,
    /// Offers that the incumbent priced, by digest.
    pub offers_of_incumbent: usize,
    /// Those among them whose logged distribution is not what the incumbent computes from the logged observation.
    pub offers_not_reproduced: usize,
}

/// One policy on a log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyReport {
    /// Its digest.
    pub policy: Digest,
    /// Major units of money per occasion.
    pub value: Values,
    /// How much of the log speaks of it.
    pub overlap: Overlap,
    /// What the logged baskets would cost at its prices / at the posted prices; none when nothing was bought.
    pub price_index: Option<Estimate>,
}

/// One quantity by each estimator; see [`crate::Estimator`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Values {
    /// The reward model alone.
    pub direct: Estimate,
    /// Weighted rewards.
    pub ipw: Estimate,
    /// Weighted rewards over the mean weight.
    pub snips: Estimate,
    /// What the gate bets on. The weight is the product over all offers of the occasion, so the estimate is unbiased
    /// however the prices of rivals work together.
    pub doubly_robust: Estimate,
    /// The same with the weight `1 + sum_i (w_i - 1)` (Swaminathan et al. 2017, slates): narrower with many items, and
    /// unbiased only where what prices do to the occasion's takings adds up over items. For reading, not for betting.
    pub doubly_robust_additive: Estimate,
}

/// How much of a log speaks of a policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overlap {
    /// `(sum w)^2 / sum w^2`: as many occasions of its own would say as much.
    pub effective_size: f64,
    /// That over the number of occasions.
    pub effective_share: f64,
    /// The largest weight over the sum of weights.
    pub weight_share_max: f64,
    /// 1 in expectation when the propensities are true and nothing is unsupported.
    pub weight_mean: Estimate,
    /// Mean probability, per offer, that it shows a price which the log could not show.
    pub mass_unsupported: f64,
}

/// Values two policies on a faultless log; `features` is the width of an observation. All randomness was in the log: the same log gives the same report.
///
/// # Errors
/// When offers are unusable, there are fewer than two users, or a policy has no answer to a logged observation.
pub fn compare(
    offers: &[Offer],
    catalog: &Catalog,
    features: usize,
    candidate: &dyn Policy,
    incumbent: &dyn Policy,
) -> Result<OffPolicyReport, OffPolicyError> {
    let faulty = faulty_offers(offers, catalog, features);
    if !faulty.is_empty() {
        return Err(OffPolicyError::Faulty(faulty));
    }
    let weighing = Weighing {
        catalog,
        candidate,
        incumbent,
    };
    let mut grouped = occasions(offers);
    grouped.retain(|occasion| !occasion.is_held_out());
    let left = grouped.iter().map(|occasion| occasion.offers().len()).sum();
    let weighed = grouped
        .par_iter()
        .map(|occasion| weighing.weigh(occasion))
        .collect::<Result<Vec<_>, _>>()?;
    let log = WeighedLog::new(&grouped, weighed, features);
    let draws = grouped
        .iter()
        .flat_map(Occasion::offers)
        .filter_map(|offer| offer.logged.as_ref());
    log.report(
        [left, offers.len() - left],
        candidate.digest(),
        incumbent.digest(),
        Calibration::of(draws),
    )
}
