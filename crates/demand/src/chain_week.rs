//! The incidence model of the bars: does a session of the week contain the item, for the whole chain.
//!
//! Items sold in >= 80 % of the training weeks with >= 4 distinct weekly median prices there. Cell = item x week, n = all
//! sessions of the week, y = its sessions with the item. `logit p = effect_i - price_i x + mailer_i m + display_i d +
//! rate r`, with x = ln(posted / training median) clipped to its training range, `price_i >= 0`, and r the log of the
//! exponentially weighted past weeks' rate, centred per item on its training mean: forecasts go one week ahead.

use crate::error::DemandError;
use crate::solver::{Block, Likelihood, Parameters, Prior, minimise};
use haggle_core::Seeds;
use haggle_history::History;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// A week's weight in the rate of the weeks before.
const RATE_WEIGHT: f64 = 0.35;
const WEEKS_SOLD_SHARE: f64 = 0.8;
const DISTINCT_PRICES_MIN: usize = 4;
const EFFECT_RIDGE: f64 = 0.01;
const PRICE_RIDGE: f64 = 2.0;
const PROMOTION_RIDGE: f64 = 5.0;
const SHARED_RIDGE: f64 = 0.01;

const EFFECT: usize = 0;
const PRICE: usize = 1;
const MAILER: usize = 2;
const DISPLAY: usize = 3;
const LOCAL: usize = 4;
/// Shared centres come first, in the order of the local slopes.
const RATE: usize = 3;
const SHARED: usize = 4;

/// Which terms a fit has besides the item effects.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Terms {
    Nothing,
    Price,
    Promotion,
    All,
}

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

/// Which weeks there are; rows of the cells count from the first.
struct Weeks {
    first: u32,
    train: Range<usize>,
    test: Range<usize>,
    count: usize,
}

impl Weeks {
    fn of(history: &History, train: &Range<u32>, test: &Range<u32>) -> Result<Self, DemandError> {
        let all = history.weeks();
        let row = |week: u32| (week.clamp(all.start, all.end) - all.start) as usize;
        let rows = |weeks: &Range<u32>| row(weeks.start)..row(weeks.end);
        let (train, test) = (rows(train), rows(test));
        if train.len() < 2 || test.is_empty() {
            let reason = "the incidence model needs two training weeks and one test week inside the history";
            return Err(DemandError::TooLittle(reason.to_owned()));
        }
        Ok(Self {
            first: all.start,
            train,
            test,
            count: all.len(),
        })
    }
}

/// Sessions per week and, per item and week, sessions with it and the median price (in half minor units).
struct Counts {
    sessions: Vec<f64>,
    bought: Vec<Vec<f64>>,
    median: Vec<Vec<Option<u64>>>,
}

impl Counts {
    fn of(history: &History, weeks: &Weeks) -> Self {
        let mut counts = Self {
            sessions: vec![0.0; weeks.count],
            bought: vec![vec![0.0; weeks.count]; history.items.len()],
            median: vec![vec![None; weeks.count]; history.items.len()],
        };
        let mut lines = Vec::with_capacity(history.lines.len());
        for session in &history.sessions {
            let row = (session.week - weeks.first) as usize;
            counts.sessions[row] += 1.0;
            for line in &history.lines[session.lines.clone()] {
                counts.bought[line.item as usize][row] += 1.0;
                lines.push((line.item, row, line.price_minor.0));
            }
        }
        lines.sort_unstable();
        for cell in lines.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            let (low, high) = (cell[(cell.len() - 1) / 2].2, cell[cell.len() / 2].2);
            counts.median[cell[0].0 as usize][cell[0].1] = Some(u64::from(low) + u64::from(high));
        }
        counts
    }

    fn eligible(&self, weeks: &Weeks) -> Vec<usize> {
        let steady = |item: &usize| {
            let mut sold: Vec<u64> = self.median[*item][weeks.train.clone()]
                .iter()
                .flatten()
                .copied()
                .collect();
            let enough = sold.len() as f64 >= WEEKS_SOLD_SHARE * weeks.train.len() as f64;
            sold.sort_unstable();
            sold.dedup();
            enough && sold.len() >= DISTINCT_PRICES_MIN
        };
        (0..self.median.len()).filter(steady).collect()
    }

    /// The posted log price of every week: carried forward when unsold, the head carried back; 0 where never sold.
    fn posted(&self, items: &[usize]) -> Vec<Vec<f64>> {
        let of = |item: &usize| {
            let weekly = &self.median[*item];
            let mut last = weekly.iter().flatten().next().copied().unwrap_or(2);
            let log = |price: &Option<u64>| {
                last = price.unwrap_or(last);
                (last as f64).max(1.0).ln()
            };
            weekly.iter().map(log).collect()
        };
        items.iter().map(of).collect()
    }
}

