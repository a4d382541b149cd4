//! A price list: what a shop without history knows of its items. Bandits need no more to begin.

use crate::failure::{Failure, Kind, OrFail};
use anyhow::{Context, anyhow, ensure};
use haggle_core::{Catalog, Item, ItemTraits, Ladder, PriceMinor, SavedCategory};
use serde::Deserialize;
use std::path::Path;

/// Bytes of an item's id: with a longer one no price can be asked for (`docs/protocol.md`).
const ITEM_BYTES_MAX: usize = 128;

/// One line of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    category: String,
    item: String,
    base_minor: u32,
    low_minor: u32,
    high_minor: u32,
    cost_minor: Option<u32>,
}

/// The catalogue of a CSV file with the columns `category,item,base_minor,low_minor,high_minor,cost_minor`; the last may be
/// empty, or missing altogether. Each ladder has `rungs` prices, evenly from the lowest to the highest, rounded to minor units.
pub fn read(path: &Path, rungs: usize) -> Result<Catalog, Failure> {
    let categories = rows(path, rungs).or_fail_at(Kind::Data, path)?;
    Catalog::new(categories).or_fail_at(Kind::Data, path)
}

fn rows(path: &Path, rungs: usize) -> anyhow::Result<Vec<SavedCategory>> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(path)?;
    let mut categories: Vec<SavedCategory> = Vec::new();
    for row in reader.deserialize() {
        let row: Row = row.context(
            "no line of `category,item,base_minor,low_minor,high_minor,cost_minor`, prices in whole minor units",
        )?;
        let name = row.category.clone();
        let item = item(row, rungs)?;
        match categories.iter_mut().find(|category| category.name == name) {
            Some(category) => category.items.push(item),
            None => categories.push(SavedCategory {
                name,
                items: vec![item],
            }),
        }
    }
    ensure!(
        !categories.is_empty(),
        "no items, expected one per line below `category,item,base_minor,low_minor,high_minor,cost_minor`"
    );
    for category in &mut categories {
        let share = 1.0 / category.items.len() as f32;
        category
            .items
            .iter_mut()
            .for_each(|item| item.traits.share = share);
    }
    Ok(categories)
}

fn item(row: Row, rungs: usize) -> anyhow::Result<Item> {
    ensure!(
        (1..=ITEM_BYTES_MAX).contains(&row.item.len()),
        "item `{}`: its id has {} bytes, expected 1 to {ITEM_BYTES_MAX}",
        row.item,
        row.item.len()
    );
    ensure!(
        0 < row.low_minor && row.low_minor <= row.base_minor && row.base_minor <= row.high_minor,
        "item `{}`: need 0 < low_minor <= base_minor <= high_minor",
        row.item
    );
    ensure!(
        row.cost_minor.is_none_or(|cost| cost < row.high_minor),
        "item `{}`: cost_minor is not below high_minor, so no price earns anything",
        row.item
    );
    let (low, high) = (f64::from(row.low_minor), f64::from(row.high_minor));
    let price =
        |rung: usize| PriceMinor::rounded(low + (high - low) * rung as f64 / (rungs - 1).max(1) as f64);
    let ladder = Ladder::new((0..rungs).map(price).collect());
    Ok(Item {
        ladder: ladder.map_err(|error| anyhow!("item `{}`: {error}", row.item))?,
        id: row.item,
        base_minor: PriceMinor(row.base_minor),
        low_minor: PriceMinor(row.low_minor),
        high_minor: PriceMinor(row.high_minor),
        cost_minor: row.cost_minor.map(PriceMinor),
        // Nothing is known of sales: these are the neutral ones, and no bandit looks at them.
        traits: ItemTraits {
            share: 1.0,
            sales_rate: 1.0,
            ..ItemTraits::default()
        },
    })
}
