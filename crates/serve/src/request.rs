use crate::price_request::PriceRequest;
use crate::protocol::{BATCH_MAX, ID_BYTES_MAX, UNITS_MAX, VALUE_MINOR_MAX, name, within};
use crate::refusal::Refusal;
use crate::strict::objects;
use serde::{Deserialize, Serialize};

/// What a shop can ask for. The number is the type of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Who is there?
    Hello = 1,
    /// What does this item cost in this session?
    Price = 2,
    /// A deferred decision was shown.
    Activate = 3,
    /// What a decision earned.
    Reward = 4,
    /// Many rewards at a time.
    Rewards = 5,
    /// Read a decision back.
    Get = 6,
    /// A price was not shown after all.
    Cancel = 7,
    /// How is the daemon doing?
    Status = 8,
    /// The session put the item into its cart.
    Cart = 9,
    /// Why this price?
    Explain = 10,
}

/// A request, whatever its encoding was.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// To [`Op::Hello`].
    Hello(HelloRequest),
    /// To [`Op::Price`].
    Price(Box<PriceRequest>),
    /// To [`Op::Reward`].
    Reward(RewardRequest),
    /// To [`Op::Rewards`].
    Rewards(RewardsRequest),
    /// To the operations on one decision.
    Decision(Op, DecisionName),
    /// To [`Op::Status`].
    Status,
}

/// `{"op":"hello"}`: who is there, and which limits hold?
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HelloRequest {
    /// The protocol that the client speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
}

/// `{"op":"reward"}`: what a decision earned, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RewardRequest {
    /// The decision.
    pub decision: String,
    /// The client's name for this part; `(decision, reward_id)` counts once.
    pub reward_id: String,
    /// Minor units of money; negative for a return.
    pub value_minor: i64,
    /// Units bought.
    #[serde(default)]
    pub units: u32,
}

/// `{"op":"rewards"}`: many rewards at a time, each with its own answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RewardsRequest {
    /// 1 to [`BATCH_MAX`] rewards.
    #[serde(deserialize_with = "objects")]
    pub rewards: Vec<RewardRequest>,
}

/// A request about one decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionName {
    /// The decision.
    pub decision: String,
}

/// A request that says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

impl Op {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Hello,
        Self::Price,
        Self::Activate,
        Self::Reward,
        Self::Rewards,
        Self::Get,
        Self::Cancel,
        Self::Status,
        Self::Cart,
        Self::Explain,
    ];

    /// Its name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::Price => "price",
            Self::Activate => "activate",
            Self::Reward => "reward",
            Self::Rewards => "rewards",
            Self::Get => "get",
            Self::Cancel => "cancel",
            Self::Status => "status",
            Self::Cart => "cart",
            Self::Explain => "explain",
        }
    }

    /// The operation of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|op| op.name() == name)
    }

    /// The operation of that frame type.
    #[must_use]
    pub fn of_type(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }
}

impl DecisionName {
    /// Checks its length.
    ///
    /// # Errors
    /// When it is empty or too long.
    pub fn check(&self) -> Result<(), Refusal> {
        name("decision", &self.decision, ID_BYTES_MAX)
    }
}

impl RewardRequest {
    /// Checks lengths and numbers.
    ///
    /// # Errors
    /// When a name is empty or too long, or a number is out of range.
    pub fn check(&self) -> Result<(), Refusal> {
        name("decision", &self.decision, ID_BYTES_MAX)?;
        name("reward_id", &self.reward_id, ID_BYTES_MAX)?;
        within(
            "value_minor",
            self.value_minor,
            -VALUE_MINOR_MAX..=VALUE_MINOR_MAX,
        )?;
        within("units", self.units, 0..=UNITS_MAX)
    }
}

impl RewardsRequest {
    /// Checks how many there are; each is checked when it is taken in.
    ///
    /// # Errors
    /// When there are none or too many.
    pub fn check(&self) -> Result<(), Refusal> {
        within("number of rewards", self.rewards.len(), 1..=BATCH_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_its_name_and_its_type() {
        for op in Op::ALL {
            assert_eq!(
                (Op::named(op.name()), Op::of_type(op as u8)),
                (Some(op), Some(op))
            );
        }
        assert_eq!(
            (Op::named("dance"), Op::of_type(0), Op::of_type(11)),
            (None, None, None)
        );
    }
}
