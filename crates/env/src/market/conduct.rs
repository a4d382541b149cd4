//! How sellers on a ladder behave in the long run, and what becomes of one who leaves the path once (the deviation test of
//! Calvano et al. 2020): high prices alone prove no collusion, a punishment does.

use super::Market;
use super::game::Game;
use super::oracle::OracleError;
use super::policy::{Answer, Ask, Probabilities};
use super::rivalry::Rivalry;
use serde::Serialize;

/// Periods that a deviation is followed.
const FOLLOWED: usize = 20;
/// The long run is reached where a period moves less probability than this, or after so many periods.
const SETTLED: f64 = 1e-10;
const PERIODS_MAX: usize = 5_000;

/// What sellers do in the long run. One entry per agent.
#[derive(Clone, Debug, PartialEq)]
pub struct Conduct {
    /// Mean prices.
    pub prices: Vec<f64>,
    /// Mean profits per period.
    pub profits: Vec<f64>,
    /// What happens when the agent deviates.
    pub deviations: Vec<Deviation>,
}

/// One seller plays the one-shot best reply once, in the long run; all go on by their policies.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Deviation {
    /// What it wins over the next 20 periods, discounted, as a share of what it would have earned in them. Negative:
    /// it is punished for more than it won.
    pub gain: f64,
    /// Its mean price in the period of the deviation and in those that follow.
    pub own: Vec<f64>,
    /// The other agents' mean price in the same periods; empty where one agent meets rivals that do not learn.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<f64>,
}

impl Market {
    /// Long-run behaviour and deviation test, exactly; nothing where no sellers meet on a ladder.
    ///
    /// # Errors
    /// When the market makes no sense or is too large, or the policy answers no distribution.
    pub fn conduct(&self, policy: &mut Probabilities<'_>) -> Result<Option<Conduct>, OracleError> {
        let game = match self.game() {
            Err(OracleError::NotStepped(_)) => return Ok(None),
            game => game?,
        };
        let (agents, obs_width, rungs) = game.shape();
        let Game::Rivalry(game) = game else {
            return Ok(None);
        };
        if matches!(self, Self::LogitOligopoly(market) if market.sellers == 1) {
            return Ok(None); // nobody to compete or to collude with
        }
        let mut ask = Ask {
            agents,
            obs_width,
            rungs,
            policy,
        };
        let answer = game.ask(&mut ask)?;
        Ok(Some(Walk::new(&game, &answer).conduct()))
    }
}

/// Sellers who go on by their policies, as probabilities over states.
struct Walk<'a> {
    game: &'a Rivalry,
    answer: &'a Answer,
    /// The agents' joint choices in each state, with their chances.
    choices: Vec<Vec<(usize, f64)>>,
}

/// What a period brings: each agent's mean price and profit, and the next states.
struct Period {
    prices: Vec<f64>,
    profits: Vec<f64>,
    next: Vec<f64>,
}

impl<'a> Walk<'a> {
    fn new(game: &'a Rivalry, answer: &'a Answer) -> Self {
        let choices = (0..game.states())
            .map(|state| game.choices(answer, state, None))
            .collect();
        Self {
            game,
            answer,
            choices,
        }
    }

    fn period(&self, states: &[f64], choices: &[Vec<(usize, f64)>]) -> Period {
        let game = self.game;
        let mut period = Period {
            prices: vec![0.0; game.agents],
            profits: vec![0.0; game.agents],
            next: vec![0.0; states.len()],
        };
        for (state, mass) in states.iter().enumerate().filter(|(_, mass)| **mass > 0.0) {
            for (choice, p) in &choices[state] {
                period.next[choice + game.reaction[state] as usize] += mass * p;
            }
        }
        for (joint, mass) in period.next.iter().enumerate().filter(|(_, mass)| **mass > 0.0) {
            for (agent, rung) in game.rungs(joint).into_iter().take(game.agents).enumerate() {
                period.prices[agent] += mass * game.prices[rung];
                period.profits[agent] += mass * game.profit[joint * game.agents + agent];
            }
        }
        period
    }

    /// The long run from even starts; the mean of its last two periods, so that a cycle of two settles as well.
    fn settled(&self) -> Vec<f64> {
        let count = self.game.states();
        let mut states = vec![1.0 / count as f64; count];
        for _ in 0..PERIODS_MAX {
            let next = self.period(&states, &self.choices).next;
            let mixed: Vec<f64> = states.iter().zip(&next).map(|(a, b)| 0.5 * (a + b)).collect();
            let moved: f64 = mixed.iter().zip(&states).map(|(a, b)| (a - b).abs()).sum();
            states = mixed;
            if moved < SETTLED {
                break;
            }
        }
        states
    }

    fn conduct(&self) -> Conduct {
        let settled = self.settled();
        let now = self.period(&settled, &self.choices);
        Conduct {
            deviations: (0..self.game.agents)
                .map(|agent| self.deviation(agent, &settled))
                .collect(),
            prices: now.prices,
            profits: now.profits,
        }
    }

    /// The agents' joint choices in each state where one of them plays its one-shot best reply.
    fn deviating(&self, agent: usize) -> Vec<Vec<(usize, f64)>> {
        let game = self.game;
        let place = game.prices.len().pow(agent as u32);
        let deviate = |state: usize| {
            let others = game.choices(self.answer, state, Some(agent));
            let earns = |rung: usize| -> f64 {
                let joint = |choice: usize| choice + rung * place + game.reaction[state] as usize;
                let each = others.iter();
                each.map(|(choice, p)| p * game.profit[joint(*choice) * game.agents + agent])
                    .sum()
            };
            let rung = super::search::best_index(game.prices.len(), earns);
            others
                .into_iter()
                .map(|(choice, p)| (choice + rung * place, p))
                .collect()
        };
        (0..game.states()).map(deviate).collect()
    }

    fn deviation(&self, agent: usize, settled: &[f64]) -> Deviation {
        let mut deviation = Deviation {
            gain: 0.0,
            own: Vec::new(),
            others: Vec::new(),
        };
        let mut choices = &self.deviating(agent);
        let (mut left, mut stayed) = (settled.to_vec(), settled.to_vec());
        let (mut won, mut earned, mut worth) = (0.0, 0.0, 1.0);
        for _ in 0..FOLLOWED {
            let (off, on) = (self.period(&left, choices), self.period(&stayed, &self.choices));
            let all: f64 = off.prices.iter().sum();
            deviation.own.push(off.prices[agent]);
            if self.game.agents > 1 {
                let others = (all - off.prices[agent]) / (self.game.agents - 1) as f64;
                deviation.others.push(others);
            }
            won += worth * (off.profits[agent] - on.profits[agent]);
            earned += worth * on.profits[agent];
            worth *= self.game.discount;
            (left, stayed, choices) = (off.next, on.next, &self.choices);
        }
        deviation.gain = won / earned.abs();
        deviation
    }
}
