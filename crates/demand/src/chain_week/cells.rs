use super::counts::{Counts, Weeks};
use super::incidence::{CellFit, SHARED, Terms};
use crate::error::DemandError;
use crate::solver::{Parameters, minimise};
use haggle_history::History;
use std::ops::Range;

/// A week's weight in the rate of the weeks before.
const RATE_WEIGHT: f64 = 0.35;

/// The cells of all items.
pub(super) struct Cells<'a> {
    pub(super) weeks: &'a Weeks,
    pub(super) sessions: &'a [f64],
    pub(super) bought: Vec<&'a [f64]>,
    /// `[item][week]`: -x, mailer, display, past rate.
    pub(super) features: Vec<Vec<[f64; 4]>>,
}

impl<'a> Cells<'a> {
    pub(super) fn new(
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

    pub(super) fn purchases(&self) -> f64 {
        self.bought
            .iter()
            .map(|bought| bought[self.weeks.test.clone()].iter().sum::<f64>())
            .sum()
    }

    pub(super) fn nats(&self, terms: Terms) -> Result<f64, DemandError> {
        Ok(self.score(&self.fit(terms)?, terms) / self.purchases())
    }

    pub(super) fn fit(&self, terms: Terms) -> Result<Parameters, DemandError> {
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
    pub(super) fn score(&self, parameters: &Parameters, terms: Terms) -> f64 {
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
