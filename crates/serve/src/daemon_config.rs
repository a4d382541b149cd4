use crate::price_request::{KEPT, PROTECTABLE};
use crate::protocol::VALUE_MINOR_MAX;
use haggle_config::{ConfigError, Loaded, load};
use haggle_core::RewardTerms;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::num::NonZeroU32;
use std::path::Path;

/// The daemon's configuration file; every key may be left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DaemonConfig {
    /// How prices are answered.
    pub prices: PriceConfig,
    /// How rewards are joined.
    pub rewards: RewardConfig,
    /// Reward terms of single policies, by the first 12 digits of their digests.
    pub policy: BTreeMap<String, RewardTerms>,
    /// What may not move a price.
    pub law: LawConfig,
    /// Who may ask for prices.
    pub access: AccessConfig,
    /// How the store is kept.
    pub store: StoreConfig,
}

/// `[prices]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PriceConfig {
    /// How long a session keeps the price of an item that it was shown, in seconds; 0: not at all.
    pub sticky_s: u32,
    /// How long after its arrival the policy may still be asked, for requests that do not say, in milliseconds.
    pub deadline_ms: Option<u32>,
    /// The share of the users who are held out: who always get the static price, whatever is served to the others.
    pub holdout_share: f64,
}

/// `[rewards]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RewardConfig {
    /// Terms of decisions of policies that have none of their own.
    pub terms: RewardTerms,
    /// How long a reward may come before its decision, in seconds; 0: not at all.
    pub backward_window_s: u32,
}

/// `[law]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LawConfig {
    /// Attributes, or fields of a request's context, or `user`, that are taken out of every request before anything looks
    /// at it.
    pub protected: Vec<String>,
}

/// `[access]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccessConfig {
    /// The number of a group whose members may connect to the socket for prices; read at the start.
    pub group_id: Option<u32>,
    /// The numbers of the users who may connect to it beside the daemon's own; empty: whoever the socket's mode lets in.
    pub user_ids: Vec<u32>,
}

/// `[store]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// Records between two checkpoints; a start reads at most about so many again.
    pub checkpoint_records: u64,
    /// How long records are kept, in days; without it for ever.
    pub keep_days: Option<NonZeroU32>,
}

impl Default for PriceConfig {
    fn default() -> Self {
        Self {
            sticky_s: 1_800,
            deadline_ms: None,
            holdout_share: 0.0,
        }
    }
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            checkpoint_records: 65_536,
            keep_days: None,
        }
    }
}

impl DaemonConfig {
    /// Reads and checks a configuration file.
    ///
    /// # Errors
    /// When it cannot be read, or says something unknown or out of range.
    pub fn load(path: &Path) -> Result<Loaded<Self>, ConfigError> {
        let loaded: Loaded<Self> = load(path, &[])?;
        match loaded.value.check() {
            Ok(()) => Ok(loaded),
            Err((field, sentence)) => Err(loaded.source.fault(&field, sentence).into()),
        }
    }

    /// The field that is to blame, and the sentence about it.
    fn check(&self) -> Result<(), (String, String)> {
        let (low, high) = (RewardTerms::WINDOW_S.start(), RewardTerms::WINDOW_S.end());
        let (least, most) = (-VALUE_MINOR_MAX, VALUE_MINOR_MAX);
        let sound = |table: &str, terms: &RewardTerms| {
            let (window_s, default_minor) = (terms.window_s, terms.default_minor);
            let right = format!("{low} to {high}");
            let within = RewardTerms::WINDOW_S.contains(&window_s);
            expect(within, format!("{table}.window_s"), window_s, &right)?;
            let right = format!("{least} to {most}, as for a reward,");
            let within = (least..=most).contains(&default_minor);
            expect(within, format!("{table}.default_minor"), default_minor, &right)
        };
        sound("rewards.terms", &self.rewards.terms)?;
        for (name, terms) in &self.policy {
            let table = format!("policy.{name}");
            if name.len() != 12 || !name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
                let sentence = format!(
                    "{table}: the first 12 digits of a bundle's digest are expected, 0 to 9 and a to f"
                );
                return Err((table, sentence));
            }
            sound(&table, terms)?;
        }
        let (backward_s, field) = (self.rewards.backward_window_s, "rewards.backward_window_s");
        expect(backward_s <= *high, field, backward_s, &format!("0 to {high}"))?;
        let (records, field) = (self.store.checkpoint_records, "store.checkpoint_records");
        expect(records > 0, field, records, "at least 1")?;
        let (share, field) = (self.prices.holdout_share, "prices.holdout_share");
        expect((0.0..1.0).contains(&share), field, share, "0 or more and below 1")?;
        if let Some(name) = self
            .law
            .protected
            .iter()
            .find(|name| KEPT.contains(&name.as_str()))
        {
            let sentence = format!(
                "law.protected names `{name}`, without which no request is answered: names of attributes, or {} expected",
                PROTECTABLE.join(", ")
            );
            return Err(("law.protected".to_owned(), sentence));
        }
        let (deadline_ms, field) = (self.prices.deadline_ms.unwrap_or(1), "prices.deadline_ms");
        expect(
            deadline_ms > 0,
            field,
            deadline_ms,
            "at least 1, or no such line,",
        )
    }
}

/// The field and the sentence about it, where it is not sound.
fn expect(
    sound: bool,
    field: impl Into<String>,
    value: impl Display,
    right: &str,
) -> Result<(), (String, String)> {
    let field = field.into();
    let sentence = format!("{field} = {value}: {right} expected");
    match sound {
        true => Ok(()),
        false => Err((field, sentence)),
    }
}
