use crate::History;
use crate::report::weeks_sold;
use crate::stats::{median, percentile};
use haggle_core::PriceMinor;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;

/// No category has more agents.
const AGENTS_MAX: usize = 8;
/// An item with fewer training lines is not priced.
pub const LINES_MIN: usize = 60;
/// A category with fewer such items is not priced.
pub const AGENTS_MIN: usize = 3;
/// A category with fewer training sessions that chose exactly one of its items is not priced.
pub const OCCASIONS_MIN: usize = 50;

/// Which items are priced: per category the best-selling items with enough lines, chosen on the training weeks only.
///
/// The definition of the demand bars: the top 8 items of a product type by training lines among those with >= 60 lines,
/// types with >= 3 such items and >= 50 choice occasions (sessions with exactly one of them).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// Categories ordered by name.
    pub categories: Vec<SelectedCategory>,
    /// The training weeks, first and one past the last.
    pub train_weeks: Range<u32>,
}

/// One category of a [`Selection`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelectedCategory {
    /// Its name.
    pub name: String,
    /// Its items in agent order: most lines first.
    pub items: Vec<SelectedItem>,
}

/// One item of a [`SelectedCategory`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelectedItem {
    /// Index into [`History::items`] of the history that it was selected from.
    pub index: u32,
    /// The shop's name for it.
    pub id: String,
    /// Median of the weekly posted prices over the training weeks in which it sold.
    pub base_minor: PriceMinor,
    /// 1st percentile of these prices (nearest rank).
    pub low_minor: PriceMinor,
    /// 99th percentile of these prices (nearest rank).
    pub high_minor: PriceMinor,
}

impl Selection {
    /// Chooses categories and items on the training weeks alone. Equal sellers are ordered by name, shorter names first,
    /// so that numbers count upwards.
    #[must_use]
    pub fn choose(history: &History, train_weeks: Range<u32>) -> Self {
        let lines = lines_per_item(history, &train_weeks);
        let mut by_category: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (item, info) in history.items.iter().enumerate() {
            if lines[item] >= LINES_MIN {
                by_category.entry(&info.category).or_default().push(item);
            }
        }
        by_category.retain(|_, items| {
            items.sort_by_key(|item| {
                let id = &history.items[*item].id;
                (Reverse(lines[*item]), id.len(), id)
            });
            items.truncate(AGENTS_MAX);
            items.len() >= AGENTS_MIN
        });
        let groups: Vec<&[usize]> = by_category.values().map(Vec::as_slice).collect();
        let occasions = count_occasions(history, &groups, &train_weeks);
        let sold = weeks_sold(history);
        let priced = |item: usize| select(history, item, &sold[item], &train_weeks);
        let categories = by_category
            .iter()
            .zip(occasions)
            .filter(|(_, occasions)| *occasions >= OCCASIONS_MIN)
            .map(|((name, items), _)| SelectedCategory {
                name: (*name).to_owned(),
                items: items.iter().copied().map(priced).collect(),
            })
            .collect();
        Self {
            categories,
            train_weeks,
        }
    }

    /// The choice occasions per category in some weeks: the sessions that bought exactly one of its items.
    #[must_use]
    pub fn occasions(&self, history: &History, weeks: &Range<u32>) -> Vec<usize> {
        let numbers = |category: &SelectedCategory| -> Vec<usize> {
            let known = category.items.iter().map(|item| history.item_number(&item.id));
            known.flatten().collect()
        };
        let groups: Vec<Vec<usize>> = self.categories.iter().map(numbers).collect();
        let groups: Vec<&[usize]> = groups.iter().map(Vec::as_slice).collect();
        count_occasions(history, &groups, weeks)
    }
}

/// The item with the prices at which it sold in training.
fn select(history: &History, item: usize, weeks_sold: &[u32], train_weeks: &Range<u32>) -> SelectedItem {
    let in_training = weeks_sold.iter().filter(|week| train_weeks.contains(week));
    let mut prices: Vec<PriceMinor> = in_training
        .map(|week| history.shelf.entry(*week, item).posted_minor)
        .collect();
    prices.sort_unstable();
    SelectedItem {
        index: item as u32,
        id: history.items[item].id.clone(),
        base_minor: median(&prices),
        low_minor: percentile(&prices, 1),
        high_minor: percentile(&prices, 99),
    }
}

fn lines_per_item(history: &History, weeks: &Range<u32>) -> Vec<usize> {
    let mut lines = vec![0; history.items.len()];
    for session in &history.sessions[history.sessions_in(weeks)] {
        for line in &history.lines[session.lines.clone()] {
            lines[line.item as usize] += 1;
        }
    }
    lines
}

/// Per group of items, the sessions with exactly one of them.
fn count_occasions(history: &History, groups: &[&[usize]], weeks: &Range<u32>) -> Vec<usize> {
    let mut group_of = vec![None; history.items.len()];
    for (group, items) in groups.iter().enumerate() {
        for item in *items {
            group_of[*item] = Some(group);
        }
    }
    let mut occasions = vec![0; groups.len()];
    for session in &history.sessions[history.sessions_in(weeks)] {
        let lines = &history.lines[session.lines.clone()];
        let mut touched: Vec<usize> = lines
            .iter()
            .filter_map(|line| group_of[line.item as usize])
            .collect();
        touched.sort_unstable();
        for same in touched.chunk_by(|a, b| a == b) {
            occasions[same[0]] += usize::from(same.len() == 1);
        }
    }
    occasions
}
