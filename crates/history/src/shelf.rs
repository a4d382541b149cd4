use crate::stats::median;
use haggle_core::{PriceMinor, ShelfEntry};
use std::ops::Range;

/// An entry of which nothing is known yet.
const BARE: ShelfEntry = ShelfEntry {
    posted_minor: PriceMinor(0),
    mailer: 0.0,
    display: 0.0,
};

/// Posted prices and promotions per week and item.
#[derive(Clone, Debug, PartialEq)]
pub struct Shelf {
    /// The first week.
    pub first_week: u32,
    /// Number of weeks.
    pub weeks: usize,
    /// Number of items: the width of a week's row.
    pub items: usize,
    /// Row by row: `entries[(week - first_week) * items + item]`.
    pub entries: Vec<ShelfEntry>,
}

impl Shelf {
    /// What was posted for an item in a week; weeks outside the log answer its nearest end.
    #[must_use]
    pub fn entry(&self, week: u32, item: usize) -> &ShelfEntry {
        let row = (week.saturating_sub(self.first_week) as usize).min(self.weeks - 1);
        &self.entries[row * self.items + item]
    }

    /// A shelf of posted prices and no promotions. `seen` holds `(item, week, posted price)` in any order: the price of an
    /// item-week is the median of its prices; a week without one keeps the price before it, and weeks before the
    /// first price of an item take that first price (the only look ahead, at items nobody had bought yet).
    pub(crate) fn posted(items: usize, weeks: &Range<u32>, mut seen: Vec<(u32, u32, PriceMinor)>) -> Self {
        let mut shelf = Self {
            first_week: weeks.start,
            weeks: weeks.len(),
            items,
            entries: vec![BARE; weeks.len() * items],
        };
        seen.sort_unstable();
        for of_item in seen.chunk_by(|a, b| a.0 == b.0) {
            let item = of_item[0].0 as usize;
            let mut from = 0;
            let mut posted = None;
            for of_week in of_item.chunk_by(|a, b| a.1 == b.1) {
                let prices: Vec<PriceMinor> = of_week.iter().map(|(_, _, price)| *price).collect();
                let here = (of_week[0].1 - weeks.start) as usize;
                let price = median(&prices);
                shelf.fill(item, from..here, posted.unwrap_or(price));
                from = here;
                posted = Some(price);
            }
            if let Some(price) = posted {
                shelf.fill(item, from..shelf.weeks, price);
            }
        }
        shelf
    }

    /// The entry of a week of the log, to be changed.
    pub(crate) fn entry_mut(&mut self, week: u32, item: usize) -> &mut ShelfEntry {
        let row = (week - self.first_week) as usize;
        &mut self.entries[row * self.items + item]
    }

    fn fill(&mut self, item: usize, rows: Range<usize>, price: PriceMinor) {
        for row in rows {
            self.entries[row * self.items + item].posted_minor = price;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsold_weeks_keep_the_price_and_the_head_takes_the_first() {
        let seen = vec![
            (0, 3, PriceMinor(100)),
            (0, 3, PriceMinor(103)),
            (0, 6, PriceMinor(80)),
            (1, 2, PriceMinor(50)),
        ];
        let shelf = Shelf::posted(2, &(2..8), seen);
        let posted = |item| -> Vec<u32> {
            (2..8)
                .map(|week| shelf.entry(week, item).posted_minor.0)
                .collect()
        };
        assert_eq!(posted(0), [102, 102, 102, 102, 80, 80]);
        assert_eq!(posted(1), [50; 6]);
        assert_eq!(shelf.entry(99, 0).posted_minor, PriceMinor(80));
    }
}
