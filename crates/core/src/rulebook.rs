//! The shop's standing rules as data: for all items, for a category, for one item. What an item leaves unsaid its category
//! says, and what that leaves unsaid is said for all.

use crate::{Bounds, Catalog, ChangeLimit, Ending, Item, PriceMinor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Rules at one level of a [`Rulebook`]; all of them optional.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ItemRules {
    /// No price below this one.
    pub floor_minor: Option<PriceMinor>,
    /// No price above this one.
    pub ceiling_minor: Option<PriceMinor>,
    /// Least share of the price that must remain after cost, in [0, 1); only where an item's cost is known.
    pub margin_min: Option<f64>,
    /// How far a price may move within a period.
    pub change: Option<ChangeLimit>,
    /// How a price may end; an empty list allows every ending.
    pub endings: Option<Vec<Ending>>,
    /// Whether the price stays the base price.
    pub freeze: Option<bool>,
    /// How far apart the prices of two segments may be.
    pub corridor: Option<Corridor>,
    /// Whether the rules come from a rulebook: then an item without floor or ceiling is not priced automatically.
    #[serde(skip)]
    pub mandatory: bool,
}

/// The highest price that any segment was shown is at most `1 + share_max` times the lowest, among the last prices of all
/// segments within `memory_s`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Corridor {
    /// How much higher the highest may be, as a share of the lowest.
    pub share_max: f64,
    /// How long a segment's last price counts, in seconds.
    pub memory_s: u32,
}

/// The rules of a shop.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rulebook {
    /// The attribute of a request that tells segments apart, for corridors.
    pub segment_by: Option<String>,
    /// For every item.
    pub all: ItemRules,
    /// By name of the category.
    pub category: BTreeMap<String, ItemRules>,
    /// By name of the item.
    pub item: BTreeMap<String, ItemRules>,
}

/// Why a rulebook cannot be kept.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RulebookError {
    /// A number out of range, or rules that contradict each other.
    #[error("{}: {what}", keys.join("."))]
    Unsound {
        /// Names of the tables that hold the field, and its own.
        keys: Vec<String>,
        /// What is wrong and what would be right.
        what: String,
    },
    /// A name that the catalogue does not have.
    #[error("{kind} `{name}` is not in the catalogue")]
    Unknown {
        /// Item or category.
        kind: &'static str,
        /// Its name.
        name: String,
    },
}

impl ItemRules {
    /// These rules, with what they leave unsaid taken from more general ones.
    #[must_use]
    pub fn or(&self, general: &Self) -> Self {
        Self {
            floor_minor: self.floor_minor.or(general.floor_minor),
            ceiling_minor: self.ceiling_minor.or(general.ceiling_minor),
            margin_min: self.margin_min.or(general.margin_min),
            change: self.change.or(general.change),
            endings: self.endings.clone().or_else(|| general.endings.clone()),
            freeze: self.freeze.or(general.freeze),
            corridor: self.corridor.or(general.corridor),
            mandatory: self.mandatory || general.mandatory,
        }
    }

    /// The tighter one of these bounds and those of a request.
    #[must_use]
    pub fn bounds(&self, request: &Bounds) -> Bounds {
        let tighter = |a: Option<_>, b: Option<_>, choose: fn(_, _) -> _| match (a, b) {
            (Some(a), Some(b)) => Some(choose(a, b)),
            (a, b) => a.or(b),
        };
        Bounds {
            floor_minor: tighter(self.floor_minor, request.floor_minor, PriceMinor::max),
            ceiling_minor: tighter(self.ceiling_minor, request.ceiling_minor, PriceMinor::min),
        }
    }

