use crate::{Network, SquashedNormal, multiplier};
use haggle_core::{Mask, Pmf, PolicyError};

/// What the agents of an environment play by: one network for all of them, or several and who plays by which.
#[derive(Clone, Debug, PartialEq)]
pub struct Actors {
    networks: Vec<Network>,
    network_of: Vec<usize>,
    agent_id: bool,
    floor: f64,
    multipliers: Vec<[f32; 2]>,
}

/// Why networks are no actors.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActorsError {
    /// No network, or some that differ in shape.
    #[error("the networks of actors must have the same shape, and at least one is needed")]
    Shapes,
    /// An agent without a network.
    #[error("agent {agent} plays by network {network}, of {networks}")]
    Missing {
        /// The agent.
        agent: usize,
        /// The network that it should play by.
        network: usize,
        /// How many there are.
        networks: usize,
    },
    /// Multipliers that are not one range per agent, or networks without a mean and a spread.
    #[error(
        "a price multiplier needs networks with two scores, not {scores}, and a finite, rising range for each of {agents} agents"
    )]
    Multipliers {
        /// Scores of the networks.
        scores: usize,
        /// How many agents there are.
        agents: usize,
    },
    /// With the agents' names in front of them networks would see nothing else, or less.
    #[error("networks that see {inputs} numbers cannot be told which of {agents} agents they play")]
    Narrow {
        /// What they see.
        inputs: usize,
        /// How many agents there are.
        agents: usize,
    },
}

impl Actors {
    /// Agent `a` plays by `networks[network_of[a]]`; with `agent_id` behind its observation it sees which agent it is: one
    /// number per agent, 1 for itself and 0 for the others. `floor` in [0, 1] is the share of pure exploration.
    ///
    /// # Errors
    /// When there is no network, an agent has none, or they do not have the same shape.
    pub fn new(
        networks: Vec<Network>,
        network_of: Vec<usize>,
        agent_id: bool,
        floor: f64,
    ) -> Result<Self, ActorsError> {
        let shape = |network: &Network| {
            let (inputs, outputs) = (network.inputs(), network.outputs());
            (inputs, network.memory_width(), network.hidden(), outputs)
        };
        if networks.is_empty() || networks.iter().any(|other| shape(other) != shape(&networks[0])) {
            return Err(ActorsError::Shapes);
        }
        let missing = |agent: &usize| network_of[*agent] >= networks.len();
        if let Some(agent) = (0..network_of.len()).find(missing) {
            return Err(ActorsError::Missing {
                agent,
                network: network_of[agent],
                networks: networks.len(),
            });
        }
        let (inputs, agents) = (networks[0].inputs(), network_of.len());
        if agent_id && inputs <= agents {
            return Err(ActorsError::Narrow { inputs, agents });
        }
        Ok(Self {
            networks,
            network_of,
            agent_id,
            floor,
            multipliers: Vec::new(),
        })
    }

    /// The same, where agents set multipliers of their base prices, each in its own range: the networks' two scores are those of
    /// a [`SquashedNormal`]. No range: rungs as before.
    ///
    /// # Errors
    /// When the ranges are not one per agent, or the networks do not have two scores.
    pub fn with_multipliers(self, multipliers: Vec<[f32; 2]>) -> Result<Self, ActorsError> {
        let (scores, agents) = (self.networks[0].outputs(), self.agents());
        let rising = |[low, high]: &[f32; 2]| low < high && low.is_finite() && high.is_finite();
        let sound = scores == 2 && multipliers.len() == agents && multipliers.iter().all(rising);
        if !multipliers.is_empty() && !sound {
            return Err(ActorsError::Multipliers { scores, agents });
        }
        Ok(Self { multipliers, ..self })
    }

    /// The networks.
    #[must_use]
    pub fn networks(&self) -> &[Network] {
        &self.networks
    }

    /// Which network each agent plays by.
    #[must_use]
    pub fn network_of(&self) -> &[usize] {
        &self.network_of
    }

    /// Whether an agent sees which one it is.
    #[must_use]
    pub fn agent_id(&self) -> bool {
        self.agent_id
    }

    /// Agents that play.
    #[must_use]
    pub fn agents(&self) -> usize {
        self.network_of.len()
    }

    /// Share of pure exploration.
    #[must_use]
    pub fn floor(&self) -> f64 {
        self.floor
    }

    /// Width of what an environment shows.
    #[must_use]
    pub fn obs_width(&self) -> usize {
        self.networks[0].inputs() - if self.agent_id { self.agents() } else { 0 }
    }

    /// Length of the ladder; 1 where agents set multipliers.
    #[must_use]
    pub fn rungs(&self) -> usize {
        if self.multipliers.is_empty() {
            self.networks[0].outputs()
        } else {
            1
        }
    }

    /// Lowest and highest multiplier of each agent's base price; nothing where agents choose among rungs.
    #[must_use]
    pub fn multipliers(&self) -> &[[f32; 2]] {
        &self.multipliers
    }

    /// One agent's multiplier of its base price, from a standard normal draw.
    ///
    /// # Errors
    /// When agent or observation do not fit, or agents choose among rungs.
    pub fn multiplier(&self, agent: usize, obs: &[f32], noise: f32) -> Result<f32, PolicyError> {
        let scores = self.logits(agent, obs, &mut vec![0.0; self.memory_width()])?;
        let (&[mean, log_std], Some(range)) = (&scores[..], self.multipliers.get(agent)) else {
            let known = self.multipliers.len();
            return Err(PolicyError::Item { item: agent, known });
        };
        let normal = SquashedNormal::from_scores([mean, log_std]);
        Ok(multiplier(*range, normal.latent(noise)))
    }

