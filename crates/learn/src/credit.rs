//! What the rows of a roll-out are worth, and the tables that gradient steps run on.

use crate::AdvantageScale;
use crate::advantage::{Track, advantages, standardise};
use crate::multiplier::Multipliers;
use crate::normaliser::ValueNormaliser;
use crate::rollout::{ABSENT, Rollout};
use crate::rows::Rows;
use crate::sequence::Sequences;
use crate::table::Table;
use crate::team::Team;
use haggle_env::StepEnd;

impl Rollout {
    /// Values in money: of all active rows, then of all bootstraps.
    pub(crate) fn values(&self, team: &mut Team) -> Vec<f32> {
        let mut values = vec![0.0; self.len() + self.tail_of.len()];
        let (active, tail) = values.split_at_mut(self.len());
        team.values(&self.rows(0), active);
        if !tail.is_empty() {
            let agents: Vec<u16> = self
                .tail_of
                .iter()
                .map(|slot| self.agent[*slot as usize])
                .collect();
            let rows = Rows {
                agent: &agents,
                seen: &self.tail,
                kept: &self.tail_kept,
                ..self.rows(0)
            };
            team.values(&rows, tail);
        }
        values
    }

    /// Advantages of the active rows in money, from `values` in money as [`Rollout::values`] orders them. An agent
    /// that is absent at the next step of a running episode earns nothing more: its track ends there.
    pub(crate) fn advantages(
        &self,
        values: &[f32],
        prices: &Multipliers,
        gamma: f64,
        lambda: f64,
    ) -> Vec<f32> {
        let (rows, costs) = (self.spec.rows(), self.spec.constraints);
        let mut follows = vec![None; self.len()];
        for (slot, value) in self.tail_of.iter().zip(&values[self.len()..]) {
            follows[*slot as usize] = Some(*value);
        }
        let mut out = vec![0.0; self.len()];
        let mut track = OwnedTrack::default();
        for row in 0..rows {
            track.clear();
            for t in 0..self.horizon {
                let slot = self.slot[t * rows + row];
                if slot == ABSENT {
                    continue;
                }
                let n = slot as usize;
                let stays = t + 1 < self.horizon && self.slot[(t + 1) * rows + row] != ABSENT;
                let end = match self.ends(t)[row / self.spec.agents] {
                    StepEnd::Terminated => StepEnd::Terminated,
                    StepEnd::Go if stays => StepEnd::Go,
                    StepEnd::Go | StepEnd::Truncated if follows[n].is_some() => StepEnd::Truncated,
                    StepEnd::Go | StepEnd::Truncated => StepEnd::Terminated,
                };
                let reward = prices.effective(self.reward[n], &self.cost[n * costs..][..costs]);
                track.push(n, reward, values[n], end, follows[n].unwrap_or(0.0));
            }
            track.write_advantages(gamma as f32, lambda as f32, &mut out);
        }
        out
    }

    /// Shifts and scales advantages to mean 0 and deviation 1: over all rows, or over each agent's own.
    pub(crate) fn standardise(&self, numbers: &mut [f32], scale: AdvantageScale) {
        if scale == AdvantageScale::All {
            standardise(numbers);
            return;
        }
        for agent in 0..self.spec.agents {
            let own = |row: &usize| usize::from(self.agent[*row]) == agent;
            let rows: Vec<usize> = (0..self.len()).filter(own).collect();
            let mut part: Vec<f32> = rows.iter().map(|row| numbers[*row]).collect();
            standardise(&mut part);
            for (row, number) in rows.iter().zip(part) {
                numbers[*row] = number;
            }
        }
    }