    /// Checks the rules that stand in a table.
    fn check(&self, table: &[&str]) -> Result<(), RulebookError> {
        let within = |field: &str, sound: bool, what: String| match sound {
            true => Ok(()),
            false => {
                let keys = table.iter().copied().chain(field.split('.'));
                let keys = keys.map(str::to_owned).collect();
                Err(RulebookError::Unsound { keys, what })
            }
        };
        if let (Some(floor), Some(ceiling)) = (self.floor_minor, self.ceiling_minor) {
            let what = format!("{} is above ceiling_minor, {}", floor.0, ceiling.0);
            within("floor_minor", floor <= ceiling, what)?;
        }
        if let Some(margin) = self.margin_min {
            let what = format!("{margin}: 0 or more and below 1 expected");
            within("margin_min", (0.0..1.0).contains(&margin), what)?;
        }
        if let Some(ChangeLimit { share_max, .. }) = self.change {
            let what = format!("{share_max}: 0 to 1 expected");
            within("change.share_max", (0.0..=1.0).contains(&share_max), what)?;
        }
        if let Some(Corridor { share_max, memory_s }) = self.corridor {
            let what = format!("{share_max}: 0 to 10 expected");
            within("corridor.share_max", (0.0..=10.0).contains(&share_max), what)?;
            within(
                "corridor.memory_s",
                memory_s > 0,
                "0: at least 1 expected".to_owned(),
            )?;
        }
        Ok(())
    }
}

impl Rulebook {
    /// Checks what can be checked without a catalogue: numbers, and what each table comes to together with the rules for all.
    ///
    /// # Errors
    /// When a number is out of range, bounds contradict each other, or there is a corridor but nothing that tells segments apart.
    pub fn check_alone(&self) -> Result<(), RulebookError> {
        self.all.check(&["all"])?;
        self.check_corridor(&self.all, || "`[all]`".to_owned())?;
        for (name, rules) in &self.category {
            rules.check(&["category", name])?;
            self.check_corridor(rules, || format!("category `{name}`"))?;
            let of_items = self.item.values().map(|item| item.or(rules));
            self.check_any(&["category", name], rules, of_items)?;
        }
        for (name, rules) in &self.item {
            rules.check(&["item", name])?;
            self.check_corridor(rules, || format!("item `{name}`"))?;
            let in_categories = self.category.values().map(|category| rules.or(category));
            self.check_any(&["item", name], rules, in_categories)?;
        }
        Ok(())
    }

    /// Which item is in which category the catalogue says: a table contradicts the rules for all for certain only where it does
    /// alone and together with each table of the other kind.
    fn check_any(
        &self,
        table: &[&str],
        alone: &ItemRules,
        mut together: impl Iterator<Item = ItemRules>,
    ) -> Result<(), RulebookError> {
        let checked = alone.or(&self.all).check(table);
        if checked.is_err() && together.any(|rules| rules.or(&self.all).check(table).is_ok()) {
            return Ok(());
        }
        checked
    }

    fn check_corridor(&self, rules: &ItemRules, of: impl Fn() -> String) -> Result<(), RulebookError> {
        if rules.corridor.is_none() || self.segment_by.is_some() {
            return Ok(());
        }
        let what = format!(
            "it is missing, and {} has a corridor: name the attribute that tells segments apart",
            of()
        );
        Err(RulebookError::Unsound {
            keys: vec!["segment_by".to_owned()],
            what,
        })
    }

    /// Checks its numbers, and its names against a catalogue.
    ///
    /// # Errors
    /// When a number is out of range, bounds contradict each other, a name is unknown, or there is a corridor but nothing
    /// that tells segments apart.
    pub fn check(&self, catalog: &Catalog) -> Result<(), RulebookError> {
        self.check_alone()?;
        for name in self.category.keys() {
            if !catalog.categories().iter().any(|category| category.name == *name) {
                let (kind, name) = ("category", name.clone());
                return Err(RulebookError::Unknown { kind, name });
            }
        }
        for name in self.item.keys() {
            if catalog.find(name).is_none() {
                let (kind, name) = ("item", name.clone());
                return Err(RulebookError::Unknown { kind, name });
            }
        }
        for (number, item) in catalog.items().iter().enumerate() {
            // Each level may be sound, and what they come to not.
            self.of(catalog, number).check(&["item", &item.id])?;
        }
        Ok(())
    }

    /// The rules of an item, by its global number.
    ///
    /// # Panics
    /// When the number is not in the catalogue.
    #[must_use]
    pub fn of(&self, catalog: &Catalog, item: usize) -> ItemRules {
        let (category, _) = catalog.place(item);
        let named = |item: &Item| self.item.get(&item.id).cloned();
        let own = named(&catalog.items()[item]).unwrap_or_default();
        let group = self.category.get(&catalog.categories()[category].name);
        let rules = own.or(&group.cloned().unwrap_or_default()).or(&self.all);
        ItemRules {
            mandatory: true,
            ..rules
        }
    }
}
