use crate::choice::Occasion;
use crate::error::DemandError;
use crate::look::{Kind, KindItem};
use crate::quantity::Purchase;
use haggle_history::{Replay, Selection};
use std::ops::Range;

/// What was bought, per category.
pub(crate) struct Log {
    pub occasions: Vec<Vec<Occasion>>,
    pub purchases: Vec<Vec<Purchase>>,
    pub bought: Vec<Vec<bool>>,
}

impl Log {
    /// The purchases of the sessions of a window; rows count from its start.
    pub fn read(replay: &Replay, window: &Range<usize>) -> Self {
        let categories = replay.agents.len();
        let mut log = Self {
            occasions: vec![Vec::new(); categories],
            purchases: vec![Vec::new(); categories],
            bought: vec![vec![false; window.len()]; categories],
        };
        for category in 0..categories {
            for row in 0..window.len() {
                let bought = replay.bought(window.start + row, category);
                log.bought[category][row] = !bought.is_empty();
                for line in bought {
                    log.purchases[category].push(Purchase {
                        row: row as u32,
                        agent: line.agent,
                        extra: line.units.saturating_sub(1),
                    });
                }
                if let [only] = bought {
                    log.occasions[category].push(Occasion {
                        row: row as u32,
                        agent: only.agent,
                    });
                }
            }
        }
        log
    }
}

/// What is known of the selected items from the log of so many sessions.
pub(crate) fn kinds_of(selection: &Selection, log: &Log, sessions: usize) -> Result<Vec<Kind>, DemandError> {
    let of = |(category, selected): (usize, &haggle_history::SelectedCategory)| {
        let agents = selected.items.len();
        let mut kind = Kind {
            name: selected.name.clone(),
            items: Vec::with_capacity(agents),
            visit_rate: {
                let visits = log.bought[category].iter().filter(|bought| **bought).count();
                (visits as f64 + 0.5) / (sessions as f64 + 1.0)
            },
        };
        for (agent, item) in selected.items.iter().enumerate() {
            let (base, low, high) = (item.base_minor.0, item.low_minor.0, item.high_minor.0);
            let mut known = KindItem::of(&item.id, base, low, high).ok_or_else(|| {
                DemandError::Mismatch(format!("item `{}`: need 0 < low <= base <= high", item.id))
            })?;
            let chosen = log.occasions[category]
                .iter()
                .filter(|occasion| usize::from(occasion.agent) == agent)
                .count();
            known.share = (chosen as f64 + 1.0) / (log.occasions[category].len() as f64 + agents as f64);
            let sold = log.purchases[category]
                .iter()
                .filter(|purchase| usize::from(purchase.agent) == agent);
            let units: f64 = sold.map(|purchase| 1.0 + f64::from(purchase.extra)).sum();
            known.sales_rate = (units + 0.5) / (sessions as f64 + 1.0);
            kind.items.push(known);
        }
        let mean = kind.items.iter().map(|item| item.base_log).sum::<f64>() / agents as f64;
        for item in &mut kind.items {
            item.level = item.base_log - mean;
        }
        Ok(kind)
    };
    selection.categories.iter().enumerate().map(of).collect()
}
