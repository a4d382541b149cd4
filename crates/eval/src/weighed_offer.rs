//! A logged offer, asked of both policies.

use crate::occasion::Occasion;
use crate::off_policy::OffPolicyError;
use crate::reward_model::PriceMoments;
use haggle_core::{Catalog, Item, Logged, Observation, Offer, Pmf, Policy};

/// A policy's own distribution may differ from what it logged by this much, for rounding.
const RECOMPUTED_APART_MAX: f64 = 1e-9;

/// Two policies that are asked about the same offers.
pub(crate) struct Weighing<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) candidate: &'a dyn Policy,
    pub(crate) incumbent: &'a dyn Policy,
}

/// One offer with what both policies make of it.
pub(crate) struct WeighedOffer<'a> {
    pub(crate) offer: &'a Offer,
    pub(crate) logged: &'a Logged,
    /// The item's usual takings per visit, major units.
    pub(crate) scale: f64,
    pub(crate) drawn: PriceMoments,
    pub(crate) candidate: Answer,
    pub(crate) incumbent: Answer,
    /// Whether the incumbent priced it; then, whether its logged distribution was reproduced.
    pub(crate) reproduced: Option<bool>,
}

/// A policy's distribution at one offer, as far as it matters.
#[derive(Clone, Copy)]
pub(crate) struct Answer {
    /// Probability of the drawn rung / its propensity.
    pub(crate) ratio: f64,
    pub(crate) prices: PriceMoments,
    pub(crate) price_mean_minor: f64,
    pub(crate) unsupported: f64,
}

impl Weighing<'_> {
    /// Every offer of an occasion, asked of both policies.
    ///
    /// # Errors
    /// When a policy has no answer.
    pub(crate) fn weigh<'a>(&self, occasion: &Occasion<'a>) -> Result<Vec<WeighedOffer<'a>>, OffPolicyError> {
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
pub(crate) fn price(item: &Item, rung: usize) -> f64 {
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
