use haggle_core::{Digest, Offer, Reward, Rule, SessionContext, ShelfEntry};
use serde::{Deserialize, Serialize};

/// What the journal holds, in the order in which it happened.
///
/// Losses to prevent: a reward without its decision; the same reward twice; a propensity that was not the one drawn from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Record {
    /// A price was answered.
    Decision(Box<DecisionRecord>),
    /// A decision earned something.
    Reward(Reward),
    /// Another bundle is served from here on.
    Swap(SwapRecord),
    /// Exploration was stopped (true) or allowed again.
    Frozen(bool),
    /// The place of a swap or freeze that was refused when the disk was full; a missing number would mean damage.
    Void,
    /// A reward that was refused when the disk was full: it does not count, but the market remembers the purchase.
    Refused(Reward),
}

impl Record {
    /// The one decision that the record tells of, if it does.
    #[must_use]
    pub fn decision(&self) -> Option<&str> {
        match self {
            Self::Decision(record) => record
                .offer
                .logged
                .as_ref()
                .map(|logged| logged.decision.0.as_str()),
            Self::Reward(reward) | Self::Refused(reward) => Some(&reward.decision.0),
            Self::Swap(_) | Self::Frozen(_) | Self::Void => None,
        }
    }
}

/// A decision with everything that rebuilds the market's memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DecisionRecord {
    /// The offer, before any reward: units and value are 0.
    pub offer: Offer,
    /// What was known of the session.
    pub context: SessionContext,
    /// What the request said of shelves, as far as it was new: item and plan.
    pub shelf: Vec<(String, ShelfEntry)>,
    /// Whether another rung was more probable.
    pub explored: bool,
    /// The rules that took rungs away.
    pub rules: Vec<Rule>,
}

/// A change of the served bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwapRecord {
    /// The bundle served from here on.
    pub to: Digest,
    /// The bundle served before.
    pub from: Digest,
    /// How it came about.
    pub reason: SwapReason,
    /// When: seconds since 1970.
    pub time_s: i64,
}

/// How a swap came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SwapReason {
    /// The store was made with it.
    Start,
    /// The gate passed it.
    Gate,
    /// Somebody insisted, without a verdict.
    Forced,
    /// Back to the bundle before.
    Rollback,
}