    /// The active rows of some agents as one table for gradient steps: `(advantages, returns, values)` per row, the last two
    /// in money.
    pub(crate) fn table(
        &self,
        own: impl Fn(usize) -> bool,
        (scaled, returns, old): (&[f32], &[f32], &[f32]),
        units: &ValueNormaliser,
    ) -> Table {
        let free = !self.multipliers.is_empty();
        let (width, rungs) = (self.width(), if free { 0 } else { self.spec.rungs });
        let mut table = Table::new(width, rungs, self.len());
        let mut place = vec![ABSENT; self.len()];
        let rows = (0..self.len()).filter(|row| own(usize::from(self.agent[*row])));
        for (at, n) in rows.enumerate() {
            place[n] = at as u32;
            let chosen = if free {
                self.latent[n]
            } else {
                f32::from(self.rung[n])
            };
            let target = units.normalise(returns[n]);
            let held = units.normalise(old[n]);
            let seen = &self.seen[n * width..][..width];
            let facts = [chosen, self.log_prob[n], scaled[n], target, held];
            table.push(seen, self.mask[n], facts);
        }
        if self.kept_width > 0 {
            table.sequences = self.sequences(&place);
        }
        table
    }

    /// What each agent lived through, as rows of a table; `place` says where in it a packed row stands.
    fn sequences(&self, place: &[u32]) -> Sequences {
        let mut sequences = Sequences::new(self.chunk);
        let steps = self.spec.rows();
        for row in 0..steps {
            let lived = (0..self.horizon).map(|t| self.slot[t * steps + row]);
            let lived: Vec<usize> = lived
                .filter(|slot| *slot != ABSENT && place[*slot as usize] != ABSENT)
                .map(|slot| slot as usize)
                .collect();
            let rows: Vec<u32> = lived.iter().map(|slot| place[*slot]).collect();
            let begins: Vec<bool> = lived.iter().map(|slot| self.begins[*slot]).collect();
            let width = self.kept_width;
            let kept: Vec<f32> = lived
                .iter()
                .flat_map(|slot| &self.kept[slot * width..][..width])
                .copied()
                .collect();
            sequences.push(&rows, &begins, &kept, width);
        }
        sequences
    }
}

/// One agent's steps, gathered out of the packed buffers.
#[derive(Debug, Default)]
struct OwnedTrack {
    slots: Vec<usize>,
    rewards: Vec<f32>,
    values: Vec<f32>,
    ends: Vec<StepEnd>,
    bootstrap: Vec<f32>,
    out: Vec<f32>,
}

impl OwnedTrack {
    fn clear(&mut self) {
        self.slots.clear();
        self.rewards.clear();
        self.values.clear();
        self.ends.clear();
        self.bootstrap.clear();
    }

    fn push(&mut self, slot: usize, reward: f32, value: f32, end: StepEnd, bootstrap: f32) {
        self.slots.push(slot);
        self.rewards.push(reward);
        self.values.push(value);
        self.ends.push(end);
        self.bootstrap.push(bootstrap);
    }

    fn write_advantages(&mut self, gamma: f32, lambda: f32, out: &mut [f32]) {
        self.out.clear();
        self.out.resize(self.slots.len(), 0.0);
        let track = Track {
            rewards: &self.rewards,
            values: &self.values,
            ends: &self.ends,
            bootstrap: &self.bootstrap,
        };
        advantages(&track, gamma, lambda, &mut self.out);
        for (slot, advantage) in self.slots.iter().zip(&self.out) {
            out[*slot] = *advantage;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TrainConfig;
    use haggle_env::EnvSpec;

    #[test]
    fn advantages_are_brought_to_one_scale_over_all_rows_or_over_each_agents_own() {
        let spec = EnvSpec {
            copies: 1,
            agents: 2,
            obs_width: 1,
            state_width: 0,
            rungs: 2,
            constraints: 0,
            constraint_names: Vec::new(),
        };
        let mut rollout = Rollout::new(&spec, 0, &TrainConfig::default());
        rollout.agent = vec![0, 1, 0, 1];
        rollout.mask = vec![1; 4];
        let scaled = |scale| {
            let mut numbers = [1.0, 100.0, 3.0, 300.0];
            rollout.standardise(&mut numbers, scale);
            numbers.map(|x| (x * 100.0).round() / 100.0)
        };
        assert_eq!(scaled(AdvantageScale::Agent), [-1.0, -1.0, 1.0, 1.0]);
        // Mean 101, deviation 121.7: the seller who earns little does not count.
        assert_eq!(scaled(AdvantageScale::All), [-0.82, -0.01, -0.81, 1.64]);
    }
}
