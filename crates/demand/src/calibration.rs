use crate::demand::Response;
use crate::elasticity::Interval;
use crate::look::{AGENTS_MAX, Kind};
use crate::model::DemandModel;
use crate::rows::CategoryRows;
use haggle_core::Seeds;
use haggle_history::Replay;
use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::ops::Range;

const BUCKETS: usize = 10;
const REPETITIONS: usize = 400;

/// Expected revenue at the logged posted prices over logged revenue (units bought x posted price) on the test weeks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Everything.
    pub overall: Ratio,
    /// By category.
    pub categories: Vec<Ratio>,
    /// By how the posted price stands to the base price: deciles of the item-weeks, equal prices together.
    pub price_deciles: Vec<Ratio>,
}

/// One comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// What is compared.
    pub name: String,
    /// Logged revenue in major units.
    pub logged: f64,
    /// Expected over logged; interval over resampled users and members. 0 where nothing was logged.
    pub ratio: Interval,
}

impl Calibration {
    /// How many of the category ratios have 1 in their interval.
    #[must_use]
    pub fn categories_within(&self) -> usize {
        self.categories
            .iter()
            .filter(|ratio| ratio.ratio.contains(1.0))
            .count()
    }

    /// How many of the price deciles' ratios have 1 in their interval.
    #[must_use]
    pub fn deciles_within(&self) -> usize {
        self.price_deciles
            .iter()
            .filter(|ratio| ratio.ratio.contains(1.0))
            .count()
    }

    pub(crate) fn measure(
        model: &DemandModel,
        replay: &Replay,
        rows: &[CategoryRows],
        window: &Range<usize>,
    ) -> Self {
        let kinds = &model.content.kinds;
        let borders = Borders::of(kinds, replay, window);
        let parts: Vec<Ledger> = (0..kinds.len())
            .into_par_iter()
            .map(|category| Ledger::of(model, replay, rows, window, category, &borders))
            .collect();
        let draws = Draws::of(model, replay.users + 1);
        let overall = draws.ratio(
            "all",
            &parts.iter().flat_map(|part| &part.buckets).collect::<Vec<_>>(),
        );
        let categories = kinds
            .iter()
            .zip(&parts)
            .map(|(kind, part)| draws.ratio(&kind.name, &part.buckets.iter().collect::<Vec<_>>()))
            .collect();
        let decile = |bucket: usize| {
            draws.ratio(
                &borders.name(bucket),
                &parts.iter().map(|part| &part.buckets[bucket]).collect::<Vec<_>>(),
            )
        };
        Self {
            overall,
            categories,
            price_deciles: (0..borders.buckets()).map(decile).collect(),
        }
    }
}

/// The borders of the price deciles, as relative log prices.
struct Borders(Vec<f64>);

impl Borders {
    fn of(kinds: &[Kind], replay: &Replay, window: &Range<usize>) -> Self {
        let mut weeks: Vec<u32> = replay.sessions[window.clone()]
            .iter()
            .map(|session| session.week)
            .collect();
        weeks.dedup();
        let items: usize = kinds.iter().map(|kind| kind.items.len()).sum();
        let all: Vec<&crate::look::KindItem> = kinds.iter().flat_map(|kind| &kind.items).collect();
        let mut prices: Vec<f64> = weeks
            .iter()
            .flat_map(|week| replay.shelf(*week, 0..items).iter().zip(&all))
            .map(|(shelf, item)| shelf.posted_minor.as_f64().ln() - item.base_log)
            .collect();
        prices.sort_by(f64::total_cmp);
        let mut borders: Vec<f64> = (1..BUCKETS)
            .filter_map(|k| prices.get(prices.len() * k / BUCKETS))
            .copied()
            .collect();
        borders.dedup_by(|a, b| (*a - *b).abs() < 1e-9);
        Self(borders)
    }

    fn bucket(&self, x: f64) -> usize {
        self.0.partition_point(|border| *border <= x + 1e-9)
    }

    fn buckets(&self) -> usize {
        self.0.len() + 1
    }

    fn name(&self, bucket: usize) -> String {
        let percent = |border: &f64| 100.0 * border.exp();
        match (
            bucket.checked_sub(1).and_then(|low| self.0.get(low)),
            self.0.get(bucket),
        ) {
            (None, None) => "any price".to_owned(),
            (None, Some(high)) => format!("below {:.0} % of base", percent(high)),
            (Some(low), None) => format!("{:.0} % of base and above", percent(low)),
            (Some(low), Some(high)) => format!("{:.0} to {:.0} % of base", percent(low), percent(high)),
        }
    }
}

