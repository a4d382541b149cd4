use haggle_core::{Catalog, Logged, Offer};
use std::collections::BTreeSet;
use std::fmt;

/// One session in front of one category: the unit of off-policy evaluation, because what one item earns depends on the
/// prices of its rivals.
#[derive(Clone, Debug)]
pub struct Occasion<'a> {
    offers: Vec<&'a Offer>,
}

/// The offers of a log by (session, category), in an order that does not depend on the order of the log.
#[must_use]
pub fn occasions(offers: &[Offer]) -> Vec<Occasion<'_>> {
    let mut sorted: Vec<&Offer> = offers.iter().collect();
    sorted.sort_by_key(|offer| key(offer));
    sorted
        .chunk_by(|a, b| a.session == b.session && a.category == b.category)
        .map(|offers| Occasion {
            offers: offers.to_vec(),
        })
        .collect()
}

fn key(offer: &Offer) -> (&str, &str, &str, i64, Option<&str>) {
    let decision = offer.logged.as_ref().map(|logged| logged.decision.0.as_str());
    (
        &offer.session,
        &offer.category,
        &offer.item,
        offer.time_s,
        decision,
    )
}

impl<'a> Occasion<'a> {
    /// Its offers: at least one, by item.
    #[must_use]
    pub fn offers(&self) -> &[&'a Offer] {
        &self.offers
    }

    /// What it brought, in major units of money.
    #[must_use]
    pub fn reward(&self) -> f64 {
        let minor: i64 = self.offers.iter().map(|offer| offer.value_minor).sum();
        minor as f64 / 100.0
    }

    /// Whether a user who is held out got the static price here.
    pub(crate) fn is_held_out(&self) -> bool {
        self.offers.iter().any(|offer| offer.held_out())
    }

    /// Occasions of one user are not independent of each other; an unknown user is known by the session.
    pub(crate) fn cluster(&self) -> Cluster<'a> {
        match &self.offers[0].user {
            Some(user) => Cluster::User(user),
            None => Cluster::Session(&self.offers[0].session),
        }
    }
}

/// Who stands behind an occasion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cluster<'a> {
    User(&'a str),
    Session(&'a str),
}

/// Why nothing can be concluded from an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OfferFault {
    /// Imported history: nobody wrote down how its price was drawn.
    Unlogged,
    /// The item is not in the catalogue, or stands there in another category.
    Item,
    /// The drawn rung is not on the item's ladder, or its price there is not the one that was shown.
    Price,
    /// The drawn rung was forbidden or had probability 0.
    Propensity,
    /// The logged numbers are no distribution over the allowed rungs.
    Pmf,
    /// The logged observation has another width or holds a value that is not finite.
    Features,
    /// The decision stands in the log twice.
    Twice,
}

impl fmt::Display for OfferFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unlogged => "no propensity was logged",
            Self::Item => "the catalogue has no such item in that category",
            Self::Price => "the price shown is not the price of the drawn rung on the item's ladder",
            Self::Propensity => "the drawn rung was forbidden or had probability 0",
            Self::Pmf => "the logged probabilities are no distribution over the allowed rungs",
            Self::Features => "the logged observation has another width or is not finite",
            Self::Twice => "the decision stands in the log twice",
        })
    }
}

/// All offers of a log with one fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultyOffers {
    /// What is wrong.
    pub fault: OfferFault,
    /// In how many offers; an offer counts once, under its first fault.
    pub count: usize,
    /// The first of them: session and item.
    pub first: (String, String),
}

/// The offers of a log that cannot be used, by fault; `features` is the width that an observation must have.
#[must_use]
pub fn faulty_offers<'a>(offers: &'a [Offer], catalog: &Catalog, features: usize) -> Vec<FaultyOffers> {
    let mut found: Vec<FaultyOffers> = Vec::new();
    let mut decisions = BTreeSet::new();
    for offer in offers {
        let mut twice = |logged: &'a Logged| !decisions.insert(logged.decision.0.as_str());
        let repeated = offer.logged.as_ref().is_some_and(&mut twice);
        let fault = fault_of(offer, catalog, features).or(repeated.then_some(OfferFault::Twice));
        let Some(fault) = fault else { continue };
        match found.iter_mut().find(|entry| entry.fault == fault) {
            Some(entry) => entry.count += 1,
            None => found.push(FaultyOffers {
                fault,
                count: 1,
                first: (offer.session.clone(), offer.item.clone()),
            }),
        }
    }
    found.sort_by_key(|entry| entry.fault);
    found
}

fn fault_of(offer: &Offer, catalog: &Catalog, features: usize) -> Option<OfferFault> {
    let Some(logged) = &offer.logged else {
        return Some(OfferFault::Unlogged);
    };
    let known = catalog
        .find(&offer.item)
        .filter(|item| catalog.categories()[catalog.place(*item).0].name == offer.category);
    let Some(item) = known else {
        return Some(OfferFault::Item);
    };
    let rung = usize::from(logged.rung);
    if catalog.items()[item].ladder.prices().get(rung) != Some(&offer.price_minor) {
        return Some(OfferFault::Price);
    }
    if !is_distribution(logged) {
        return Some(OfferFault::Pmf);
    }
    if logged.propensity() <= 0.0 {
        return Some(OfferFault::Propensity);
    }
    let sound = logged.features.len() == features && logged.features.iter().all(|value| value.is_finite());
    (!sound).then_some(OfferFault::Features)
}

fn is_distribution(logged: &Logged) -> bool {
    const ROUNDING: f64 = 1e-9;
    let p = logged.pmf.probabilities();
    let legal = |(rung, p): (usize, &f64)| *p == 0.0 || (*p > 0.0 && logged.mask.allows(rung));
    p.iter().enumerate().all(legal) && (p.iter().sum::<f64>() - 1.0).abs() <= ROUNDING
}
