use crate::error::DemandError;
use crate::look::AGENTS_MAX;
use crate::model::{Content, DemandModel, Member, Rung};
use crate::training::Training;
use haggle_core::{MemoryRates, Seeds};
use haggle_history::{History, Replay, Selection};
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
