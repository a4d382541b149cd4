//! A log of occasions whose offers were asked of both policies, and every estimate that comes out of it.

use crate::calibration::Calibration;
use crate::estimate::{Estimate, Estimator, Row, ratio_contributions};
use crate::occasion::Occasion;
use crate::off_policy::{OffPolicyError, OffPolicyReport, Overlap, PolicyReport, Values};
use crate::reward_model::{FOLDS, PriceMoments, RewardModel, add_offer, columns};
use crate::weighed_offer::{Answer, WeighedOffer};
use haggle_core::Digest;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Which of the two policies.
type Side = fn(&WeighedOffer<'_>) -> Answer;

/// Occasions with their takings, clusters and cross-fitted reward models.
pub(crate) struct WeighedLog<'a> {
    rewards: Vec<f64>,
    clusters: Vec<usize>,
    offers: Vec<Vec<WeighedOffer<'a>>>,
    models: Vec<RewardModel>,
    columns: usize,
}

impl<'a> WeighedLog<'a> {
    /// Numbers the clusters and fits the reward models; `features` is the width of an observation.
    pub(crate) fn new(grouped: &[Occasion<'a>], offers: Vec<Vec<WeighedOffer<'a>>>, features: usize) -> Self {
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

    /// Every estimate of both policies and of their difference; `offers` that it is made of, and those that were left out.
    ///
    /// # Errors
    /// When there are fewer than two clusters.
    pub(crate) fn report(
        &self,
        [offers, offers_held_out]: [usize; 2],
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
            offers_held_out,
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
