//! The wire: one JSON object a line, over a Unix stream socket; replies carry the request's `id`.
//!
//! A request names its `op`; unknown keys are refused, so that a misspelt bound cannot be overlooked. An error reply has
//! a stable `code` for programs and a `message` for people.

use haggle_core::{Bounds, Digest, PriceMinor, Rule, SessionContext, ShelfEntry};
use serde::{Deserialize, Serialize};

/// Longest line that is read, its end included.
pub const LINE_BYTES_MAX: usize = 64 * 1024;
/// Longest decision or reward id, in bytes.
pub const ID_BYTES_MAX: usize = 64;
/// Longest session, user or item name, in bytes.
pub const NAME_BYTES_MAX: usize = 128;

/// Latest time of a session: the end of the year 9999, in seconds since 1970. The earliest is 0.
pub const TIME_S_MAX: i64 = 253_402_300_799;
/// Largest value of one reward, up or down, in minor units.
pub const VALUE_MINOR_MAX: i64 = 1_000_000_000_000;
/// Most units of one reward.
pub const UNITS_MAX: u32 = 1_000_000;

/// A request's name for itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RequestId {
    /// A number.
    Number(u64),
    /// A text.
    Text(String),
}

/// `{"op":"price"}`: what does this item cost in this session?
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PriceRequest {
    /// The session.
    pub session: String,
    /// The user behind it, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The item.
    pub item: String,
    /// The client's own id for the decision; the same id again gets the same decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
    /// What is known of session and shelf.
    #[serde(default)]
    pub context: WireContext,
    /// Bounds for this one price.
    #[serde(default)]
    pub bounds: Bounds,
}

/// What a price request knows of its session; all of it optional.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WireContext {
    /// When the session began: seconds since 1970, in the shop's local time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_s: Option<i64>,
    /// Mean number of lines in the user's earlier baskets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basket_lines_mean: Option<f32>,
    /// Mean value of the user's earlier baskets, in minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spend_mean_minor: Option<f32>,
    /// Days since the user's last session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recency_days: Option<f32>,
    /// The user's sessions in the 56 days before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visits_56d: Option<f32>,
    /// What is planned for items of the category, as far as it is news.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shelf: Vec<ShelfNews>,
}

/// What the shop has planned for one item; remembered until the next news of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShelfNews {
    /// The item.
    pub item: String,
    /// The price that the shop would post without haggle.
    pub posted_minor: PriceMinor,
    /// Share of stores that have it in the mailer.
    #[serde(default)]
    pub mailer: f32,
    /// Share of stores that have it on display.
    #[serde(default)]
    pub display: f32,
}

/// `{"op":"reward"}`: what a decision earned, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// `{"op":"get"}`: read a decision back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GetRequest {
    /// The decision.
    pub decision: String,
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
    /// False when the store cannot take the decision in: the price is good, but rewards for it will be refused.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub logged: bool,
}

/// The answer to a reward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RewardStatus {
    /// It counts, and it is on disk.
    Durable,
    /// It counted before, and it is on disk.
    Duplicate,
}

/// The answer to a reward, as an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RewardReply {
    /// What became of it.
    pub status: RewardStatus,
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
    /// Sum of its rewards, in minor units.
    pub value_minor: i64,
    /// Sum of the units bought.
    pub units: u32,
    /// Names of its rewards, in the order of arrival.
    pub rewards: Vec<String>,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The line is no JSON object.
    BadJson,
    /// The object is no such request.
    BadRequest,
    /// There is no such operation here.
    UnknownOp,
    /// The line is longer than [`LINE_BYTES_MAX`].
    LineTooLong,
    /// The catalogue has no such item.
    UnknownItem,
    /// No decision has that id.
    UnknownDecision,
    /// The same id stands for something else already.
    Conflict,
    /// The bounds contradict each other.
    PriceFloorAboveCeiling,
    /// The rules leave no price.
    NothingAllowed,
    /// The policy has no answer.
    PolicyFailed,
    /// All connections are taken.
    Busy,
    /// Decisions come faster than they can be journalled.
    Overloaded,
    /// The disk is full: nothing was written.
    StoreFull,
    /// The store has failed and takes nothing in until the daemon is restarted.
    StoreFailed,
    /// The bundle cannot be served.
    BundleRefused,
    /// The gate has not passed the bundle.
    GateRefused,
    /// There is no earlier bundle to go back to.
    NoPrevious,
    /// Prices are frozen: unfreeze before a swap.
    Frozen,
    /// Something could not be written.
    ExportFailed,
}

/// A refusal: a code for programs, a message for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Stable.
    pub code: Code,
    /// One sentence.
    pub message: String,
}

#[derive(Serialize)]
struct Line<'a, T> {
    id: &'a Option<RequestId>,
    ok: bool,
    #[serde(flatten)]
    body: &'a T,
}

