use crate::calibration::Calibration;
use crate::estimate::{Estimate, Estimator, Row, ratio_contributions};
use crate::occasion::{FaultyOffers, Occasion, faulty_offers, occasions};
use crate::reward_model::{FOLDS, PriceMoments, RewardModel, add_offer, columns};
use haggle_core::{Catalog, Digest, Item, Logged, Observation, Offer, Pmf, Policy, PolicyError};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A policy's own distribution may differ from what it logged by this much, for rounding.
const RECOMPUTED_APART_MAX: f64 = 1e-9;

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

/// One quantity by each estimator; see [`Estimator`].
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
    let grouped = occasions(offers);
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
        offers.len(),
        candidate.digest(),
        incumbent.digest(),
        Calibration::of(draws),
    )
}

struct Weighing<'a> {
    catalog: &'a Catalog,
    candidate: &'a dyn Policy,
    incumbent: &'a dyn Policy,
}

/// One offer with what both policies make of it.
struct WeighedOffer<'a> {
    offer: &'a Offer,
    logged: &'a Logged,
    /// The item's usual takings per visit, major units.
    scale: f64,
    drawn: PriceMoments,
    candidate: Answer,
    incumbent: Answer,
    /// Whether the incumbent priced it; then, whether its logged distribution was reproduced.
    reproduced: Option<bool>,
}

/// A policy's distribution at one offer, as far as it matters.
#[derive(Clone, Copy)]
struct Answer {
    /// Probability of the drawn rung / its propensity.
    ratio: f64,
    prices: PriceMoments,
    price_mean_minor: f64,
    unsupported: f64,
}

impl Weighing<'_> {
    fn weigh<'a>(&self, occasion: &Occasion<'a>) -> Result<Vec<WeighedOffer<'a>>, OffPolicyError> {
        let each = |offer: &&'a Offer| self.weigh_offer(offer);
        occasion
            .offers()
            .iter()
            .filter_map(|offer| each(offer).transpose())
            .collect()
    }

    /// Nothing for offers without propensity or item; [`compare`] has refused them before.
    fn weigh_offer<'a>(&self, offer: &'a Offer) -> Result<Option<WeighedOffer<'a>>, OffPolicyError> {
        let (Some(logged), Some(at)) = (&offer.logged, self.catalog.find(&offer.item)) else {
            return Ok(None);
        };
        let item = &self.catalog.items()[at];
        let observation = Observation {
            item: at,
            features: &logged.features,
        };
        let ask = |policy: &dyn Policy| {
            let named = |source| OffPolicyError::Policy {
                policy: policy.digest(),
                session: offer.session.clone(),
                item: offer.item.clone(),
                source,
            };
            policy.pmf(observation, logged.mask).map_err(named)
        };
        let (candidate, incumbent) = (ask(self.candidate)?, ask(self.incumbent)?);
        let own = self.incumbent.digest() == logged.policy;
        Ok(Some(WeighedOffer {
            offer,
            logged,
            scale: item.base_minor.as_f64() / 100.0 * f64::from(item.traits.sales_rate),
            drawn: moments(item, &Pmf::certain(item.ladder.rungs(), usize::from(logged.rung))),
            candidate: Answer::new(&candidate, logged, item),
            incumbent: Answer::new(&incumbent, logged, item),
            reproduced: own.then(|| same(&incumbent, &logged.pmf)),
        }))
    }
}

impl Answer {
    fn new(pmf: &Pmf, logged: &Logged, item: &Item) -> Self {
        let mass = |pmf: &Pmf, rung: usize| pmf.probabilities().get(rung).copied().unwrap_or(0.0);
        let supported = |rung: usize| mass(&logged.pmf, rung) > 0.0;
        Self {
            ratio: mass(pmf, usize::from(logged.rung)) / logged.propensity(),
            prices: moments(item, pmf),
            price_mean_minor: pmf.mean(|rung| price(item, rung)),
            unsupported: pmf.mean(|rung| if supported(rung) { 0.0 } else { 1.0 }),
        }
    }
}

