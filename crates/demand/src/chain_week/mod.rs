//! The incidence model of the bars: does a session of the week contain the item, for the whole chain.
//!
//! Items sold in >= 80 % of the training weeks with >= 4 distinct weekly median prices there. Cell = item x week, n = all
//! sessions of the week, y = its sessions with the item. `logit p = effect_i - price_i x + mailer_i m + display_i d +
//! rate r`, with x = ln(posted / training median) clipped to its training range, `price_i >= 0`, and r the log of the
//! exponentially weighted past weeks' rate, centred per item on its training mean: forecasts go one week ahead.

mod cells;
mod counts;
mod incidence;

use crate::error::DemandError;
use cells::Cells;
use counts::{Counts, Weeks};
use haggle_core::Seeds;
use haggle_history::History;
use incidence::{PRICE, Terms};
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// What the chain-week incidence model measured; nats are per test purchase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChainWeek {
    /// Items that meet the definition.
    pub items: usize,
    /// Sessions with an item, summed over items and test weeks.
    pub purchases: u64,
    /// Price, promotion and past rate.
    pub nats: f64,
    /// The same without the price.
    pub nats_price_free: f64,
    /// Quantiles 5, 25, 50, 75, 95 % of the items' elasticities of visits.
    pub elasticity_quantiles: [f64; 5],
    /// Does the gain by price come from prices?
    pub placebo: Placebo,
}

/// The placebo: item effects and a price, nats per test purchase; each half of the users is predicted on its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Placebo {
    /// Item effects only.
    pub no_price: f64,
    /// Prices as posted, from everybody's lines.
    pub posted: f64,
    /// Prices from the lines of the other half of the users: the gain must stay.
    pub other_half: f64,
    /// Weeks permuted within each item: the gain must vanish.
    pub permuted: f64,
}

impl ChainWeek {
    /// Fits on the training weeks and scores the test weeks.
    ///
    /// # Errors
    /// When no item meets the definition or nothing is bought in the test weeks.
    pub fn measure(
        history: &History,
        train: &Range<u32>,
        test: &Range<u32>,
        seed: u64,
    ) -> Result<Self, DemandError> {
        let weeks = Weeks::of(history, train, test)?;
        let everybody = Counts::of(history, &weeks);
        let items = everybody.eligible(&weeks);
        if items.is_empty() {
            return Err(DemandError::TooLittle(
                "no item is sold steadily at changing prices".to_owned(),
            ));
        }
        let prices = everybody.posted(&items);
        let cells = Cells::new(history, &weeks, &items, &everybody, &prices);
        if cells.purchases() == 0.0 {
            return Err(DemandError::TooLittle(
                "nothing is bought in the test weeks".to_owned(),
            ));
        }
        let full = cells.fit(Terms::All)?;
        let mut slopes: Vec<f64> = full.local.iter().map(|local| -local[PRICE]).collect();
        slopes.sort_by(f64::total_cmp);
        let quantile = |share: f64| slopes[((slopes.len() - 1) as f64 * share).round() as usize];
        Ok(Self {
            items: items.len(),
            purchases: cells.purchases() as u64,
            nats: cells.score(&full, Terms::All) / cells.purchases(),
            nats_price_free: cells.nats(Terms::Promotion)?,
            elasticity_quantiles: [0.05, 0.25, 0.5, 0.75, 0.95].map(quantile),
            placebo: Placebo::measure(history, &weeks, &items, &prices, seed)?,
        })
    }
}

impl Placebo {
    fn measure(
        history: &History,
        weeks: &Weeks,
        items: &[usize],
        posted: &[Vec<f64>],
        seed: u64,
    ) -> Result<Self, DemandError> {
        let halves = [history.half(true), history.half(false)];
        let counts = [Counts::of(&halves[0], weeks), Counts::of(&halves[1], weeks)];
        let mut rng = Seeds::new(seed).named("placebo").rng();
        let mut permuted = posted.to_vec();
        for prices in &mut permuted {
            prices.shuffle(&mut rng);
        }
        let (mut sums, mut purchases) = ([0.0; 4], 0.0);
        for half in 0..2 {
            let other = counts[1 - half].posted(items);
            let cells = |prices: &[Vec<f64>]| Cells::new(history, weeks, items, &counts[half], prices);
            purchases += cells(posted).purchases();
            let runs = [
                (posted, Terms::Nothing),
                (posted, Terms::Price),
                (&other, Terms::Price),
                (&permuted, Terms::Price),
            ];
            for (sum, (prices, terms)) in sums.iter_mut().zip(runs) {
                let cells = cells(prices);
                *sum += cells.score(&cells.fit(terms)?, terms);
            }
        }
        let [no_price, posted, other_half, permuted] = sums.map(|sum| sum / purchases.max(1.0));
        Ok(Self {
            no_price,
            posted,
            other_half,
            permuted,
        })
    }
}