    /// Numbers that an agent remembers; 0 without a memory.
    #[must_use]
    pub fn memory_width(&self) -> usize {
        self.networks[0].memory_width()
    }

    /// The scores of one agent's next observation, one per rung; moves its memory on.
    ///
    /// # Errors
    /// When agent or observation do not fit.
    pub fn logits(&self, agent: usize, obs: &[f32], memory: &mut [f32]) -> Result<Vec<f32>, PolicyError> {
        let known = self.agents();
        let network = *self
            .network_of
            .get(agent)
            .ok_or(PolicyError::Item { item: agent, known })?;
        if obs.len() != self.obs_width() || memory.len() != self.memory_width() {
            return Err(PolicyError::Width {
                expected: self.obs_width(),
                got: obs.len(),
            });
        }
        if !self.agent_id {
            return Ok(self.networks[network].step(obs, memory));
        }
        let mut seen = obs.to_vec();
        seen.extend((0..known).map(|other| if other == agent { 1.0 } else { 0.0 }));
        Ok(self.networks[network].step(&seen, memory))
    }

    /// The distribution over rungs of one agent's next observation: 0 outside `allowed`.
    ///
    /// # Errors
    /// When agent or observation do not fit, or no distribution comes out.
    pub fn pmf(
        &self,
        agent: usize,
        obs: &[f32],
        allowed: Mask,
        memory: &mut [f32],
    ) -> Result<Pmf, PolicyError> {
        Ok(Pmf::from_logits(
            &self.logits(agent, obs, memory)?,
            allowed,
            self.floor,
        )?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layer;

    /// Scores are `scale` times what is seen.
    fn network(inputs: usize, scale: f32) -> Network {
        let weight = (0..inputs * inputs).map(|n| if n % (inputs + 1) == 0 { scale } else { 0.0 });
        let layer = Layer {
            inputs,
            outputs: inputs,
            weight: weight.collect(),
            bias: vec![0.0; inputs],
        };
        Network::new(vec![0.0; inputs], vec![1.0; inputs], &[layer]).expect("a network")
    }

    #[test]
    fn each_agent_plays_by_its_own_network() {
        let actors = Actors::new(vec![network(2, 1.0), network(2, -1.0)], vec![0, 1, 0], false, 0.0);
        let actors = actors.expect("actors");
        let logits = |agent| actors.logits(agent, &[1.0, 3.0], &mut []).expect("scores");
        assert_eq!((logits(0), logits(1)), (vec![1.0, 3.0], vec![-1.0, -3.0]));
        assert_eq!(logits(2), logits(0));
        assert!(actors.logits(3, &[1.0, 3.0], &mut []).is_err());
        assert!(actors.logits(0, &[1.0], &mut []).is_err());
    }

    #[test]
    fn an_agent_sees_which_one_it_is() {
        let actors = Actors::new(vec![network(3, 1.0)], vec![0, 0], true, 0.0).expect("actors");
        assert_eq!(actors.obs_width(), 1);
        assert_eq!(
            actors.logits(1, &[7.0], &mut []).expect("scores"),
            [7.0, 0.0, 1.0]
        );
    }

    #[test]
    fn a_multiplier_lies_in_its_agents_range() {
        let ranges = vec![[1.0, 2.0], [1.0, 3.0]];
        let actors = Actors::new(vec![network(2, 1.0)], vec![0, 0], false, 0.0).expect("actors");
        assert!(actors.multiplier(0, &[0.0, 0.0], 0.0).is_err(), "rungs");
        assert!(
            actors.clone().with_multipliers(vec![[1.0, 2.0]]).is_err(),
            "one of two"
        );
        assert!(
            actors.clone().with_multipliers(vec![[2.0, 1.0]; 2]).is_err(),
            "falling"
        );
        let actors = actors.with_multipliers(ranges).expect("actors");
        let at = |agent, seen, noise| {
            actors
                .multiplier(agent, &[seen, 0.0], noise)
                .expect("a multiplier")
        };
        // What is seen is the mean; the spread is 1.
        assert_eq!((at(0, 0.0, 0.0), at(1, 0.0, 0.0)), (1.5, 2.0));
        assert_eq!(at(1, 0.0, 1.0), at(1, 1.0, 0.0));
        assert!((at(1, 0.0, 1.0) - (2.0 + 0.761_594)).abs() < 1e-5);
        assert_eq!(actors.rungs(), 1);
    }

    #[test]
    fn what_cannot_play_is_refused() {
        assert_eq!(
            Actors::new(Vec::new(), vec![], false, 0.0),
            Err(ActorsError::Shapes)
        );
        let two = vec![network(2, 1.0), network(3, 1.0)];
        assert_eq!(Actors::new(two, vec![0], false, 0.0), Err(ActorsError::Shapes));
        let error = Actors::new(vec![network(2, 1.0)], vec![0, 1], false, 0.0).expect_err("refused");
        assert_eq!(error.to_string(), "agent 1 plays by network 1, of 1");
        assert!(Actors::new(vec![network(2, 1.0)], vec![0, 0], true, 0.0).is_err());
    }
}
