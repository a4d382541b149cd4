use haggle_core::PriceMinor;
use serde::{Deserialize, Serialize};
use std::ops::Range;

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
    /// Index into [`crate::History::items`] of the history that it was selected from.
    pub index: u32,
    /// The shop's name for it.
    pub id: String,
    /// Median posted price of the training weeks.
    pub base_minor: PriceMinor,
    /// 1st percentile of the posted prices of the training weeks.
    pub low_minor: PriceMinor,
    /// 99th percentile of the posted prices of the training weeks.
    pub high_minor: PriceMinor,
}
