use crate::choice::{ChoiceFit, Occasion};
use crate::error::DemandError;
use crate::look::{AGENTS_MAX, Kind, KindItem, Scale};
use crate::model::{Content, DemandModel, Member, Rung};
use crate::quantity::{Purchase, QuantityFit};
use crate::rows::{self, CategoryRows};
use crate::solver::{Parameters, minimise};
use crate::visit::VisitFit;
use haggle_core::{MemoryRates, Seeds};
use haggle_history::{History, Replay, Selection};
use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// How a demand model is fitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FitConfig {
    /// The weeks to fit on, first and one past the last.
    pub train_weeks: Range<u32>,
    /// Size of the ensemble, point estimate included, 1 to [`MEMBERS_MAX`].
    pub members: usize,
    /// Seed of the bootstrap.
    pub seed: u64,
    /// How fast the memories of the simulated market fade.
    pub rates: MemoryRates,
}

/// The largest ensemble.
pub const MEMBERS_MAX: usize = 64;

impl Default for FitConfig {
    /// Weeks 1 to 30, a point estimate and eight bootstrap members; prices are remembered for some 2,000 visits to the
    /// shop (two weeks of the bundled data).
    fn default() -> Self {
        Self {
            train_weeks: 1..31,
            members: 9,
            seed: 1,
            rates: MemoryRates {
                reference: 0.0005,
                loyalty_decay: 0.95,
                ..MemoryRates::default()
            },
        }
    }
}

/// The fewest training choices from which a model is fitted.
const CHOICES_MIN: usize = 100;
/// Users' visit counts and habits need this long to fill: earlier visits do not teach the visit model.
const WARM_UP_WEEKS: u32 = 8;

/// Fits a demand model: a point estimate and bootstrap members (exponential weights by user).
///
/// The result depends on its arguments only, not on the number of threads.
///
/// # Errors
/// When the settings are out of range, the parts do not belong together, or there is too little to learn from.
pub fn fit(
    history: &History,
    selection: &Selection,
    replay: &Replay,
    config: &FitConfig,
) -> Result<DemandModel, DemandError> {
    check(history, selection, replay, config)?;
    let training = Training::collect(selection, replay, &config.train_weeks, &config.rates)?;
    let point = training.member(&training.weights(None), None)?;
    let seeds = Seeds::new(config.seed).named("demand bootstrap");
    let others: Vec<Member> = (1..config.members as u64)
        .into_par_iter()
        .map(|member| training.member(&training.weights(Some(&seeds.indexed(member))), Some(&point)))
        .collect::<Result<_, _>>()?;
    let mut members = vec![point];
    members.extend(others);
    Ok(DemandModel::of(Content {
        history: history.digest,
        selection: selection.clone(),
        train_weeks: config.train_weeks.clone(),
        seed: config.seed,
        rung: Rung::R1,
        rates: config.rates,
        scale: training.scale,
        kinds: training.kinds,
        members,
    }))
}

fn check(
    history: &History,
    selection: &Selection,
    replay: &Replay,
    config: &FitConfig,
) -> Result<(), DemandError> {
    let refuse = |what: String| Err(DemandError::Config(what));
    if config.members == 0 || config.members > MEMBERS_MAX {
        return refuse(format!(
            "members is {}, allowed are 1 to {MEMBERS_MAX}",
            config.members
        ));
    }
    if config.train_weeks.is_empty() {
        return refuse(format!("train_weeks {:?} is empty", config.train_weeks));
    }
    let MemoryRates {
        reference,
        sales,
        loyalty_decay,
    } = config.rates;
    if !(reference > 0.0
        && reference <= 1.0
        && sales > 0.0
        && sales <= 1.0
        && (0.0..1.0).contains(&loyalty_decay))
    {
        return refuse("rates: reference and sales must lie in (0, 1], loyalty_decay in [0, 1)".to_owned());
    }
    let agents: Vec<usize> = selection
        .categories
        .iter()
        .map(|category| category.items.len())
        .collect();
    if agents != replay.agents {
        return Err(DemandError::Mismatch(
            "the replay was made for another selection".to_owned(),
        ));
    }
    if replay.users > history.users.len() {
        return Err(DemandError::Mismatch(
            "the replay has users that the history lacks".to_owned(),
        ));
    }
    if let Some(large) = selection
        .categories
        .iter()
        .find(|category| category.items.len() > AGENTS_MAX)
    {
        let (name, items) = (&large.name, large.items.len());
        return Err(DemandError::Mismatch(format!(
            "category `{name}` has {items} items, at most {AGENTS_MAX} are possible"
        )));
    }
    Ok(())
}

/// The training rows of all parts of the model.
pub(crate) struct Training {
    pub scale: Scale,
    pub kinds: Vec<Kind>,
    pub rows: Vec<CategoryRows>,
    /// User of each row; `None` for the unregistered.
    users: Vec<Option<u32>>,
    user_count: usize,
    /// Rows that teach the visit model.
    visit_rows: Range<usize>,
    pub occasions: Vec<Vec<Occasion>>,
    purchases: Vec<Vec<Purchase>>,
    bought: Vec<Vec<bool>>,
}