/// Masks keep policies on the ladder; a rung beyond it would have its last price.
fn price(item: &Item, rung: usize) -> f64 {
    item.ladder.price(rung.min(item.ladder.rungs() - 1)).as_f64()
}

fn moments(item: &Item, pmf: &Pmf) -> PriceMoments {
    let log = |rung: usize| (price(item, rung) / item.base_minor.as_f64()).ln();
    PriceMoments {
        log: pmf.mean(log),
        log_square: pmf.mean(|rung| log(rung).powi(2)),
    }
}

fn same(a: &Pmf, b: &Pmf) -> bool {
    let (a, b) = (a.probabilities(), b.probabilities());
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|(a, b)| (a - b).abs() <= RECOMPUTED_APART_MAX)
}

/// Which of the two policies.
type Side = fn(&WeighedOffer<'_>) -> Answer;

struct WeighedLog<'a> {
    rewards: Vec<f64>,
    clusters: Vec<usize>,
    offers: Vec<Vec<WeighedOffer<'a>>>,
    models: Vec<RewardModel>,
    columns: usize,
}

impl<'a> WeighedLog<'a> {
    fn new(grouped: &[Occasion<'a>], offers: Vec<Vec<WeighedOffer<'a>>>, features: usize) -> Self {
        let mut numbers: BTreeMap<_, usize> =
            grouped.iter().map(|occasion| (occasion.cluster(), 0)).collect();
        for (number, (_, at)) in numbers.iter_mut().enumerate() {
            *at = number;
        }
        let mut log = Self {
            rewards: grouped.iter().map(Occasion::reward).collect(),
            clusters: grouped
                .iter()
                .map(|occasion| numbers[&occasion.cluster()])
                .collect(),
            offers,
            models: Vec::new(),
            columns: columns(features),
        };
        let row = |at: usize| (log.design(at, |offer| offer.drawn), log.rewards[at]);
        log.models = RewardModel::cross_fit(log.rewards.len(), log.columns, |at| log.fold(at), row);
        log
    }

    /// Whole clusters, so that no model has seen the user whom it values.
    fn fold(&self, at: usize) -> usize {
        self.clusters[at] % FOLDS
    }

    fn design(&self, at: usize, prices: impl Fn(&WeighedOffer<'_>) -> PriceMoments) -> Vec<f64> {
        let mut row = vec![0.0; self.columns];
        for offer in &self.offers[at] {
            add_offer(&mut row, offer.scale, &offer.logged.features, prices(offer));
        }
        row
    }

    fn rows(&self, side: Side) -> Vec<Row> {
        let row = |at: usize| {
            let model = &self.models[self.fold(at)];
            Row {
                reward: self.rewards[at],
                weight: self.offers[at].iter().map(|offer| side(offer).ratio).product(),
                q: model.value(&self.design(at, |offer| offer.drawn)),
                q_pi: model.value(&self.design(at, |offer| side(offer).prices)),
            }
        };
        (0..self.rewards.len()).into_par_iter().map(row).collect()
    }

    fn with_additive_weights(&self, rows: &[Row], side: Side) -> Vec<Row> {
        let excess = |offer: &WeighedOffer<'_>| side(offer).ratio - 1.0;
        let weight = |offers: &[WeighedOffer<'_>]| 1.0 + offers.iter().map(excess).sum::<f64>();
        let row = |(row, offers): (&Row, &Vec<WeighedOffer<'_>>)| Row {
            weight: weight(offers),
            ..*row
        };
        rows.iter().zip(&self.offers).map(row).collect()
    }

    fn estimate(&self, contributions: &[f64]) -> Result<Estimate, OffPolicyError> {
        Estimate::clustered(contributions, &self.clusters)
    }

    fn report(
        &self,
        offers: usize,
        candidate: Digest,
        incumbent: Digest,
        calibration: Calibration,
    ) -> Result<OffPolicyReport, OffPolicyError> {
        let sides: [Side; 2] = [|offer| offer.candidate, |offer| offer.incumbent];
        let [new, old] = sides.map(|side| Contributions::new(self, side));
        let reproduced = || self.offers.iter().flatten().filter_map(|offer| offer.reproduced);
        Ok(OffPolicyReport {
            occasions: self.rewards.len(),
            offers,
            logged: self.estimate(&self.rewards)?,
            difference: new.minus(&old).values(self)?,
            candidate: self.policy(candidate, sides[0], &new)?,
            incumbent: self.policy(incumbent, sides[1], &old)?,
            calibration,
            offers_of_incumbent: reproduced().count(),
            offers_not_reproduced: reproduced().filter(|reproduced| !reproduced).count(),
        })
    }

    fn policy(&self, policy: Digest, side: Side, of: &Contributions) -> Result<PolicyReport, OffPolicyError> {
        Ok(PolicyReport {
            policy,
            value: of.values(self)?,
            overlap: self.overlap(side, &of.weights)?,
            price_index: self.price_index(side)?,
        })
    }

    fn overlap(&self, side: Side, weights: &[f64]) -> Result<Overlap, OffPolicyError> {
        let sum: f64 = weights.iter().sum();
        let squares: f64 = weights.iter().map(|weight| weight * weight).sum();
        let largest = weights.iter().copied().fold(0.0, f64::max);
        let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        let effective_size = share(sum * sum, squares);
        let unsupported = || self.offers.iter().flatten().map(|offer| side(offer).unsupported);
        Ok(Overlap {
            effective_size,
            effective_share: effective_size / weights.len() as f64,
            weight_share_max: share(largest, sum),
            weight_mean: self.estimate(weights)?,
            mass_unsupported: unsupported().sum::<f64>() / unsupported().count() as f64,
        })
    }

    fn price_index(&self, side: Side) -> Result<Option<Estimate>, OffPolicyError> {
        let cost = |offers: &Vec<WeighedOffer<'_>>| {
            let bought = offers.iter().map(|offer| (f64::from(offer.offer.units), offer));
            bought.fold((0.0, 0.0), |(own, posted), (units, offer)| {
                let posted_minor = offer.offer.posted_minor.as_f64();
                (
                    own + units * side(offer).price_mean_minor,
                    posted + units * posted_minor,
                )
            })
        };
        let costs: Vec<(f64, f64)> = self.offers.iter().map(cost).collect();
        if costs.iter().all(|(_, posted)| *posted == 0.0) {
            return Ok(None);
        }
        self.estimate(&ratio_contributions(&costs)).map(Some)
    }
}

/// The contributions of one policy, or of the difference of two, by estimator.
struct Contributions {
    weights: Vec<f64>,
    direct: Vec<f64>,
    ipw: Vec<f64>,
    snips: Vec<f64>,
    doubly_robust: Vec<f64>,
    additive: Vec<f64>,
}

impl Contributions {
    fn new(log: &WeighedLog<'_>, side: Side) -> Self {
        let rows = log.rows(side);
        let additive = log.with_additive_weights(&rows, side);
        Self {
            weights: rows.iter().map(|row| row.weight).collect(),
            direct: Estimator::Direct.contributions(&rows),
            ipw: Estimator::Ipw.contributions(&rows),
            snips: Estimator::Snips.contributions(&rows),
            doubly_robust: Estimator::DoublyRobust.contributions(&rows),
            additive: Estimator::DoublyRobust.contributions(&additive),
        }
    }

    fn minus(&self, other: &Self) -> Self {
        let minus = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a - b).collect();
        Self {
            weights: minus(&self.weights, &other.weights),
            direct: minus(&self.direct, &other.direct),
            ipw: minus(&self.ipw, &other.ipw),
            snips: minus(&self.snips, &other.snips),
            doubly_robust: minus(&self.doubly_robust, &other.doubly_robust),
            additive: minus(&self.additive, &other.additive),
        }
    }

    fn values(&self, log: &WeighedLog<'_>) -> Result<Values, OffPolicyError> {
        Ok(Values {
            direct: log.estimate(&self.direct)?,
            ipw: log.estimate(&self.ipw)?,
            snips: log.estimate(&self.snips)?,
            doubly_robust: log.estimate(&self.doubly_robust)?,
            doubly_robust_additive: log.estimate(&self.additive)?,
        })
    }
}