/// Appends one reply line.
pub fn write_reply<T: Serialize>(out: &mut Vec<u8>, id: &Option<RequestId>, reply: &Result<T, Refusal>) {
    let start = out.len();
    let written = match reply {
        Ok(body) => serde_json::to_writer(&mut *out, &Line { id, ok: true, body }),
        Err(body) => serde_json::to_writer(&mut *out, &Line { id, ok: false, body }),
    };
    if written.is_err() {
        out.truncate(start);
        out.extend_from_slice(
            br#"{"id":null,"ok":false,"code":"bad_request","message":"the reply cannot be written"}"#,
        );
    }
    out.push(b'\n');
}

impl Refusal {
    /// A refusal.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

impl PriceRequest {
    /// Its keys on the wire.
    pub const KEYS: &[&str] = &["session", "user", "item", "decision", "context", "bounds"];

    /// Checks lengths and numbers.
    ///
    /// # Errors
    /// When a name is empty or too long, or a number is out of range.
    pub fn check(&self) -> Result<(), Refusal> {
        name("session", &self.session, NAME_BYTES_MAX)?;
        name("item", &self.item, NAME_BYTES_MAX)?;
        if let Some(user) = &self.user {
            name("user", user, NAME_BYTES_MAX)?;
        }
        if let Some(decision) = &self.decision {
            name("decision", decision, ID_BYTES_MAX)?;
        }
        let context = &self.context;
        let time_s = context.time_s.unwrap_or_default();
        within("time_s", (0..=TIME_S_MAX).contains(&time_s))?;
        let finite = |value: Option<f32>| value.is_none_or(f32::is_finite);
        within("basket_lines_mean", finite(context.basket_lines_mean))?;
        within("spend_mean_minor", finite(context.spend_mean_minor))?;
        within("recency_days", finite(context.recency_days))?;
        within("visits_56d", finite(context.visits_56d))?;
        for news in &context.shelf {
            within("mailer", (0.0..=1.0).contains(&news.mailer))?;
            within("display", (0.0..=1.0).contains(&news.display))?;
        }
        Ok(())
    }
}

impl GetRequest {
    /// Its keys on the wire.
    pub const KEYS: &[&str] = &["decision"];
}

impl RewardRequest {
    /// Its keys on the wire.
    pub const KEYS: &[&str] = &["decision", "reward_id", "value_minor", "units"];

    /// Checks lengths and numbers.
    ///
    /// # Errors
    /// When a name is empty or too long, or a number is out of range.
    pub fn check(&self) -> Result<(), Refusal> {
        name("decision", &self.decision, ID_BYTES_MAX)?;
        name("reward_id", &self.reward_id, ID_BYTES_MAX)?;
        let value_max = VALUE_MINOR_MAX.unsigned_abs();
        within("value_minor", self.value_minor.unsigned_abs() <= value_max)?;
        within("units", self.units <= UNITS_MAX)
    }
}

impl WireContext {
    /// Who asks, if the request says anything of it; what it leaves out is 0, the time `now_s`.
    #[must_use]
    pub fn session(&self, now_s: i64) -> Option<SessionContext> {
        let floats = [
            self.basket_lines_mean,
            self.spend_mean_minor,
            self.recency_days,
            self.visits_56d,
        ];
        let said = self.time_s.is_some() || floats.iter().any(Option::is_some);
        let [basket_lines_mean, spend_mean_minor, recency_days, visits_56d] =
            floats.map(Option::unwrap_or_default);
        said.then_some(SessionContext {
            time_s: self.time_s.unwrap_or(now_s),
            basket_lines_mean,
            spend_mean_minor,
            recency_days,
            visits_56d,
        })
    }

    /// A context that says everything of a session and nothing of shelves.
    #[must_use]
    pub fn of(session: &SessionContext) -> Self {
        Self {
            time_s: Some(session.time_s),
            basket_lines_mean: Some(session.basket_lines_mean),
            spend_mean_minor: Some(session.spend_mean_minor),
            recency_days: Some(session.recency_days),
            visits_56d: Some(session.visits_56d),
            shelf: Vec::new(),
        }
    }
}

impl ShelfNews {
    /// News of one item.
    #[must_use]
    pub fn of(item: &str, entry: &ShelfEntry) -> Self {
        Self {
            item: item.to_owned(),
            posted_minor: entry.posted_minor,
            mailer: entry.mailer,
            display: entry.display,
        }
    }

    /// The plan that it tells of.
    #[must_use]
    pub fn entry(&self) -> ShelfEntry {
        ShelfEntry {
            posted_minor: self.posted_minor,
            mailer: self.mailer,
            display: self.display,
        }
    }
}

fn name(field: &str, text: &str, bytes_max: usize) -> Result<(), Refusal> {
    if text.is_empty() || text.len() > bytes_max {
        let message = format!("`{field}` has {} bytes, allowed are 1 to {bytes_max}", text.len());
        return Err(Refusal::new(Code::BadRequest, message));
    }
    Ok(())
}

fn within(field: &str, sound: bool) -> Result<(), Refusal> {
    if sound {
        Ok(())
    } else {
        Err(Refusal::new(
            Code::BadRequest,
            format!("`{field}` is out of range"),
        ))
    }
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_true(value: &bool) -> bool {
    *value
}
