use haggle_core::{Guardrails, LADDER_RUNGS_MAX};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The replay environment as it stands in `configs/train/*.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayConfig {
    /// First and last week (both included) whose sessions are replayed.
    pub weeks: [u32; 2],
    /// The prices that an agent may choose, as rising multiples of its item's base price.
    pub ladder: Vec<f64>,
    /// How long a price holds.
    pub unit: Unit,
    /// What an agent earns.
    pub reward: Earning,
    /// What one unit costs, as a share of the base price in (0, 1), where the shop does not say; absent: unknown.
    #[serde(default)]
    pub cost_share: Option<f64>,
    /// Which outcome the reward is read from; the state always moves by sampled purchases.
    pub outcome: Outcome,
    /// How much of its rivals' reward (and cost) an agent counts as its own, in [0, 1]: 0 selfish, 1 one team.
    pub common_share: f64,
    /// How the common part is told to the agents.
    #[serde(default)]
    pub credit: Credit,
    /// Upper limit of the shoppers' price index: what baskets cost at the agents' prices / at the logged prices.
    /// 1 means "reallocate, don't raise"; absent: unconstrained.
    #[serde(default)]
    pub price_index_limit: Option<f64>,
    /// Stock at the beginning of an episode, in weeks of the item's usual sales; it is not refilled. Absent: unlimited.
    #[serde(default)]
    pub stock_weeks: Option<f64>,
    /// An episode is cut off after this many visits (unit "period": at the end of the week in which it passes them).
    pub episode_visits: u32,
    /// Which members of the demand model copies may draw.
    pub members: Members,
    /// Whether each session of an episode comes 0, 1, 2 ... times (Poisson with mean 1) instead of once.
    pub resample_sessions: bool,
    /// Standing rules on prices.
    #[serde(default)]
    pub guardrails: Guardrails,
}

/// How long a price holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// For one offer: each session sees its own prices, a step is a visit.
    Offer,
    /// For a week: decided in front of the week's first session, then kept; a step is the week.
    Period,
}

/// What an agent earns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Earning {
    /// Price times units.
    Revenue,
    /// Price less cost, times units; needs a cost for every item.
    Margin,
}

/// Which outcome the reward is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The demand model's expectation: less noise.
    Expected,
    /// The sampled purchases.
    Sampled,
}

/// How the agents of a visit learn what the team earned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Credit {
    /// Everybody is told the team's sum: right in the long run, but an agent's own part drowns in its rivals' draws.
    #[default]
    Shared,
    /// Each agent is told what the team earns beyond what it would have earned with this agent at its posted price
    /// (difference rewards: Wolpert and Tumer 2002). The price that is subtracted does not depend on what the agent did, so
    /// the best prices of a visit stay the same and the noise goes. What a price does to later visits is not seen: only for
    /// a learner with `gamma = 0`, and only with expected outcomes.
    Difference,
}

/// Which members of the demand model are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Members {
    /// Only the point estimate.
    Point,
    /// Any member: each episode draws one.
    Ensemble,
}

/// Why there is no replay environment.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ReplayError {
    /// A value out of its range.
    #[error("{field}: {expected}")]
    Range {
        /// The field.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// Parts that do not belong together.
    #[error("replay: {0}")]
    Config(String),
    /// Data that do not belong together.
    #[error(
        "replay: the catalogue has {catalog} agents in category {category}, the sessions have {sessions}"
    )]
    Mismatch {
        /// Number of the category.
        category: usize,
        /// Items in the catalogue.
        catalog: usize,
        /// Agents in the replayed sessions.
        sessions: usize,
    },
    /// No sessions to replay.
    #[error("replay: weeks {first} to {last} hold {found} sessions; at least 2 are needed")]
    Sessions {
        /// First week.
        first: u32,
        /// Last week.
        last: u32,
        /// Sessions found.
        found: usize,
    },
}

impl ReplayError {
    /// The field at fault, as an environment file names it; empty where it is no single one.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::Range { field, .. } => field,
            Self::Config(_) | Self::Mismatch { .. } => "",
            Self::Sessions { .. } => "replay.weeks",
        }
    }
}

impl ReplayConfig {
    /// The weeks as a half-open range.
    #[must_use]
    pub fn week_range(&self) -> Range<u32> {
        self.weeks[0]..self.weeks[1].saturating_add(1)
    }

    /// Checks every value.
    ///
    /// # Errors
    /// A sentence naming the first value that is out of range.
    pub fn check(&self) -> Result<(), ReplayError> {
        let share = |value: f64| (0.0..=1.0).contains(&value);
        let rising = self.ladder.windows(2).all(|pair| pair[0] < pair[1]);
        let positive = self
            .ladder
            .iter()
            .all(|multiple| multiple.is_finite() && *multiple > 0.0);
        let rules = [
            (
                self.weeks[0] <= self.weeks[1],
                "replay.weeks",
                "the first is after the last",
            ),
            (
                (1..=LADDER_RUNGS_MAX).contains(&self.ladder.len()),
                "replay.ladder",
                "1 to 64 multiples are needed",
            ),
            (
                rising && positive,
                "replay.ladder",
                "the multiples must be positive and rising",
            ),
            (
                self.cost_share.is_none_or(|cost| cost > 0.0 && cost < 1.0),
                "replay.cost_share",
                "must lie strictly between 0 and 1",
            ),
            (
                share(self.common_share),
                "replay.common_share",
                "must lie in [0, 1]",
            ),
            (
                self.credit == Credit::Shared || self.outcome == Outcome::Expected,
                "replay.credit",
                "\"difference\" needs outcome = \"expected\", since nobody saw the purchases at the other price",
            ),
            (
                self.price_index_limit
                    .is_none_or(|limit| limit.is_finite() && limit > 0.0),
                "replay.price_index_limit",
                "must be a positive number (leave it out for no limit)",
            ),
            (
                self.stock_weeks
                    .is_none_or(|weeks| weeks.is_finite() && weeks > 0.0),
                "replay.stock_weeks",
                "must be a positive number (leave it out for unlimited stock)",
            ),
            (
                self.episode_visits > 0,
                "replay.episode_visits",
                "must be at least 1",
            ),
            (
                (0.0..1.0).contains(&self.guardrails.margin_min),
                "replay.guardrails.margin_min",
                "must lie in [0, 1)",
            ),
        ];
        match rules.into_iter().find(|(kept, ..)| !kept) {
            Some((_, field, expected)) => Err(ReplayError::Range { field, expected }),
            None => Ok(()),
        }
    }
}
