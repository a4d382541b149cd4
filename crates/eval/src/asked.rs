//! A policy that a market asks for its answers.

use crate::MarketValueError;
use haggle_core::{Mask, PolicyError};
use haggle_env::Env;
use haggle_env::market::MarketEnv;
use haggle_policy::Actors;

/// Refuses a policy that was made for something else.
pub(crate) fn fits(env: &MarketEnv, actors: &Actors) -> Result<(), MarketValueError> {
    let spec = env.spec();
    let has = (actors.obs_width(), actors.rungs(), actors.agents());
    let shows = (spec.obs_width, spec.rungs, spec.agents);
    let free = (actors.multipliers().is_empty(), env.multipliers().is_empty());
    if has == shows && free.0 == free.1 {
        return Ok(());
    }
    Err(MarketValueError::Misfit {
        has_width: has.0,
        has_rungs: has.1,
        has_agents: has.2,
        width: shows.0,
        rungs: shows.1,
        agents: shows.2,
    })
}

/// A policy under exact evaluation.
pub(crate) struct Asked<'a> {
    actors: &'a Actors,
    /// Whether any state forbids a rung.
    pub(crate) guarded: bool,
    failed: Option<PolicyError>,
}

impl<'a> Asked<'a> {
    pub(crate) fn new(actors: &'a Actors) -> Self {
        Self {
            actors,
            guarded: false,
            failed: None,
        }
    }

    /// Writes the distributions of some rows.
    pub(crate) fn answer(&mut self, obs: &[f32], masks: &[u64], out: &mut [f32]) {
        let (width, rungs) = (self.actors.obs_width(), self.actors.rungs());
        let rows = obs
            .chunks_exact(width)
            .zip(masks)
            .zip(out.chunks_exact_mut(rungs));
        for (row, ((obs, mask), out)) in rows.enumerate() {
            self.guarded |= *mask != Mask::all(rungs).0;
            match self
                .actors
                .pmf(row % self.actors.agents(), obs, Mask(*mask), &mut [])
            {
                Ok(pmf) => out
                    .iter_mut()
                    .zip(pmf.probabilities())
                    .for_each(|(out, p)| *out = *p as f32),
                Err(error) => self.failed = Some(error),
            }
        }
    }

    pub(crate) fn failed(&mut self) -> Result<(), PolicyError> {
        self.failed.take().map_or(Ok(()), Err)
    }
}