impl Training {
    pub fn collect(
        selection: &Selection,
        replay: &Replay,
        weeks: &Range<u32>,
        rates: &MemoryRates,
    ) -> Result<Self, DemandError> {
        let window = replay.sessions_in(weeks);
        let sessions = &replay.sessions[window.clone()];
        let log = Log::read(replay, &window);
        let choices: usize = log.occasions.iter().map(Vec::len).sum();
        if choices < CHOICES_MIN {
            let (first, last) = (weeks.start, weeks.end - 1);
            return Err(DemandError::TooLittle(format!(
                "weeks {first}-{last} hold {choices} choices of selected items, at least {CHOICES_MIN} are needed"
            )));
        }
        let scale = Scale::of(
            sessions.iter().map(|session| &session.context),
            replay.sessions[0].context.time_s,
            rates,
        );
        let kinds = kinds_of(selection, &log, sessions.len())?;
        let catalog = crate::catalogue::plain(&kinds)?;
        let rows = rows::collect(&catalog, &kinds, &scale, rates, replay, &window);
        let warm = weeks.start.max(replay.sessions[0].week) + WARM_UP_WEEKS;
        let warm = replay
            .sessions_in(&(warm..weeks.end))
            .start
            .clamp(window.start, window.end);
        let first = if warm - window.start <= window.len() / 2 {
            warm - window.start
        } else {
            0
        };
        Ok(Self {
            scale,
            kinds,
            rows,
            users: sessions.iter().map(|session| session.user).collect(),
            user_count: replay.users,
            visit_rows: first..window.len(),
            occasions: log.occasions,
            purchases: log.purchases,
            bought: log.bought,
        })
    }

    /// The weight of every row: 1, or the user's exponential draw.
    pub fn weights(&self, bootstrap: Option<&Seeds>) -> Vec<f64> {
        let Some(seeds) = bootstrap else {
            return vec![1.0; self.users.len()];
        };
        let mut rng = seeds.rng();
        let mut exponential = || -(1.0 - rng.random::<f64>()).ln();
        let of_users: Vec<f64> = (0..self.user_count).map(|_| exponential()).collect();
        let mut of_row =
            |user: &Option<u32>| user.map_or_else(&mut exponential, |user| of_users[user as usize]);
        self.users.iter().map(&mut of_row).collect()
    }

    /// The choice model alone, with prices or without.
    pub fn choice(
        &self,
        weights: &[f64],
        with_price: bool,
        start: Option<&Parameters>,
    ) -> Result<Parameters, DemandError> {
        let fit = ChoiceFit {
            kinds: &self.kinds,
            rows: &self.rows,
            occasions: &self.occasions,
            weights,
            with_price,
        };
        minimise(&fit, start.cloned().unwrap_or_else(|| fit.start()))
    }

    fn member(&self, weights: &[f64], start: Option<&Member>) -> Result<Member, DemandError> {
        let choice = self.choice(weights, true, start.map(|member| &member.choice))?;
        let visits = VisitFit {
            kinds: &self.kinds,
            rows: &self.rows,
            train: self.visit_rows.clone(),
            bought: &self.bought,
            appeal: VisitFit::appeal(&choice, &self.kinds, &self.rows, self.visit_rows.clone(), weights),
            weights,
        };
        let visit = minimise(
            &visits,
            start.map_or_else(|| visits.start(), |member| member.visit.clone()),
        )?;
        let quantities = QuantityFit {
            kinds: &self.kinds,
            rows: &self.rows,
            purchases: &self.purchases,
            weights,
        };
        let quantity = minimise(
            &quantities,
            start.map_or_else(|| quantities.start(), |member| member.quantity.clone()),
        )?;
        Ok(Member {
            choice,
            visit,
            quantity,
            multiplicity: self.multiplicity(weights),
        })
    }

    /// Mean number of purchases of the visits that buy, per category.
    fn multiplicity(&self, weights: &[f64]) -> Vec<f64> {
        let of = |(purchases, bought): (&Vec<Purchase>, &Vec<bool>)| {
            let count: f64 = purchases
                .iter()
                .map(|purchase| weights[purchase.row as usize])
                .sum();
            let visits: f64 = bought
                .iter()
                .zip(weights)
                .filter(|(bought, _)| **bought)
                .map(|(_, weight)| weight)
                .sum();
            if visits > 0.0 {
                (count / visits).max(1.0)
            } else {
                1.0
            }
        };
        self.purchases.iter().zip(&self.bought).map(of).collect()
    }
}

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

fn kinds_of(selection: &Selection, log: &Log, sessions: usize) -> Result<Vec<Kind>, DemandError> {
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
