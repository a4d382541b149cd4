//! A shop of three rival items whose every expectation is a finite sum: shoppers of four kinds choose one item or none
//! by a logit of all three prices, so what a price earns depends on the rivals' prices.

use haggle_core::{
    Catalog, DecisionId, Digest, Item, ItemTraits, Ladder, Logged, Mask, Observation, Offer, Pmf, Policy,
    PolicyError, PriceMinor, SavedCategory, Seeds,
};
use rand::RngExt;

pub const ITEMS: usize = 3;
pub const RUNGS: usize = 5;
pub const KINDS: usize = 4;
const MULTIPLES: [f64; RUNGS] = [0.6, 0.8, 1.0, 1.2, 1.4];
/// Utility of an item at price 0, by kind of shopper.
const LIKING: [[f64; ITEMS]; KINDS] = [[2.0, 1.0, 0.0], [0.5, 2.5, 1.0], [1.0, 1.0, 3.0], [1.0, 1.5, 2.0]];
/// What one unit of money takes off the utility, by kind of shopper.
const PRICE_SLOPE: [f64; KINDS] = [2.0, 0.8, 1.5, 0.4];

pub fn catalog() -> Catalog {
    let item = |n: usize| Item {
        id: format!("item{n}"),
        base_minor: base(n),
        low_minor: PriceMinor(base(n).0 * 6 / 10),
        high_minor: PriceMinor(base(n).0 * 14 / 10),
        cost_minor: None,
        ladder: Ladder::of_multiples(base(n), &MULTIPLES).unwrap(),
        traits: ItemTraits {
            anchor_log: 0.0,
            revenue_slope: 1.5,
            share: 0.3,
            sales_rate: 0.2,
        },
    };
    let shelf = SavedCategory {
        name: "shelf".to_owned(),
        items: (0..ITEMS).map(item).collect(),
    };
    Catalog::new(vec![shelf]).unwrap()
}

fn base(item: usize) -> PriceMinor {
    PriceMinor(100 + 50 * item as u32)
}

fn price(item: usize, rung: usize) -> f64 {
    base(item).as_f64() * MULTIPLES[rung] / 100.0
}

/// What a policy sees of a shopper.
fn features(kind: usize) -> Vec<f32> {
    (0..KINDS).map(|n| f32::from(n == kind)).collect()
}

/// Logits by kind of shopper, item and rung.
#[derive(Clone, Debug)]
pub struct Table {
    pub logits: [[[f32; RUNGS]; ITEMS]; KINDS],
    pub floor: f64,
    pub name: String,
}

impl Table {
    /// `tilt(kind, item)` above 0 leans towards dearer rungs.
    pub fn tilted(name: &str, tilt: impl Fn(usize, usize) -> f32) -> Self {
        let logit = |kind, item, rung: usize| tilt(kind, item) * (rung as f32 - 2.0);
        let item = |kind, item| std::array::from_fn(|rung| logit(kind, item, rung));
        Self {
            logits: std::array::from_fn(|kind| std::array::from_fn(|n| item(kind, n))),
            floor: 0.1,
            name: name.to_owned(),
        }
    }

    pub fn at(&self, kind: usize, item: usize) -> Pmf {
        Pmf::from_logits(&self.logits[kind][item], Mask::all(RUNGS), self.floor).unwrap()
    }

    /// Its exact value per occasion.
    pub fn value(&self) -> f64 {
        (0..KINDS).map(|kind| self.value_of(kind)).sum::<f64>() / KINDS as f64
    }

    fn value_of(&self, kind: usize) -> f64 {
        let pmf: Vec<Pmf> = (0..ITEMS).map(|item| self.at(kind, item)).collect();
        let mut value = 0.0;
        for joint in 0..RUNGS.pow(ITEMS as u32) {
            let rungs: [usize; ITEMS] = std::array::from_fn(|item| joint / RUNGS.pow(item as u32) % RUNGS);
            let chance: f64 = (0..ITEMS)
                .map(|item| pmf[item].probabilities()[rungs[item]])
                .product();
            let takings = |item: usize| choice(kind, rungs)[item] * price(item, rungs[item]);
            value += chance * (0..ITEMS).map(takings).sum::<f64>();
        }
        value
    }
}

/// Purchase probabilities of the items; the rest buys nothing.
fn choice(kind: usize, rungs: [usize; ITEMS]) -> [f64; ITEMS] {
    let pull = |item: usize| (LIKING[kind][item] - PRICE_SLOPE[kind] * price(item, rungs[item])).exp();
    let pulls: [f64; ITEMS] = std::array::from_fn(pull);
    let total = 1.0 + pulls.iter().sum::<f64>();
    pulls.map(|pull| pull / total)
}

impl Policy for Table {
    fn digest(&self) -> Digest {
        Digest::of(self.name.as_bytes())
    }

    fn pmf(&self, observation: Observation<'_>, allowed: Mask) -> Result<Pmf, PolicyError> {
        let kind = observation.features.iter().position(|seen| *seen > 0.0);
        let logits = &self.logits[kind.unwrap_or(0)][observation.item];
        Ok(Pmf::from_logits(logits, allowed, self.floor)?)
    }
}

/// `sessions` shoppers at the policy's prices; every second one comes twice, under one user.
pub fn log(policy: &Table, sessions: usize, seeds: &Seeds) -> Vec<Offer> {
    let mut rng = seeds.rng();
    let pmfs: Vec<Vec<Pmf>> = (0..KINDS)
        .map(|kind| (0..ITEMS).map(|item| policy.at(kind, item)).collect())
        .collect();
    let mut offers = Vec::with_capacity(sessions * ITEMS);
    for session in 0..sessions {
        let kind = rng.random_range(0..KINDS);
        let rungs: [usize; ITEMS] = std::array::from_fn(|item| pmfs[kind][item].draw(rng.random()).rung);
        let mut left: f64 = rng.random();
        let bought = choice(kind, rungs).into_iter().position(|chance| {
            left -= chance;
            left < 0.0
        });
        for item in 0..ITEMS {
            let units = u32::from(bought == Some(item));
            let price_minor = PriceMinor::rounded(100.0 * price(item, rungs[item]));
            offers.push(Offer {
                session: format!("s{session}"),
                user: (session % 4 < 2).then(|| format!("u{}", session / 4)),
                category: "shelf".to_owned(),
                item: format!("item{item}"),
                time_s: session as i64,
                price_minor,
                posted_minor: base(item),
                units,
                value_minor: i64::from(units) * i64::from(price_minor.0),
                censored: false,
                logged: Some(Logged {
                    decision: DecisionId(format!("{session}/{item}")),
                    policy: policy.digest(),
                    mask: Mask::all(RUNGS),
                    pmf: pmfs[kind][item].clone(),
                    rung: rungs[item] as u8,
                    features: features(kind),
                }),
            });
        }
    }
    offers
}
