//! Market C: logit Bertrand competition (Calvano et al. 2020), as its file has it.

use super::action::Action;
use super::checks::{count, discount, field, ladder, not_negative, share};
use super::last_price::episode_periods;
use super::oracle::{OracleError, PerSeller};
use super::rivalry::Reaction;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Below it, prices that differ by a rounding error would decide who sells.
const MU_MIN: f64 = 1e-6;

/// To how many parts of a unit the least highest price is told.
const TOP_DIGITS: f64 = 1e4;

/// Sellers whose equilibrium is searched at most.
const SELLERS_MAX: usize = 100;

/// C: seller `i` sells `exp((quality - p_i) / mu) / (sum_j exp((quality - p_j) / mu) + exp(outside_quality / mu))`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogitOligopoly {
    /// How many sell, 1 or more.
    pub sellers: usize,
    /// Cost of a unit: one number for all, or one per seller.
    pub costs: PerSeller,
    /// Quality of each product: one number for all, or one per seller.
    pub quality: PerSeller,
    /// How little shoppers care for differences, 1e-6 or more.
    pub mu: f64,
    /// Quality of buying nothing.
    pub outside_quality: f64,
    /// Rungs of the ladder from `xi` of their distance below the lowest Nash price to as much above the highest cartel price.
    #[serde(default = "ladder_rungs")]
    pub rungs: usize,
    /// How far the ladder reaches beyond.
    #[serde(default = "ladder_xi")]
    pub xi: f64,
    /// The ladder itself, rising; absent: by `rungs` and `xi`.
    pub prices: Option<Vec<f64>>,
    /// Worth of the next period beside this one's, in [0, 1).
    #[serde(default = "ladder_discount")]
    pub discount: f64,
    /// Periods after which an episode is cut off (stepping only; the value is that of the endless market).
    #[serde(default = "episode_periods")]
    pub episode_periods: usize,
    /// How much of the learners' mean profit, instead of its own, a learner is paid (stepping only), in [0, 1].
    #[serde(default)]
    pub common_share: f64,
    /// What a seller that learns chooses.
    #[serde(default)]
    pub action: Action,
    /// The last sellers, if they do not learn: a price each, or how they react to the last prices.
    #[serde(default)]
    pub rivals: Vec<Pricing>,
}

pub(super) fn ladder_rungs() -> usize {
    15
}

pub(super) fn ladder_xi() -> f64 {
    0.1
}

pub(super) fn ladder_discount() -> f64 {
    0.95
}

/// How a seller prices that does not learn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "a rival is a price, \"matcher\", \"undercutter\" or \"best-reply\""
)]
pub enum Pricing {
    /// Always the same price, on the ladder or beside it.
    Fixed(f64),
    /// By the last prices, on the ladder.
    Reacting(Reaction),
}

impl fmt::Display for Pricing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(price) => write!(f, "{price:?}"),
            Self::Reacting(Reaction::Matcher) => write!(f, "\"matcher\""),
            Self::Reacting(Reaction::Undercutter) => write!(f, "\"undercutter\""),
            Self::Reacting(Reaction::BestReply) => write!(f, "\"best-reply\""),
        }
    }
}

impl LogitOligopoly {
    pub(super) fn costs(&self) -> Vec<f64> {
        self.costs.spread(self.sellers)
    }

    pub(super) fn check(&self) -> Result<(), OracleError> {
        count("sellers", self.sellers)?;
        field(
            "sellers",
            self.sellers,
            self.sellers <= SELLERS_MAX,
            "at most 100",
        )?;
        let told_apart = self.mu >= MU_MIN && self.mu.is_finite();
        field("mu", self.mu, told_apart, "a finite number, at least 1e-6")?;
        let quality = self.quality.spread(self.sellers);
        let whole = quality.len() == self.sellers && quality.iter().all(|quality| quality.is_finite());
        field(
            "quality",
            format_args!("{}", self.quality),
            whole,
            "one finite number, or one per seller",
        )?;
        field(
            "outside_quality",
            self.outside_quality,
            self.outside_quality.is_finite(),
            "a finite number",
        )?;
        field("xi", self.xi, (0.0..=10.0).contains(&self.xi), "0 to 10")?;
        field("rungs", self.rungs, (2..=1000).contains(&self.rungs), "2 to 1000")?;
        self.prices.as_deref().map_or(Ok(()), ladder)?;
        discount(self.discount)?;
        count("episode_periods", self.episode_periods)?;
        share("common_share", self.common_share)?;
        let few = self.rivals.len() < self.sellers;
        field(
            "rivals",
            format_args!("{}", self.rivals_text()),
            few,
            "fewer rivals than sellers",
        )?;
        for rival in &self.rivals {
            if let Pricing::Fixed(price) = rival {
                not_negative("rivals", *price)?;
            }
        }
        let costs = self.costs();
        field(
            "costs",
            format_args!("{}", self.costs),
            costs.len() == self.sellers,
            "one number, or one per seller",
        )?;
        costs.iter().try_for_each(|cost| not_negative("costs", *cost))?;
        self.check_top()
    }

    /// Where any price up to the highest rung may be asked, the prices that the optimum is made of must be among them.
    fn check_top(&self) -> Result<(), OracleError> {
        let (Action::Multiplier, Some(prices)) = (self.action, &self.prices) else {
            return Ok(());
        };
        let needed = self.nash()?.into_iter().chain(self.monopoly());
        let least = needed.fold(0.0, f64::max);
        let least = (least * TOP_DIGITS).ceil() / TOP_DIGITS;
        let reached = prices.last().is_some_and(|top| *top >= least);
        let expected = format!(
            "a highest price of at least {least} (the dearest Nash or cartel price), where action = \"multiplier\","
        );
        field("prices", prices, reached, &expected)
    }

    /// The rivals as a file has them.
    pub(super) fn rivals_text(&self) -> String {
        let each: Vec<String> = self.rivals.iter().map(ToString::to_string).collect();
        format!("[{}]", each.join(", "))
    }
}
