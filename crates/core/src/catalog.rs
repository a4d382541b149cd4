use crate::{Ladder, Mask, PriceMinor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;

/// Everything that is priced: items grouped into categories. The agents of a category are its items, in this order.
///
/// Items have one global number (their place in the list) and one inside their category (the agent number).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<SavedCategory>", into = "Vec<SavedCategory>")]
pub struct Catalog {
    items: Vec<Item>,
    categories: Vec<Category>,
    by_id: BTreeMap<String, usize>,
}

/// A group of items that compete for the same purchase.
#[derive(Clone, Debug, PartialEq)]
pub struct Category {
    /// Its name in the shop's catalogue.
    pub name: String,
    /// The global numbers of its items.
    pub items: Range<usize>,
}

/// One thing with a price.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// The shop's own name for it.
    pub id: String,
    /// The price that ladder multiples refer to: the median posted price of the training weeks.
    pub base_minor: PriceMinor,
    /// Lowest price with support in the log (its 1st percentile).
    pub low_minor: PriceMinor,
    /// Highest price with support in the log (its 99th percentile).
    pub high_minor: PriceMinor,
    /// What one unit costs the shop, where that is known or stated in a config.
    pub cost_minor: Option<PriceMinor>,
    /// The prices that its agent may choose.
    pub ladder: Ladder,
    /// What the demand model says of it.
    pub traits: ItemTraits,
}

/// Slow facts about an item that a policy may look at; fixed while a bundle lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemTraits {
    /// What its category loses, per unit of the item's own revenue and of its own log price, to shoppers who buy less or
    /// leave, set off against those who turn to its rivals: 0 = a rise is all gain, 1 = nothing is gained, below 0 = its
    /// rivals earn by it.
    pub revenue_slope: f32,
    /// Its share of the category's purchases, in (0, 1].
    pub share: f32,
    /// Log of the best fixed price that is known for it over its base price; 0 where none was sought.
    pub anchor_log: f32,
    /// Units sold per visit of a session to the shop.
    pub sales_rate: f32,
}

/// One category as it stands in a manifest.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedCategory {
    /// Its name.
    pub name: String,
    /// Its items in agent order.
    pub items: Vec<Item>,
}

/// Why a list of categories is no catalogue.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum CatalogError {
    /// A category without items, or no category at all.
    #[error("category `{0}` has no items")]
    Empty(String),
    /// Two items of one name.
    #[error("item `{0}` stands in the catalogue twice")]
    Twice(String),
    /// Prices that contradict each other.
    #[error("item `{0}`: need 0 < low_minor <= base_minor <= high_minor")]
    Range(String),
    /// Traits out of range.
    #[error("item `{0}`: traits must be finite, share in (0, 1], sales_rate > 0")]
    Traits(String),
}

impl Catalog {
    /// A catalogue of categories with their items.
    ///
    /// # Errors
    /// When a category is empty, an item appears twice, or an item's prices or traits are out of order.
    pub fn new(groups: Vec<SavedCategory>) -> Result<Self, CatalogError> {
        let mut catalog = Self {
            items: Vec::new(),
            categories: Vec::new(),
            by_id: BTreeMap::new(),
        };
        for group in groups {
            if group.items.is_empty() {
                return Err(CatalogError::Empty(group.name));
            }
            let first = catalog.items.len();
            for item in group.items {
                item.check()?;
                if catalog
                    .by_id
                    .insert(item.id.clone(), catalog.items.len())
                    .is_some()
                {
                    return Err(CatalogError::Twice(item.id));
                }
                catalog.items.push(item);
            }
            catalog.categories.push(Category {
                name: group.name,
                items: first..catalog.items.len(),
            });
        }
        Ok(catalog)
    }

    /// All items, by global number.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// All categories.
    #[must_use]
    pub fn categories(&self) -> &[Category] {
        &self.categories
    }

    /// The items of one category, in agent order.
    #[must_use]
    pub fn items_of(&self, category: usize) -> &[Item] {
        &self.items[self.categories[category].items.clone()]
    }

    /// The global number of an item.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// The category and the agent number of an item.
    #[must_use]
    pub fn place(&self, item: usize) -> (usize, usize) {
        let category = self
            .categories
            .partition_point(|category| category.items.end <= item);
        (category, item - self.categories[category].items.start)
    }

    /// The same catalogue with the price at one rung per item as that item's anchor.
    ///
    /// # Panics
    /// When there is not one rung on its ladder for every item.
    #[must_use]
    pub fn anchored(mut self, rungs: &[usize]) -> Self {
        assert_eq!(rungs.len(), self.items.len(), "one rung per item");
        for (item, rung) in self.items.iter_mut().zip(rungs) {
            item.traits.anchor_log = (item.ladder.price(*rung).0 as f32 / item.base_minor.0 as f32).ln();
        }
        self
    }

    /// The largest number of agents in any category.
    #[must_use]
    pub fn agents_max(&self) -> usize {
        self.categories
            .iter()
            .map(|category| category.items.len())
            .max()
            .unwrap_or(0)
    }

    /// The longest ladder of any item.
    #[must_use]
    pub fn rungs_max(&self) -> usize {
        self.items
            .iter()
            .map(|item| item.ladder.rungs())
            .max()
            .unwrap_or(0)
    }
}

impl Item {
    /// The rungs inside the logged price range, one per distinct price; the one nearest to the base price if none is.
    #[must_use]
    pub fn supported(&self) -> Mask {
        let inside = self
            .ladder
            .mask_where(|price| price >= self.low_minor && price <= self.high_minor);
        let mask = inside.and(self.ladder.distinct());
        if mask.is_empty() {
            Mask::NONE.with(self.ladder.nearest(self.base_minor))
        } else {
            mask
        }
    }

    fn check(&self) -> Result<(), CatalogError> {
        let ordered = self.low_minor <= self.base_minor && self.base_minor <= self.high_minor;
        if self.low_minor.0 == 0 || !ordered {
            return Err(CatalogError::Range(self.id.clone()));
        }
        let ItemTraits {
            revenue_slope,
            share,
            anchor_log,
            sales_rate,
        } = self.traits;
        let sound = revenue_slope.is_finite() && anchor_log.is_finite() && share > 0.0 && share <= 1.0;
        if !sound || !sales_rate.is_finite() || sales_rate <= 0.0 {
            return Err(CatalogError::Traits(self.id.clone()));
        }
        Ok(())
    }
}

impl TryFrom<Vec<SavedCategory>> for Catalog {
    type Error = CatalogError;
    fn try_from(groups: Vec<SavedCategory>) -> Result<Self, CatalogError> {
        Self::new(groups)
    }
}

impl From<Catalog> for Vec<SavedCategory> {
    fn from(catalog: Catalog) -> Self {
        let of = |category: &Category| SavedCategory {
            name: category.name.clone(),
            items: catalog.items[category.items.clone()].to_vec(),
        };
        catalog.categories.iter().map(of).collect()
    }
}
