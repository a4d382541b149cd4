use crate::error::DemandError;
use haggle_history::History;
use std::ops::Range;

const WEEKS_SOLD_SHARE: f64 = 0.8;
const DISTINCT_PRICES_MIN: usize = 4;

/// Which weeks there are; rows of the cells count from the first.
pub(super) struct Weeks {
    pub(super) first: u32,
    pub(super) train: Range<usize>,
    pub(super) test: Range<usize>,
    pub(super) count: usize,
}

impl Weeks {
    pub(super) fn of(history: &History, train: &Range<u32>, test: &Range<u32>) -> Result<Self, DemandError> {
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
pub(super) struct Counts {
    pub(super) sessions: Vec<f64>,
    pub(super) bought: Vec<Vec<f64>>,
    median: Vec<Vec<Option<u64>>>,
}

impl Counts {
    pub(super) fn of(history: &History, weeks: &Weeks) -> Self {
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

    pub(super) fn eligible(&self, weeks: &Weeks) -> Vec<usize> {
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
    pub(super) fn posted(&self, items: &[usize]) -> Vec<Vec<f64>> {
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
