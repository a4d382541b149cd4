//! The parameter sets of a run and who plays by which: one for all agents, one per group, or one each.

use crate::adam::AdamState;
use crate::checkpoint::Saved;
use crate::distribution::Draws;
use crate::engine::{Engine, UPDATE_METRICS, Updated};
use crate::error::LearnError;
use crate::network::Shape;
use crate::normaliser::{Frozen, ValueNormaliser};
use crate::rollout::Rollout;
use crate::{CheckpointError, ConfigError, Share, TrainConfig, network_of};
use haggle_core::Seeds;
use haggle_env::Env;
use haggle_policy::{Actors, BundleError};

/// Rows that are looked at together: what each one's agent sees and remembers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a> {
    pub(crate) agent: &'a [u16],
    /// `rows x width`: observation, then global state.
    pub(crate) seen: &'a [f32],
    pub(crate) width: usize,
    /// `rows x kept_width`: what the policy remembers, then what the critic does.
    pub(crate) kept: &'a [f32],
    pub(crate) kept_width: usize,
}

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
}

/// Which parameter set each agent plays by.
fn member_of(share: Share, env: &dyn Env) -> Result<Vec<usize>, ConfigError> {
    let agents = env.spec().agents;
    match share {
        Share::All => Ok(vec![0; agents]),
        Share::None => Ok((0..agents).collect()),
        Share::Group => env.agent_groups().ok_or_else(|| ConfigError::Disagree {
            first: "share = \"group\"".to_owned(),
            second: "the environment".to_owned(),
            why: "it does not know which of its agents are alike; say \"all\" or \"none\"",
        }),
    }
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
            only.engine.act(rows, floor, draws, scores, next);
        } else {
            let rungs = scores.len() / draws.mask.len().max(1);
            self.logits(rows, rungs, scores, next);
            draws.take_scores(scores, floor);
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

    /// Epochs of minibatches of every member over its own rows; means over members.
    pub(crate) fn update(
        &mut self,
        rollout: &Rollout,
        (advantages, returns, values): (&[f32], &[f32], &[f32]),
        config: &TrainConfig,
        rates: (f64, f64),
        seeds: &Seeds,
    ) -> Updated {
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
            let mut shuffles = of_member(seeds, number).rng();
            let updated = member.engine.update(&table, config, rates, &mut shuffles);
            for (mean, own) in all.means.iter_mut().zip(updated.means) {
                *mean += own / count;
            }
            all.epochs = all.epochs.max(updated.epochs);
        }
        all
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

/// The rows of one member, gathered.
struct Part {
    rows: Vec<usize>,
    agent: Vec<u16>,
    seen: Vec<f32>,
    kept: Vec<f32>,
}

impl Part {
    fn of(all: &Rows<'_>, own: impl Fn(usize) -> bool) -> Self {
        let rows = 0..all.agent.len();
        let rows: Vec<usize> = rows.filter(|row| own(usize::from(all.agent[*row]))).collect();
        let gather = |numbers: &[f32], width: usize| {
            let of = |row: &usize| &numbers[row * width..][..width];
            rows.iter().flat_map(of).copied().collect()
        };
        Self {
            agent: rows.iter().map(|row| all.agent[*row]).collect(),
            seen: gather(all.seen, all.width),
            kept: gather(all.kept, all.kept_width),
            rows,
        }
    }

    fn as_rows<'a>(&'a self, like: &Rows<'_>) -> Rows<'a> {
        Rows {
            agent: &self.agent,
            seen: &self.seen,
            kept: &self.kept,
            ..*like
        }
    }

    fn scatter(&self, part: &[f32], width: usize, out: &mut [f32]) {
        for (row, numbers) in self.rows.iter().zip(part.chunks_exact(width.max(1))) {
            out[row * width..][..width].copy_from_slice(&numbers[..width]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DeviceChoice;
    use haggle_env::market::{Market, MarketEnv};
    use haggle_env::{ProbeConfig, ProbeEnv};

    fn sellers() -> ProbeEnv {
        let file = include_str!("../../../envs/probe/two-sellers.toml");
        let probe: ProbeConfig = toml::from_str(file).expect("a probe config");
        ProbeEnv::new(probe).expect("an environment")
    }

    fn team(change: impl FnOnce(&mut TrainConfig)) -> (Team, Shape) {
        let mut config = TrainConfig {
            device: DeviceChoice::Cpu,
            ..TrainConfig::default()
        };
        change(&mut config);
        let shape = Shape {
            multiplier: false,
            obs: 3,
            critic: 3,
            memory: config.memory,
            hidden: vec![8],
            rungs: 7,
        };
        let team = Team::new(&config, &sellers(), &shape, &Seeds::new(4)).expect("a team");
        (team, shape)
    }

    /// The scores of three rows here and from the actors that would be exported, twice in a row with what is remembered.
    fn parity(change: impl FnOnce(&mut TrainConfig), sets: usize) {
        let (mut team, shape) = team(change);
        let saved: Vec<Saved> = team
            .save()
            .into_iter()
            .map(|mut saved| {
                saved.parameters.iter_mut().for_each(|x| *x *= 3.0); // scores well away from 0
                saved
            })
            .collect();
        team.load(&saved).expect("loads");
        let eyes = Frozen {
            mean: vec![0.0; 3],
            std: vec![1.0; 3],
        };
        let actors = team.actors(&eyes).expect("actors");
        assert_eq!(actors.networks().len(), sets);
        let agents = [1, 0, 1];
        let seen = [0.3, -1.0, 2.0, 0.7, 0.1, -0.4, -2.0, 1.5, 0.9];
        let kept_width = 2 * shape.memory;
        let mut kept = vec![0.0; 3 * kept_width];
        let mut memories = vec![vec![0.0; shape.memory]; 3];
        for _ in 0..2 {
            let rows = Rows {
                agent: &agents,
                seen: &seen,
                width: 3,
                kept: &kept,
                kept_width,
            };
            let (mut scores, mut next) = (vec![0.0; 3 * 7], kept.clone());
            team.logits(&rows, 7, &mut scores, &mut next);
            for (row, memory) in memories.iter_mut().enumerate() {
                let obs = &seen[3 * row..][..3];
                let frozen = actors.logits(usize::from(agents[row]), obs, memory);
                for (a, b) in scores[7 * row..].iter().zip(frozen.expect("scores")) {
                    assert!((a - b).abs() < 1e-5, "row {row}: {a} and {b}");
                }
            }
            kept = next;
        }
    }

    fn member_of_market(file: &str) -> Result<Vec<usize>, ConfigError> {
        let market: Market = toml::from_str(file).expect("a market");
        member_of(Share::Group, &MarketEnv::new(&market, 1).expect("an environment"))
    }

    #[test]
    fn sellers_that_are_alike_share_their_parameters() {
        let file = include_str!("../../../envs/c.toml").replace("sellers = 2", "sellers = 4\nrungs = 3");
        let costs = |costs: &str| member_of_market(&file.replace("costs = 1.0", costs));
        assert_eq!(costs("costs = 1.0"), Ok(vec![0, 0, 0, 0]));
        assert_eq!(costs("costs = [1.2, 1.0, 1.2, 1.0]"), Ok(vec![0, 1, 0, 1]));
        let quality = file.replace("quality = 2.0", "quality = [2.0, 2.0, 2.5, 2.0]");
        assert_eq!(member_of_market(&quality), Ok(vec![0, 0, 1, 0]));
        let rival = format!("{file}\nrivals = [1.5]");
        assert_eq!(member_of_market(&rival), Ok(vec![0, 0, 0]));
    }

    #[test]
    fn agents_of_which_nobody_knows_whether_they_are_alike_form_no_groups() {
        let error =
            member_of_market(include_str!("../../../envs/a4.toml")).expect_err("one agent, no groups");
        assert_eq!(
            error.to_string(),
            "share = \"group\" and the environment disagree: it does not know which of its agents are alike; say \"all\" or \
             \"none\""
        );
    }

    #[test]
    fn exported_actors_score_as_the_team_does() {
        parity(|_| (), 1);
        parity(|config| config.share = Share::Group, 1); // the two sellers are alike
        parity(|config| config.share = Share::None, 2);
        parity(|config| config.memory = 5, 1);
        parity(
            |config| {
                config.memory = 5;
                config.share = Share::None;
            },
            2,
        );
    }
}
