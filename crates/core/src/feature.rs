//! The one encoding of a visit, used by environment, evaluation and daemon: no skew between training and serving.

use crate::{Digest, Visit};
use std::f32::consts::TAU;

/// The features of an observation, in order. A change here is a new feature specification: old bundles are refused.
pub const FEATURE_NAMES: [&str; FEATURE_WIDTH] = [
    "session.known_user",
    "session.recency_log",
    "session.visits_log",
    "session.spend_log",
    "session.basket_log",
    "session.hour_sin",
    "session.hour_cos",
    "session.season_sin",
    "session.season_cos",
    "item.base_price_log",
    "item.revenue_slope",
    "item.anchor_log",
    "item.share_log",
    "item.sales_rate_log",
    "item.rivals",
    "item.support_low_log",
    "item.support_high_log",
    "item.cost_share",
    "shelf.posted_log",
    "shelf.mailer",
    "shelf.display",
    "shelf.rivals_posted_log",
    "shelf.rivals_promoted",
    "loyalty.share_log",
    "loyalty.last_choice",
    "loyalty.choices_log",
    "loyalty.rival_share_log",
    "state.reference_log",
    "state.last_price_log",
    "state.sales_log",
    "state.rivals_last_price_log",
    "state.rivals_sales_log",
    "state.stock_left",
];

/// Number of features of an observation.
pub const FEATURE_WIDTH: usize = 33;

const DAY_S: i64 = 86_400;
const SALES_RATE_MIN: f32 = 1e-4;

/// The name of this encoding: bundles carry it, and the daemon refuses a bundle made for another one.
#[must_use]
pub fn feature_spec_digest() -> Digest {
    Digest::of_parts(&[b"haggle features 1", FEATURE_NAMES.join(",").as_bytes()])
}

/// Writes the observation of one agent of a visit: `out` has [`FEATURE_WIDTH`] places. All values are finite for a
/// finite visit; prices enter as logs relative to the item's base price.
///
/// # Panics
/// When `out` has another width, or the shelf or state of the visit lacks an item of the category.
pub fn encode(visit: &Visit<'_>, agent: usize, out: &mut [f32]) {
    let out: &mut [f32; FEATURE_WIDTH] = out
        .try_into()
        .expect("an observation row has FEATURE_WIDTH places");
    let items = visit.catalog.items_of(visit.category);
    let agents = items.len();
    let item = &items[agent];
    let base = item.base_minor.0 as f32;
    let session = visit.session;
    let hour = TAU * session.time_s.rem_euclid(DAY_S) as f32 / DAY_S as f32;
    let season = TAU * (session.time_s.rem_euclid(DAY_S * 365) / DAY_S) as f32 / 365.0;

    let posted_log = |other: usize| {
        (visit.shelf[other].posted_minor.0.max(1) as f32 / items[other].base_minor.0 as f32).ln()
    };
    let last_log =
        |other: usize| (visit.state.items[other].last_minor.max(1.0) / items[other].base_minor.0 as f32).ln();
    let sales_log = |other: usize| {
        let usual = items[other].traits.sales_rate + SALES_RATE_MIN;
        ((visit.state.items[other].sales_rate + SALES_RATE_MIN) / usual).ln()
    };
    let rivals = |value: &dyn Fn(usize) -> f32| -> f32 {
        let sum: f32 = (0..agents).filter(|other| *other != agent).map(value).sum();
        sum / (agents - 1).max(1) as f32
    };
    let promoted = |other: usize| visit.shelf[other].mailer + visit.shelf[other].display;
    let rival_share = (0..agents)
        .filter(|other| *other != agent)
        .map(|other| visit.loyalty.log_share(other, agents))
        .fold(f32::NEG_INFINITY, f32::max);
    let even = (agents as f32).ln();

    *out = [
        f32::from(session.visits_56d > 0.0 || session.spend_mean_minor > 0.0),
        session.recency_days.max(0.0).ln_1p(),
        session.visits_56d.max(0.0).ln_1p(),
        (session.spend_mean_minor.max(0.0) / 100.0).ln_1p(),
        session.basket_lines_mean.max(0.0).ln_1p(),
        hour.sin(),
        hour.cos(),
        season.sin(),
        season.cos(),
        base.ln(),
        item.traits.revenue_slope,
        item.traits.anchor_log,
        item.traits.share.ln(),
        item.traits.sales_rate.ln(),
        (agents - 1) as f32 / 8.0,
        (item.low_minor.0 as f32 / base).ln(),
        (item.high_minor.0 as f32 / base).ln(),
        item.cost_minor.map_or(0.0, |cost| cost.0 as f32 / base),
        posted_log(agent),
        visit.shelf[agent].mailer,
        visit.shelf[agent].display,
        rivals(&posted_log),
        rivals(&promoted),
        visit.loyalty.log_share(agent, agents) + even,
        f32::from(visit.loyalty.last.map(usize::from) == Some(agent)),
        visit.loyalty.total().ln_1p(),
        if agents > 1 { rival_share + even } else { 0.0 },
        (visit.state.items[agent].reference_minor.max(1.0) / base).ln(),
        last_log(agent),
        sales_log(agent),
        rivals(&last_log),
        rivals(&sales_log),
        visit.state.items[agent].stock_left,
    ];
}