/// The cells of all items.
struct Cells<'a> {
    weeks: &'a Weeks,
    sessions: &'a [f64],
    bought: Vec<&'a [f64]>,
    /// `[item][week]`: -x, mailer, display, past rate.
    features: Vec<Vec<[f64; 4]>>,
}

impl<'a> Cells<'a> {
    fn new(
        history: &History,
        weeks: &'a Weeks,
        items: &[usize],
        counts: &'a Counts,
        prices: &[Vec<f64>],
    ) -> Self {
        let bought: Vec<&[f64]> = items.iter().map(|item| counts.bought[*item].as_slice()).collect();
        let of = |(number, item): (usize, &usize)| {
            let x = relative(&prices[number], &weeks.train);
            let rate = past_rate(bought[number], &counts.sessions, &weeks.train);
            let cell = |row: usize| {
                let shelf = history.shelf.entry(weeks.first + row as u32, *item);
                [
                    -x[row],
                    f64::from(shelf.mailer),
                    f64::from(shelf.display),
                    rate[row],
                ]
            };
            (0..weeks.count).map(cell).collect()
        };
        Self {
            weeks,
            sessions: &counts.sessions,
            features: items.iter().enumerate().map(of).collect(),
            bought,
        }
    }

    fn purchases(&self) -> f64 {
        self.bought
            .iter()
            .map(|bought| bought[self.weeks.test.clone()].iter().sum::<f64>())
            .sum()
    }

    fn nats(&self, terms: Terms) -> Result<f64, DemandError> {
        Ok(self.score(&self.fit(terms)?, terms) / self.purchases())
    }

    fn fit(&self, terms: Terms) -> Result<Parameters, DemandError> {
        let train = self.weeks.train.clone();
        let trials: f64 = self.sessions[train.clone()].iter().sum();
        let effect = |bought: &&[f64]| {
            let rate = (bought[train.clone()].iter().sum::<f64>() + 0.5) / (trials + 1.0);
            vec![(rate / (1.0 - rate)).ln(), 0.0, 0.0, 0.0]
        };
        let start = Parameters {
            shared: vec![0.0; SHARED],
            local: self.bought.iter().map(effect).collect(),
        };
        minimise(&CellFit { cells: self, terms }, start)
    }

    /// The negative log likelihood of the test weeks.
    fn score(&self, parameters: &Parameters, terms: Terms) -> f64 {
        let fit = CellFit { cells: self, terms };
        (0..self.bought.len())
            .map(|item| {
                fit.sum(
                    item,
                    &parameters.local[item],
                    &parameters.shared,
                    &self.weeks.test,
                    |_, _, _| {},
                )
            })
            .sum()
    }
}

/// Log price relative to the training median, inside its training range.
fn relative(logs: &[f64], train: &Range<usize>) -> Vec<f64> {
    let mut sorted = logs[train.clone()].to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, middle, high) = (sorted[0], sorted[sorted.len() / 2], sorted[sorted.len() - 1]);
    logs.iter().map(|log| log.clamp(low, high) - middle).collect()
}