/// Revenue by user, logged and expected by every member.
struct Book {
    /// `[user][0 = logged, 1.. = members]`; the last user is everybody without a name.
    by_user: Vec<f64>,
    width: usize,
}

/// The books of one category, one per price decile.
struct Ledger {
    buckets: Vec<Book>,
}

impl Ledger {
    fn of(
        model: &DemandModel,
        replay: &Replay,
        rows: &[CategoryRows],
        window: &Range<usize>,
        category: usize,
        borders: &Borders,
    ) -> Self {
        let (kinds, members) = (&model.content.kinds, &model.content.members);
        let (kind, width) = (&kinds[category], members.len() + 1);
        let start: usize = kinds[..category].iter().map(|kind| kind.items.len()).sum();
        let items = start..start + kind.items.len();
        let mut buckets: Vec<Book> = (0..borders.buckets())
            .map(|_| Book {
                by_user: vec![0.0; (replay.users + 1) * width],
                width,
            })
            .collect();
        let mut responses = [Response::default(); AGENTS_MAX];
        for (row, session) in window.clone().enumerate() {
            let at = &replay.sessions[session];
            let shelf = replay.shelf(at.week, items.clone());
            let user = at.user.map_or(replay.users, |user| user as usize);
            let mut units = [0.0; AGENTS_MAX];
            for bought in replay.bought(session, category) {
                units[usize::from(bought.agent)] += f64::from(bought.units);
            }
            let mut bucket_of = [0; AGENTS_MAX];
            for (j, (entry, item)) in shelf.iter().zip(&kind.items).enumerate() {
                bucket_of[j] = borders.bucket(entry.posted_minor.as_f64().ln() - item.base_log);
                buckets[bucket_of[j]].by_user[user * width] += units[j] * entry.posted_minor.as_f64() / 100.0;
            }
            let (look, x) = rows[category].look(row);
            for (number, member) in members.iter().enumerate() {
                member.respond(category, kind, &look, &x, &mut responses[..kind.items.len()]);
                for (j, entry) in shelf.iter().enumerate() {
                    let expected =
                        responses[j].purchases * responses[j].units * entry.posted_minor.as_f64() / 100.0;
                    buckets[bucket_of[j]].by_user[user * width + 1 + number] += expected;
                }
            }
        }
        Self { buckets }
    }
}

/// Resampled users (exponential weights), each repetition with one member.
struct Draws {
    weights: Vec<Vec<f64>>,
    members: usize,
}

impl Draws {
    fn of(model: &DemandModel, users: usize) -> Self {
        let mut rng = Seeds::new(model.content.seed).named("calibration").rng();
        let mut exponential = || -(1.0 - rng.random::<f64>()).ln();
        Self {
            weights: (0..REPETITIONS)
                .map(|_| (0..users).map(|_| exponential()).collect())
                .collect(),
            members: model.content.members.len(),
        }
    }

    fn ratio(&self, name: &str, books: &[&Book]) -> Ratio {
        let width = self.members + 1;
        let mut by_user = vec![0.0; self.weights[0].len() * width];
        for book in books {
            debug_assert_eq!(book.width, width);
            for (sum, value) in by_user.iter_mut().zip(&book.by_user) {
                *sum += value;
            }
        }
        let weighted = |column: usize, weight: &dyn Fn(usize) -> f64| -> f64 {
            by_user
                .chunks_exact(width)
                .enumerate()
                .map(|(user, row)| weight(user) * row[column])
                .sum()
        };
        let share = |expected: f64, logged: f64| if logged > 0.0 { expected / logged } else { 0.0 };
        let logged = weighted(0, &|_| 1.0);
        let draws = self.weights.par_iter().enumerate().map(|(repetition, weights)| {
            let weight = |user: usize| weights[user];
            share(
                weighted(1 + repetition % self.members, &weight),
                weighted(0, &weight),
            )
        });
        Ratio {
            name: name.to_owned(),
            logged,
            ratio: Interval::of(share(weighted(1, &|_| 1.0), logged), draws.collect()),
        }
    }
}
