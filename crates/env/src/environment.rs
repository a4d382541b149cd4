use haggle_core::Seeds;

/// The shape of an environment: a block of independent copies, each with the same number of agents.
///
/// Rows are copy-major: the row of agent `a` in copy `c` is `c * agents + a`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvSpec {
    /// Independent copies that step together.
    pub copies: usize,
    /// Agents per copy, padded to the largest number; an absent agent's mask is empty.
    pub agents: usize,
    /// Width of an agent's observation: what the policy sees.
    pub obs_width: usize,
    /// Width of an agent's global state: what a centralised critic sees besides (0: nothing).
    pub state_width: usize,
    /// Length of the ladder: the number of actions.
    pub rungs: usize,
    /// Number of constraint costs per agent and step (the Lagrangian prices them).
    pub constraints: usize,
    /// Names of the constraints, for logs.
    pub constraint_names: Vec<String>,
}

impl EnvSpec {
    /// Rows of a step: copies x agents.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.copies * self.agents
    }
}

/// How a step ended. Both at once cannot be said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StepEnd {
    /// The episode goes on.
    #[default]
    Go,
    /// It is over: nothing more can be earned, the value of what follows is 0.
    Terminated,
    /// It was cut off: what follows is worth the value of the final observation.
    Truncated,
}

/// What the agents of a block do in one step: one entry per row (absent agents: any). An environment takes one of the two: rungs,
/// or multipliers where it tells their ranges. The other, and what the mask or the range forbids, is a bug of the caller.
#[derive(Clone, Copy, Debug)]
pub enum Actions<'a> {
    /// Rungs of the ladder.
    Rungs(&'a [u8]),
    /// Multiples of the agents' base prices.
    Multipliers(&'a [f32]),
}

impl<'a> Actions<'a> {
    /// The rungs; nothing where they are none.
    #[must_use]
    pub fn rungs(self) -> &'a [u8] {
        match self {
            Self::Rungs(rungs) => rungs,
            Self::Multipliers(_) => &[],
        }
    }

    /// Of the first rows, and of those behind them.
    pub(crate) fn split_at(self, rows: usize) -> (Self, Self) {
        match self {
            Self::Rungs(rungs) => {
                let (left, right) = rungs.split_at(rows);
                (Self::Rungs(left), Self::Rungs(right))
            }
            Self::Multipliers(multipliers) => {
                let (left, right) = multipliers.split_at(rows);
                (Self::Multipliers(left), Self::Multipliers(right))
            }
        }
    }
}

/// What every agent sees. Slices are borrowed from the learner's buffers.
#[derive(Debug)]
pub struct ObserveOut<'a> {
    /// `rows x obs_width`.
    pub obs: &'a mut [f32],
    /// `rows x state_width`.
    pub state: &'a mut [f32],
    /// `rows`: the allowed rungs, bit r = rung r; 0 = absent agent.
    pub mask: &'a mut [u64],
}

/// What a step brought.
#[derive(Debug)]
pub struct StepOut<'a> {
    /// `rows`.
    pub reward: &'a mut [f32],
    /// `rows x constraints`: expected to be <= 0 on average when the constraint holds.
    pub cost: &'a mut [f32],
    /// `copies x constraints`: how far the step was on the wrong side of each constraint, as far as that can be observed.
    /// Its mean steers the multipliers; it may be noisier than `cost`, which is what agents learn from.
    pub violation: &'a mut [f32],
    /// `copies`.
    pub end: &'a mut [StepEnd],
    /// Observation after the last step of a copy whose `end` is [`StepEnd::Truncated`]; other rows are left alone.
    pub last: ObserveOut<'a>,
}

/// A pricing problem in time: a block of copies that step together.
///
/// A copy whose episode ends is reset inside `step`; the next `observe` shows the new episode. Same seeds, same actions:
/// same numbers, bit for bit.
pub trait Env: Send {
    /// Its shape.
    fn spec(&self) -> &EnvSpec;

    /// Starts every copy anew; copy `c` draws from `seeds.indexed(c)`.
    fn reset(&mut self, seeds: &Seeds);

    /// Writes what every agent sees now.
    fn observe(&self, out: &mut ObserveOut<'_>);

    /// Every agent sets its price.
    fn step(&mut self, actions: Actions<'_>, out: &mut StepOut<'_>);

    /// Lowest and highest multiplier of each agent's base price; nothing where agents choose among rungs.
    fn multipliers(&self) -> Vec<[f32; 2]> {
        Vec::new()
    }

    /// The price of each of an agent's rungs in money, infinite where it offers nothing; where agents set multipliers, only the base
    /// price of each. Nothing where an agent's prices change with the state, as those of a replayed shop.
    fn prices(&self) -> Vec<Vec<f64>> {
        Vec::new()
    }

    /// The group of each agent, numbered from 0 without gaps: agents of one group are alike (same cost, same quality) and may
    /// share their parameters. None where the environment does not know which of its agents are alike.
    fn agent_groups(&self) -> Option<Vec<usize>> {
        None
    }

    /// Everything that is needed to go on from here, for an exact resume.
    fn save(&self) -> Vec<u8>;

    /// Goes on from what [`Env::save`] returned.
    ///
    /// # Errors
    /// One sentence when the bytes are not a state of this environment.
    fn load(&mut self, state: &[u8]) -> Result<(), String>;
}