/// Per week the log rate of the weeks before it, centred on its training mean; the first week has the second's.
fn past_rate(bought: &[f64], sessions: &[f64], train: &Range<usize>) -> Vec<f64> {
    let mut level = bought[0];
    let mut logs = vec![0.0; bought.len()];
    for week in 1..bought.len() {
        if week > 1 {
            level += RATE_WEIGHT * (bought[week - 1] - level);
        }
        logs[week] = ((level + 0.5) / (sessions[week - 1] + 1.0)).ln();
    }
    if logs.len() > 1 {
        logs[0] = logs[1];
    }
    let mean = logs[train.clone()].iter().sum::<f64>() / train.len() as f64;
    logs.iter().map(|log| log - mean).collect()
}

struct CellFit<'a> {
    cells: &'a Cells<'a>,
    terms: Terms,
}

impl CellFit<'_> {
    fn sum(
        &self,
        item: usize,
        local: &[f64],
        shared: &[f64],
        weeks: &Range<usize>,
        mut each: impl FnMut(f64, f64, &[f64; LOCAL + SHARED]),
    ) -> f64 {
        let mut loss = 0.0;
        let mut design = [0.0; LOCAL + SHARED];
        design[EFFECT] = 1.0;
        for week in weeks.clone() {
            let [price, mailer, display, rate] = self.cells.features[item][week];
            (design[PRICE], design[MAILER], design[DISPLAY]) = (price, mailer, display);
            design[LOCAL + RATE] = rate;
            let eta: f64 = local
                .iter()
                .chain(shared)
                .zip(&design)
                .map(|(parameter, x)| parameter * x)
                .sum();
            let (n, y) = (self.cells.sessions[week], self.cells.bought[item][week]);
            loss += n * crate::visit::softplus(eta) - y * eta;
            let p = crate::visit::sigmoid(eta);
            each(n * p - y, n * p * (1.0 - p), &design);
        }
        loss
    }

    fn allowed(&self, prior: Prior, terms: &[Terms], low: f64) -> Prior {
        if terms.contains(&self.terms) {
            prior.within(low, f64::INFINITY)
        } else {
            prior.within(0.0, 0.0)
        }
    }
}

impl Likelihood for CellFit<'_> {
    fn name(&self) -> &'static str {
        "chain-week incidence"
    }

    fn local(&self, _group: usize) -> Vec<Prior> {
        let promotion = Prior::ridge(PROMOTION_RIDGE);
        let promoted = [Terms::Promotion, Terms::All];
        vec![
            Prior::ridge(EFFECT_RIDGE),
            self.allowed(
                Prior::ridge(PRICE_RIDGE).around(PRICE - 1),
                &[Terms::Price, Terms::All],
                0.0,
            ),
            self.allowed(promotion.around(MAILER - 1), &promoted, f64::NEG_INFINITY),
            self.allowed(promotion.around(DISPLAY - 1), &promoted, f64::NEG_INFINITY),
        ]
    }

    fn shared(&self) -> Vec<Prior> {
        let (all, promoted) = (Prior::ridge(SHARED_RIDGE), [Terms::Promotion, Terms::All]);
        vec![
            self.allowed(all, &[Terms::Price, Terms::All], 0.0),
            self.allowed(all, &promoted, f64::NEG_INFINITY),
            self.allowed(all, &promoted, f64::NEG_INFINITY),
            self.allowed(all, &promoted, f64::NEG_INFINITY),
        ]
    }

    fn evaluate(&self, group: usize, local: &[f64], shared: &[f64], block: &mut Block) -> f64 {
        self.sum(
            group,
            local,
            shared,
            &self.cells.weeks.train,
            |slope, weight, design| {
                block.add_gradient(slope, design);
                block.add_information(weight, design);
            },
        )
    }
}
