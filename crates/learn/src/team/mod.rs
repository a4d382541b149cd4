//! The parameter sets of a run and who plays by which: one for all agents, one per group, or one each.

mod membership;
#[cfg(test)]
mod parity;
mod part;

use crate::adam::AdamState;
use crate::checkpoint::Saved;
use crate::distribution::Draws;
use crate::engine::Engine;
use crate::error::LearnError;
use crate::fused::{Choices, draw_by_rows};
use crate::network::Shape;
use crate::normaliser::{Frozen, ValueNormaliser};
use crate::rollout::Rollout;
use crate::rows::Rows;
use crate::update::{UPDATE_METRICS, Updated};
use crate::{CheckpointError, TrainConfig, network_of};
use haggle_core::Seeds;
use haggle_env::Env;
use haggle_policy::{Actors, BundleError};
use membership::member_of;
use part::Part;

/// One parameter set with its optimiser and the units of its values.
#[derive(Debug)]
struct Member {
    engine: Engine,
    units: ValueNormaliser,
}

/// All parameter sets.
#[derive(Debug)]
pub(crate) struct Team {
    members: Vec<Member>,
    member_of: Vec<usize>,
    agent_id: bool,
    floor: f64,
    /// Of the one set, where there is one.
    choices: Choices,
}

impl Team {
    /// # Errors
    /// When the configured device or engine cannot be had, or the environment has no groups to share by.
    pub(crate) fn new(
        config: &TrainConfig,
        env: &dyn Env,
        shape: &Shape,
        seeds: &Seeds,
    ) -> Result<Self, LearnError> {
        let member_of = member_of(config.share, env)?;
        let members = member_of.iter().max().map_or(0, |most| most + 1);
        let member = |number: usize| {
            let seeds = of_member(&seeds.named("initial weights"), number);
            Ok(Member {
                engine: Engine::new(config, shape.clone(), &shape.initial(&seeds))?,
                units: ValueNormaliser::new(),
            })
        };
        Ok(Self {
            members: (0..members).map(member).collect::<Result<_, LearnError>>()?,
            member_of,
            agent_id: config.agent_id,
            floor: config.exploration,
            choices: Choices::new(shape.obs, shape.rungs),
        })
    }

    /// Where gradient steps run, in words.
    pub(crate) fn device(&self) -> String {
        self.members[0].engine.device()
    }

    /// Scores of every row, one per rung, and what each will remember, where there are several sets.
    pub(crate) fn logits(&mut self, rows: &Rows<'_>, rungs: usize, out: &mut [f32], next: &mut [f32]) {
        for (number, member) in self.members.iter_mut().enumerate() {
            let part = Part::of(rows, |agent| self.member_of[agent] == number);
            let (mut scores, mut kept) = (vec![0.0; part.rows.len() * rungs], vec![0.0; part.kept.len()]);
            member.engine.logits(&part.as_rows(rows), &mut scores, &mut kept);
            part.scatter(&scores, rungs, out);
            part.scatter(&kept, rows.kept_width, next);
        }
    }

    /// A roll-out begins: the policy may have changed.
    pub(crate) fn begin(&mut self) {
        self.choices.forget();
    }

    /// Draws a rung for every row; the rest as in [`Team::logits`].
    pub(crate) fn act(
        &mut self,
        rows: &Rows<'_>,
        floor: f32,
        draws: &mut Draws<'_>,
        scores: &mut [f32],
        next: &mut [f32],
    ) {
        if let [only] = &mut self.members[..] {
            only.engine
                .act(rows, floor, draws, &mut self.choices, (scores, next));
        } else {
            let rungs = scores.len() / draws.mask.len().max(1);
            self.logits(rows, rungs, scores, next);
            draw_by_rows(scores, floor, draws);
        }
    }

    /// Values of every row in money.
    pub(crate) fn values(&mut self, rows: &Rows<'_>, out: &mut [f32]) {
        for (number, member) in self.members.iter_mut().enumerate() {
            if self.member_of.iter().all(|member| *member == number) {
                member.engine.values(rows, out);
                out.iter_mut()
                    .for_each(|value| *value = member.units.restore(*value));
                return;
            }
            let part = Part::of(rows, |agent| self.member_of[agent] == number);
            let mut values = vec![0.0; part.rows.len()];
            member.engine.values(&part.as_rows(rows), &mut values);
            values
                .iter_mut()
                .for_each(|value| *value = member.units.restore(*value));
            part.scatter(&values, 1, out);
        }
    }

