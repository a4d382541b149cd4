use crate::protocol::{ID_BYTES_MAX, NAME_BYTES_MAX, TIME_S_MAX, name, within};
use crate::refusal::{Code, Refusal};
use crate::strict::{object, object_or_none, objects};
use haggle_core::{Bounds, PriceMinor, SessionContext, ShelfEntry};
use haggle_policy::bandit::Stock;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// `{"op":"price"}`: what does this item cost in this session?
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
    #[serde(default, deserialize_with = "object")]
    pub context: WireContext,
    /// Bounds for this one price.
    #[serde(default, deserialize_with = "object")]
    pub bounds: Bounds,
    /// The channel that the price is shown on; the answer then says the lowest price of the last 30 days there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// What else is known of the session: only attributes that the daemon's configuration names.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "once_each"
    )]
    pub attributes: BTreeMap<String, String>,
    /// What is left of the item to sell, and for how many visits: bandits that sample from their posterior mind it.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "object_or_none"
    )]
    pub stock: Option<Stock>,
    /// The price that the caller would set himself; answered in the mode `apprentice`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_minor: Option<PriceMinor>,
    /// Whether the price counts as shown only when it is activated.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub defer: bool,
    /// Whether the answer waits until the decision is on disk.
    #[serde(default, skip_serializing_if = "LogMode::is_async")]
    pub log: LogMode,
    /// How long after its arrival the policy may still be asked, in milliseconds; then the fallback price is answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u32>,
}

/// Fields of a request that are taken out where the configuration protects them.
pub(crate) const PROTECTABLE: [&str; 5] = [
    "user",
    "basket_lines_mean",
    "spend_mean_minor",
    "recency_days",
    "visits_56d",
];

/// All other fields of a request and its context: no price can be answered, or joined, without them.
pub(crate) const KEPT: [&str; 14] = [
    "session",
    "item",
    "decision",
    "context",
    "bounds",
    "channel",
    "attributes",
    "stock",
    "own_minor",
    "defer",
    "log",
    "deadline_ms",
    "time_s",
    "shelf",
];

/// Whether a price waits for the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogMode {
    /// It does not.
    #[default]
    Async,
    /// It is answered when the decision is on disk.
    Sync,
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
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "objects")]
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

impl LogMode {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    fn is_async(&self) -> bool {
        *self == Self::Async
    }
}

impl PriceRequest {
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
        if let Some(channel) = &self.channel {
            name("channel", channel, NAME_BYTES_MAX)?;
        }
        for (attribute, value) in &self.attributes {
            name("attributes", attribute, NAME_BYTES_MAX)?;
            name(attribute, value, NAME_BYTES_MAX)?;
        }
        let visits_left = self.stock.map_or(1, |stock| stock.visits_left);
        within("stock.visits_left", visits_left, 1..=u32::MAX)?;
        within("deadline_ms", self.deadline_ms.unwrap_or(1), 1..=u32::MAX)?;
        within("own_minor", self.own_minor.map_or(1, |own| own.0), 1..=u32::MAX)?;
        let context = &self.context;
        within("time_s", context.time_s.unwrap_or_default(), 0..=TIME_S_MAX)?;
        not_negative("basket_lines_mean", context.basket_lines_mean)?;
        not_negative("spend_mean_minor", context.spend_mean_minor)?;
        not_negative("recency_days", context.recency_days)?;
        not_negative("visits_56d", context.visits_56d)?;
        for news in &context.shelf {
            within("mailer", news.mailer, 0.0..=1.0)?;
            within("display", news.display, 0.0..=1.0)?;
        }
        Ok(())
    }

    /// What the request says, as one number: the same id with another number is another request.
    pub(crate) fn fingerprint(&self) -> u64 {
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        let digest = haggle_core::Digest::of(&bytes);
        let mut number = [0; 8];
        number.copy_from_slice(&digest.as_bytes()[..8]);
        u64::from_le_bytes(number)
    }
}

fn not_negative(field: &str, value: Option<f32>) -> Result<(), Refusal> {
    match value {
        Some(value) if !(value.is_finite() && value >= 0.0) => Err(Refusal::new(
            Code::BadRequest,
            format!("`{field}` is {value}, allowed are finite numbers from 0"),
        )),
        _ => Ok(()),
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

/// Reads a map of texts in which no key stands twice: which of two values counts, nobody could say.
fn once_each<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    deserializer.deserialize_map(OnceEach)
}

struct OnceEach;

impl<'de> Visitor<'de> for OnceEach {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut texts = BTreeMap::new();
        while let Some((key, text)) = map.next_entry::<String, String>()? {
            if texts.contains_key(&key) {
                return Err(A::Error::custom(format!("duplicate field `{key}`")));
            }
            texts.insert(key, text);
        }
        Ok(texts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields of a type, as its refusal of one that it has not names them.
    fn fields<T: serde::de::DeserializeOwned>() -> Vec<String> {
        let error = serde_json::from_str::<T>(r#"{"none":1}"#)
            .map(|_| ())
            .expect_err("no such field");
        let said = error.to_string();
        said.split('`').skip(3).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn every_field_of_a_request_is_either_protectable_or_kept() {
        let mut fields = [fields::<PriceRequest>(), fields::<WireContext>()].concat();
        let mut listed: Vec<&str> = PROTECTABLE.into_iter().chain(KEPT).collect();
        fields.sort();
        listed.sort_unstable();
        assert_eq!(fields, listed);
    }

    #[test]
    fn an_attribute_that_stands_twice_is_refused_in_both_encodings() {
        let twice = r#"{"session":"s","item":"i","attributes":{"kind":"new","kind":"loyal"}}"#;
        let error = serde_json::from_str::<PriceRequest>(twice)
            .map(|_| ())
            .map_err(|error| error.to_string());
        assert!(error.is_err_and(|said| said.contains("duplicate field `kind`")));
        let twice = b"\x83\xa7session\xa1s\xa4item\xa1i\xaaattributes\x82\xa1k\xa1a\xa1k\xa1b";
        let error = rmp_serde::from_slice::<PriceRequest>(twice)
            .map(|_| ())
            .map_err(|error| error.to_string());
        assert!(error.is_err_and(|said| said.contains("duplicate field `k`")));
    }
}
