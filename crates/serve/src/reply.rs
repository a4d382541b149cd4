use crate::canary::CanaryStopped;
use crate::decide::{Mode, Source};
use crate::explain::Card;
use crate::health::Health;
use crate::lessons::Progress;
use crate::refusal::Refusal;
use crate::trial::{CanaryStatus, HoldoutStatus};
use haggle_core::{Digest, PriceMinor, Rule, Step};
use serde::{Deserialize, Serialize};

/// What the law of New York (General Business Law 349-a) asks a shop to say beside a price that personal data moved.
pub const DISCLOSURE: &str = "THIS PRICE WAS SET BY AN ALGORITHM USING YOUR PERSONAL DATA.";

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Reply {
    /// To `hello`.
    Hello(Box<HelloReply>),
    /// To `price`.
    Price(Box<PriceReply>),
    /// To `activate`, `cancel` and `cart`.
    Stage(StageReply),
    /// To `reward`.
    Reward(RewardReply),
    /// To `rewards`.
    Rewards(RewardsReply),
    /// To `get`.
    Get(Box<GetReply>),
    /// To `explain`.
    Card(Box<Card>),
    /// To `status`.
    Status(Box<Status>),
}

/// The answer to `hello`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloReply {
    /// The protocol.
    pub protocol: String,
    /// The program and its version.
    pub server: String,
    /// The bundle that is served.
    pub policy: Digest,
    /// Longest line or frame, in bytes.
    pub message_bytes_max: usize,
    /// Most rewards of one batch.
    pub batch_max: usize,
}

/// The answer to a price request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PriceReply {
    /// The decision's id: rewards refer to it.
    pub decision: String,
    /// The price, in minor units.
    pub price_minor: PriceMinor,
    /// Its rung on the item's ladder.
    pub rung: u8,
    /// The probability with which it was drawn.
    pub propensity: f64,
    /// The bundle that was asked.
    pub policy: Digest,
    /// Whether another rung was more probable.
    pub explored: bool,
    /// The rules that took rungs away.
    pub rules: Vec<Rule>,
    /// The rule that the price stands at; only where the shop has a rulebook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<Rule>,
    /// The same rules with how many rungs each left; only where the shop has a rulebook.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trail: Vec<Step>,
    /// Who set the price, when it was not drawn from the policy's distribution.
    #[serde(default, skip_serializing_if = "is_policy")]
    pub source: Source,
    /// Whether the price counts as shown only when it is activated.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deferred: bool,
    /// The lowest price that was shown in the 30 days before, on the channel that the request named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lowest_30d_minor: Option<PriceMinor>,
    /// For a request that says its `stock`: whether the policy that set the price minds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stock_minded: Option<bool>,
    /// Whether personal data could move the price.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub personal_data_used: bool,
    /// What has to be shown beside the price, where personal data could move it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disclosure: Option<String>,
    /// False when the store cannot take the decision in: the price is good, but rewards for it will be refused.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub logged: bool,
}

/// What became of a reward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RewardStatus {
    /// It counts, and it is on disk.
    Durable,
    /// It counted before, and it is on disk.
    Duplicate,
    /// It counts as a correction, since the window had closed; it is on disk.
    Late,
    /// Its decision is not known yet; it is on disk and counts when the decision comes in time.
    Early,
}

/// The answer to a reward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RewardReply {
    /// What became of it.
    pub status: RewardStatus,
}

/// The answer to a batch of rewards.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RewardsReply {
    /// One result per reward, in their order.
    pub results: Vec<RewardResult>,
}

/// What became of one reward of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RewardResult {
    /// It was taken in.
    Taken(RewardReply),
    /// It was not.
    Refused(Refusal),
}

/// Where a decision stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Deferred, and not shown yet.
    Pending,
    /// Shown; its rewards are waited for.
    Open,
    /// Its window has closed; later rewards are corrections.
    Closed,
    /// Deferred, and never shown.
    Lapsed,
    /// Withdrawn.
    Cancelled,
}

/// The answer to `activate`, `cancel` and `cart`; sent when it is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageReply {
    /// Where the decision stands now.
    pub stage: Stage,
}

/// The answer to `get`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GetReply {
    /// The decision as it was answered.
    #[serde(flatten)]
    pub price: PriceReply,
    /// Its session.
    pub session: String,
    /// Its item.
    pub item: String,
    /// What its rewards come to, in minor units; the default reward once the window has closed without one.
    pub value_minor: i64,
    /// What the units of its rewards come to.
    pub units: u32,
    /// Names of its rewards, in the order of arrival.
    pub rewards: Vec<String>,
    /// Where it stands.
    pub stage: Stage,
    /// How many of its rewards came after the window had closed.
    pub late: usize,
}

/// The answer to `status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The bundle that is served.
    pub policy: Digest,
    /// The bundle that a rollback goes back to.
    pub previous: Option<Digest>,
    /// How prices come about.
    pub mode: Mode,
    /// How the store is doing.
    pub store: Health,
    /// Records that wait for the disk.
    pub queued: usize,
    /// Decisions of the store, those that wait for the disk and those that retention has dropped included.
    pub decisions: usize,
    /// Decisions answered that the store could not take in, since the start.
    pub unlogged: u64,
    /// Rewards that count, those that wait for the disk included and those that it refused not.
    pub rewards: u64,
    /// Rewards that came again, since the start.
    pub duplicates: u64,
    /// Open sessions that are remembered.
    pub sessions: usize,
    /// The bundle that is scored in the mode `shadow`.
    pub shadow: Option<Digest>,
    /// Rewards that count and came after the window had closed.
    pub late: u64,
    /// Rewards whose decision is not known yet, or never came.
    pub early: usize,
    /// Rewards refused because the same id had another value, since the start.
    pub conflicts: u64,
    /// Rewards refused because no decision had that id, since the start.
    pub unknown: u64,
    /// Decisions whose rewards are waited for.
    pub open: u64,
    /// Deferred decisions that are not activated yet.
    pub pending: u64,
    /// Decisions whose windows have closed.
    pub closed: u64,
    /// Those of them that closed without a reward.
    pub defaulted: u64,
    /// Deferred decisions that were never activated.
    pub lapsed: u64,
    /// Decisions that were withdrawn.
    pub cancelled: u64,
    /// Prices that were the fallback, since the start.
    pub fallbacks: u64,
    /// How far bandits have come; left out where none learns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bandits: Vec<Progress>,
    /// The bundle that a share of the users is served, and what both have earned; left out where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryStatus>,
    /// Why the last canary stopped by itself, until the next one begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_stopped: Option<CanaryStopped>,
    /// What policies bring, beside users who always get the static price; left out where nobody is held out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holdout: Option<HoldoutStatus>,
    /// Why canary or holdout stand still; left out where they do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Records that repairs gave up: they may have been swaps, modes or canaries. Left out where there are none.
    #[serde(default, skip_serializing_if = "is_none")]
    pub lost_records: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_none(records: &u64) -> bool {
    *records == 0
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_true(value: &bool) -> bool {
    *value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_policy(source: &Source) -> bool {
    *source == Source::Policy
}