    /// Lets the critics speak in the units of these returns from now on.
    pub(crate) fn take_units(&mut self, agents: &[u16], returns: &[f32]) {
        for (number, member) in self.members.iter_mut().enumerate() {
            let own = agents.iter().zip(returns);
            let own = own.filter(|(agent, _)| self.member_of[usize::from(**agent)] == number);
            let own: Vec<f32> = own.map(|(_, value)| *value).collect();
            let old = (member.units.mean(), member.units.std());
            member.units.update(&own);
            let new = (member.units.mean(), member.units.std());
            member.engine.rescale_values(old, new);
        }
    }

    /// Epochs of minibatches of every member over its own rows: means over members, and how many sights the rows had.
    pub(crate) fn update(
        &mut self,
        rollout: &Rollout,
        (advantages, returns, values): (&[f32], &[f32], &[f32]),
        config: &TrainConfig,
        rates: (f64, f64),
        seeds: &Seeds,
    ) -> (Updated, usize) {
        let mut sights = 0;
        let mut all = Updated {
            means: [0.0; UPDATE_METRICS.len()],
            epochs: 0,
        };
        let count = self.members.len() as f64;
        for (number, member) in self.members.iter_mut().enumerate() {
            let own = |agent: usize| self.member_of[agent] == number;
            let table = rollout.table(own, (advantages, returns, values), &member.units);
            if table.rows() == 0 {
                continue;
            }
            sights += table.sights.len();
            let mut shuffles = of_member(seeds, number).rng();
            let updated = member.engine.update(&table, config, rates, &mut shuffles);
            for (mean, own) in all.means.iter_mut().zip(updated.means) {
                *mean += own / count;
            }
            all.epochs = all.epochs.max(updated.epochs);
        }
        (all, sights)
    }

    /// What the agents play by, for bundles and evaluation.
    pub(crate) fn actors(&self, eyes: &Frozen) -> Result<Actors, LearnError> {
        let network = |member: &Member| {
            let engine = &member.engine;
            network_of(engine.shape(), &engine.parameters(), eyes)
        };
        let networks = self.members.iter().map(network).collect::<Result<_, _>>()?;
        Ok(
            Actors::new(networks, self.member_of.clone(), self.agent_id, self.floor)
                .map_err(BundleError::from)?,
        )
    }

    pub(crate) fn save(&self) -> Vec<Saved> {
        let save = |member: &Member| Saved {
            parameters: member.engine.parameters(),
            adam: member.engine.optimiser(),
            units: member.units.clone(),
        };
        self.members.iter().map(save).collect()
    }

    /// # Errors
    /// When there are more or fewer sets, or sets of another size; nothing is changed then.
    pub(crate) fn load(&mut self, saved: &[Saved]) -> Result<(), CheckpointError> {
        let check = |what, expected: usize, got: usize| {
            if expected == got {
                return Ok(());
            }
            Err(CheckpointError::Shape { what, expected, got })
        };
        check("parameter sets", self.members.len(), saved.len())?;
        for (member, saved) in self.members.iter().zip(saved) {
            let expected = member.engine.shape().parameters();
            let AdamState { mean, square, .. } = &saved.adam;
            check("parameters", expected, saved.parameters.len())?;
            check(
                "numbers of optimiser state",
                expected,
                mean.len().min(square.len()),
            )?;
        }
        for (member, saved) in self.members.iter_mut().zip(saved) {
            member.engine.load(&saved.parameters, &saved.adam);
            member.units = saved.units.clone();
        }
        Ok(())
    }
}

/// The first member draws from the stream itself: a run with one set does not know that there could be more.
fn of_member(seeds: &Seeds, number: usize) -> Seeds {
    match number {
        0 => seeds.clone(),
        other => seeds.indexed(other as u64),
    }
}
