use crate::change::{CanaryRecord, HoldoutRecord, ModeRecord, SwapRecord};
use crate::decide::Source;
use haggle_core::{
    DecisionId, Digest, Offer, Pmf, PriceMinor, Reward, RewardTerms, Rule, SessionContext, ShelfEntry, Step,
};
use haggle_policy::bandit::Stock;
use serde::{Deserialize, Deserializer, Serialize};

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
    /// Prices come about in another way from here on.
    Mode(ModeRecord),
    /// The place of a record that was refused when the disk was full; a missing number would mean damage.
    Void,
    /// A reward that was refused when the disk was full: it does not count, but the market remembers the purchase.
    Refused(Reward),
    /// A decision earned something after its window had closed: a correction of what it was said to have earned.
    Late(Reward),
    /// A reward whose decision is not known yet; it waits for it.
    Early(EarlyRecord),
    /// A deferred decision was shown.
    Activated(Event),
    /// A decision was withdrawn.
    Cancelled(Event),
    /// A session put the item of a decision into its cart.
    Carted(Event),
    /// The window of a decision has closed. Without a reward it has earned its default reward; deferred and never activated
    /// it has lapsed.
    Expired(Event),
    /// A share of the users is served another bundle from here on, or none is any more.
    Canary(CanaryRecord),
    /// Another share of the users is held out from here on.
    Holdout(HoldoutRecord),
}

/// Something that happened to a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The decision.
    pub decision: DecisionId,
    /// When, by the daemon's clock: seconds since 1970.
    pub time_s: i64,
}

/// A reward whose decision is not known yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlyRecord {
    /// The reward.
    pub reward: Reward,
    /// How long it waits: seconds since 1970, by the daemon's clock.
    pub until_s: i64,
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
            Self::Reward(reward) | Self::Late(reward) | Self::Refused(reward) => Some(&reward.decision.0),
            Self::Early(early) => Some(&early.reward.decision.0),
            Self::Activated(event) | Self::Cancelled(event) | Self::Carted(event) | Self::Expired(event) => {
                Some(&event.decision.0)
            }
            Self::Swap(_) | Self::Mode(_) | Self::Canary(_) | Self::Holdout(_) | Self::Void => None,
        }
    }

    /// When what it tells of a decision happened, by the daemon's clock: seconds since 1970.
    #[must_use]
    pub fn time_s(&self) -> Option<i64> {
        match self {
            Self::Decision(record) => Some(record.decided_s),
            Self::Reward(reward) | Self::Late(reward) | Self::Refused(reward) => Some(reward.time_s),
            Self::Early(early) => Some(early.reward.time_s),
            Self::Activated(event) | Self::Cancelled(event) | Self::Carted(event) | Self::Expired(event) => {
                Some(event.time_s)
            }
            Self::Swap(_) | Self::Mode(_) | Self::Canary(_) | Self::Holdout(_) | Self::Void => None,
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
    pub trail: Vec<Step>,
    /// The rule that the price stands at; only where the shop has a rulebook.
    pub binding: Option<Rule>,
    /// Whether the shop has a rulebook.
    pub governed: bool,
    /// Who set the price.
    pub source: Source,
    /// When, by the daemon's clock: seconds since 1970.
    pub decided_s: i64,
    /// Fingerprint of the request, where the client named the decision; else 0.
    pub request: u64,
    /// The channel that the price was shown on.
    pub channel: Option<String>,
    /// The segment of the session, where the rulebook tells segments apart.
    pub segment: Option<String>,
    /// The lowest price of the last 30 days before this one, for a request that named its channel.
    pub lowest_minor: Option<PriceMinor>,
    /// Whether personal data could move the price.
    pub personal: bool,
    /// Whether the price counts as shown only when it is activated.
    pub deferred: bool,
    /// How long rewards are waited for, and what they come to.
    pub terms: RewardTerms,
    /// What another policy would have done, in the mode `shadow`.
    pub shadow: Option<ShadowRecord>,
    /// Where a bandit was asked, the name of exactly what it had learnt.
    pub state: Option<Digest>,
    /// What the request said is left to sell. The last field: where nothing was said it takes no bytes, as in the journals of
    /// before it.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "at_the_end"
    )]
    pub stock: Option<StockRecord>,
}

/// What a request said is left to sell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockRecord {
    /// What it said.
    pub told: Stock,
    /// Whether the policy that set the price minds it.
    pub minded: bool,
}

/// Reads a field with nothing behind it: where the bytes end before it, it is not there. (They are checked by then.)
pub(crate) fn at_the_end<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    bytes: D,
) -> Result<Option<T>, D::Error> {
    Ok(Option::deserialize(bytes).unwrap_or(None))
}

impl DecisionRecord {
    /// The probability with which the price was chosen, given the request.
    #[must_use]
    pub fn propensity(&self) -> f64 {
        match self.source {
            Source::Caller => 1.0,
            _ => self
                .offer
                .logged
                .as_ref()
                .map_or(1.0, haggle_core::Logged::propensity),
        }
    }

    /// Whether the price only repeats what the session was told before.
    #[must_use]
    pub fn repeats(&self) -> bool {
        self.trail.iter().any(|step| step.rule == Rule::Sticky)
    }
}

/// What a policy that is not served would have done, on the same observation, mask and draw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShadowRecord {
    /// The policy.
    pub policy: Digest,
    /// Its distribution over rungs.
    pub pmf: Pmf,
    /// The rung that it would have drawn.
    pub rung: u8,
}

#[cfg(test)]
mod tests {
    use super::*;
    use haggle_core::{decode_record, encode_record};

    /// A decision as builds of before the stock wrote it.
    const BEFORE: &str = "0100017300016301690e9601a00100000001016473f291693e31fe77be7bfb78ebc9042b2e2c437c87eca0c122e0e8a0bbfbe6250101000000000000f03f00000e0000000000000000000000000000000000000000000010090000000000d80400020000";

    #[test]
    fn journals_of_before_the_stock_read_and_are_written_the_same() -> Result<(), Box<dyn std::error::Error>>
    {
        let byte = |at: usize| u8::from_str_radix(&BEFORE[at..at + 2], 16);
        let before = (0..BEFORE.len())
            .step_by(2)
            .map(byte)
            .collect::<Result<Vec<u8>, _>>()?;
        let Record::Decision(mut record) = decode_record(&before)? else {
            return Err("no decision".into());
        };
        assert_eq!(
            (record.offer.session.as_str(), record.request, record.stock),
            ("s", 9, None)
        );
        assert_eq!(encode_record(&Record::Decision(record.clone())), before);
        let told = Stock {
            units_left: 3,
            visits_left: 700,
        };
        record.stock = Some(StockRecord { told, minded: true });
        let record = Record::Decision(record);
        assert_eq!(decode_record::<Record>(&encode_record(&record))?, record);
        Ok(())
    }
}
