use crate::{History, Shelf};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What an import read, kept and dropped, and how much prices vary in what it kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImportReport {
    /// Data rows per file.
    pub rows_read: BTreeMap<String, usize>,
    /// Purchase lines in the history.
    pub lines_kept: usize,
    /// Purchase lines that were added to another line of the same session and item.
    pub lines_merged: usize,
    /// Rows left out, by reason.
    pub dropped: BTreeMap<String, usize>,
    /// Sessions kept.
    pub sessions: usize,
    /// Sessions that bought nothing.
    pub sessions_without_purchase: usize,
    /// Sessions of nobody known.
    pub sessions_unregistered: usize,
    /// Sessions that stood in the file after a later one, and were put in order of time.
    pub sessions_reordered: usize,
    /// Items sold.
    pub items: usize,
    /// Items without an entry in the catalogue: kept, in the category `unknown`.
    pub items_unknown: usize,
    /// Users with a session.
    pub users: usize,
    /// Users of whom the source says more (age, income and the like): counted, not used.
    pub users_described: usize,
    /// First week.
    pub week_first: u32,
    /// Last week.
    pub week_last: u32,
    /// How much prices vary.
    pub prices: PriceVariation,
}

/// How much the weekly posted prices of items vary over the weeks in which they sold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PriceVariation {
    /// Share of items with at least 4 distinct weekly prices.
    pub share_of_items_with_4_prices: f64,
    /// Median number of distinct weekly prices of an item.
    pub distinct_prices_median: usize,
    /// Standard deviation of ln price inside an item, pooled over items (degrees of freedom: weeks less items).
    pub ln_price_sd_within_item: f64,
    /// What shoppers paid / what the same units cost at the posted prices.
    pub paid_over_posted: f64,
}

impl PriceVariation {
    /// Measures a history.
    pub(crate) fn of(history: &History) -> Self {
        let mut distinct_counts = Vec::with_capacity(history.items.len());
        let (mut squares, mut freedom, mut varied) = (0.0, 0usize, 0usize);
        for (item, weeks) in weeks_sold(history).iter().enumerate() {
            let mut prices: Vec<u32> = prices_of(&history.shelf, item, weeks);
            let logs: Vec<f64> = prices.iter().map(|price| f64::from(*price).ln()).collect();
            let mean = logs.iter().sum::<f64>() / logs.len() as f64;
            squares += logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>();
            freedom += logs.len().saturating_sub(1);
            prices.sort_unstable();
            prices.dedup();
            varied += usize::from(prices.len() >= 4);
            distinct_counts.push(prices.len());
        }
        distinct_counts.sort_unstable();
        Self {
            share_of_items_with_4_prices: varied as f64 / history.items.len().max(1) as f64,
            distinct_prices_median: distinct_counts
                .get(distinct_counts.len() / 2)
                .copied()
                .unwrap_or(0),
            ln_price_sd_within_item: (squares / freedom.max(1) as f64).sqrt(),
            paid_over_posted: paid_over_posted(history),
        }
    }
}

/// The weeks in which each item sold, ascending.
pub(crate) fn weeks_sold(history: &History) -> Vec<Vec<u32>> {
    let mut weeks: Vec<Vec<u32>> = vec![Vec::new(); history.items.len()];
    for session in &history.sessions {
        for line in &history.lines[session.lines.clone()] {
            let of_item = &mut weeks[line.item as usize];
            if of_item.last() != Some(&session.week) {
                of_item.push(session.week);
            }
        }
    }
    weeks
}

fn prices_of(shelf: &Shelf, item: usize, weeks: &[u32]) -> Vec<u32> {
    weeks
        .iter()
        .map(|week| shelf.entry(*week, item).posted_minor.0)
        .collect()
}

fn paid_over_posted(history: &History) -> f64 {
    let (mut paid, mut posted) = (0u64, 0u64);
    for session in &history.sessions {
        for line in &history.lines[session.lines.clone()] {
            let shelf = history.shelf.entry(session.week, line.item as usize);
            paid += u64::from(line.units) * u64::from(line.price_minor.0);
            posted += u64::from(line.units) * u64::from(shelf.posted_minor.0);
        }
    }
    paid as f64 / posted.max(1) as f64
}

impl ImportReport {
    /// Describes the finished history.
    pub(crate) fn measure(&mut self, history: &History) {
        let weeks = history.weeks();
        self.lines_kept = history.lines.len();
        self.sessions = history.sessions.len();
        self.sessions_unregistered = history
            .sessions
            .iter()
            .filter(|session| session.user.is_none())
            .count();
        self.sessions_without_purchase = history
            .sessions
            .iter()
            .filter(|session| session.lines.is_empty())
            .count();
        self.items = history.items.len();
        self.users = history.users.len();
        self.week_first = weeks.start;
        self.week_last = weeks.end.saturating_sub(1);
        self.prices = PriceVariation::of(history);
    }

    /// Counts one row that is left out.
    pub(crate) fn drop_row(&mut self, reason: &str) {
        self.drop_rows(reason, 1);
    }

    /// Counts rows that are left out.
    pub(crate) fn drop_rows(&mut self, reason: &str, rows: usize) {
        if rows > 0 {
            *self.dropped.entry(reason.to_owned()).or_default() += rows;
        }
    }

    /// The reasons with their counts, on one line.
    #[must_use]
    pub fn dropped_text(&self) -> String {
        if self.dropped.is_empty() {
            return "nothing".to_owned();
        }
        let texts: Vec<String> = self
            .dropped
            .iter()
            .map(|(reason, rows)| format!("{reason} ({rows})"))
            .collect();
        texts.join(", ")
    }
}

impl fmt::Display for ImportReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (file, rows) in &self.rows_read {
            writeln!(f, "read      {rows:>9} rows of {file}")?;
        }
        writeln!(f, "kept      {:>9} purchase lines", self.lines_kept)?;
        writeln!(
            f,
            "merged    {:>9} lines into another of the same session and item",
            self.lines_merged
        )?;
        writeln!(f, "dropped   {}", self.dropped_text())?;
        writeln!(
            f,
            "sessions  {:>9} ({} unregistered, {} put in order), {}: a trial is a visit in the same week",
            self.sessions,
            self.sessions_unregistered,
            self.sessions_reordered,
            match self.sessions_without_purchase {
                0 => "each with a purchase".to_owned(),
                visits => format!("{visits} without a purchase"),
            }
        )?;
        writeln!(
            f,
            "items     {:>9} ({} without a catalogue entry, in category `unknown`)",
            self.items, self.items_unknown
        )?;
        writeln!(
            f,
            "users     {:>9} ({} described, not used)",
            self.users, self.users_described
        )?;
        writeln!(
            f,
            "weeks     {:>9}",
            format!("{}-{}", self.week_first, self.week_last)
        )?;
        let prices = &self.prices;
        writeln!(
            f,
            "prices    {:.1} % of items with 4 or more weekly prices, median {} prices, sd of ln price within item {:.3}",
            100.0 * prices.share_of_items_with_4_prices,
            prices.distinct_prices_median,
            prices.ln_price_sd_within_item
        )?;
        write!(f, "paid / posted {:.4}", prices.paid_over_posted)
    }
}
