use crate::error::ServeError;
use crate::price_request::PriceRequest;
use crate::protocol::{NAME_BYTES_MAX, VALUE_MINOR_MAX, name};
use crate::refusal::{Code, Refusal};
use haggle_core::{Bounds, Catalog, Digest, Guardrails, ItemRules, Past, RewardTerms, Rulebook, Ruling};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The daemon's configuration file; every key may be left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// How the store is kept.
    pub store: StoreConfig,
}

/// `[prices]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PriceConfig {
    /// How long a session keeps the price of an item that it was shown, in seconds; 0: not at all.
    pub sticky_s: u32,
    /// How long after its arrival the policy may still be asked, for requests that do not say, in milliseconds.
    pub deadline_ms: Option<u32>,
}

/// `[rewards]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RewardConfig {
    /// Terms of decisions of policies that have none of their own.
    pub terms: RewardTerms,
    /// How long a reward may come before its decision, in seconds; 0: not at all.
    pub backward_window_s: u32,
}

/// `[law]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LawConfig {
    /// Attributes, or fields of a request's context, or `user`, that are taken out of every request before anything looks
    /// at it.
    pub protected: Vec<String>,
}

/// `[store]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// Records between two checkpoints; a start reads at most about so many again.
    pub checkpoint_records: u64,
    /// How long records are kept, in days; without it for ever.
    pub keep_days: Option<u32>,
}

/// Where the settings are read from.
#[derive(Clone, Debug, Default)]
pub struct SettingsFiles {
    /// The configuration.
    pub config: Option<PathBuf>,
    /// The rulebook.
    pub guardrails: Option<PathBuf>,
}

/// Everything that a reload may change.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The configuration.
    pub config: DaemonConfig,
    /// The rules of each item, by its global number.
    pub rules: Vec<ItemRules>,
    /// Whether the shop has a rulebook.
    pub governed: bool,
    /// The attribute that tells segments apart.
    pub segment_by: Option<String>,
}

impl Default for PriceConfig {
    fn default() -> Self {
        Self {
            sticky_s: 1_800,
            deadline_ms: None,
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

impl SettingsFiles {
    /// Reads and checks both files; without one, its defaults hold.
    ///
    /// # Errors
    /// When a file cannot be read, says something unknown, out of range or contradictory, names what is not in the
    /// catalogue, or leaves an item no price at all.
    pub fn read(&self, catalog: &Catalog) -> Result<Settings, ServeError> {
        let config: DaemonConfig = self
            .config
            .as_deref()
            .map_or_else(|| Ok(DaemonConfig::default()), parse)?;
        if let Some(path) = &self.config {
            config.check().map_err(|what| unusable(path, what))?;
        }
        let mut settings = Settings {
            rules: vec![ItemRules::default(); catalog.items().len()],
            config,
            governed: self.guardrails.is_some(),
            segment_by: None,
        };
        if let Some(path) = &self.guardrails {
            let book: Rulebook = parse(path)?;
            book.check(catalog)
                .map_err(|error| unusable(path, error.to_string()))?;
            if let Some(attribute) = &book.segment_by {
                name("segment_by", attribute, NAME_BYTES_MAX)
                    .map_err(|refusal| unusable(path, refusal.message))?;
            }
            let protected = book
                .segment_by
                .iter()
                .find(|name| settings.config.law.protected.contains(name));
            if let Some(name) = protected {
                let what = format!(
                    "segment_by names `{name}`, which the configuration protects: it may not move a price"
                );
                return Err(unusable(path, what));
            }
            settings.rules = (0..catalog.items().len())
                .map(|item| book.of(catalog, item))
                .collect();
            for (item, rules) in catalog.items().iter().zip(&settings.rules) {
                let standing = Guardrails::default();
                Ruling::of(item, &standing, rules, &Past::default(), &Bounds::default())
                    .map_err(|error| unusable(path, error.to_string()))?;
            }
            settings.segment_by = book.segment_by;
        }
        Ok(settings)
    }
}

impl Settings {
    /// Takes what is protected out of a request, and returns its segment.
    ///
    /// # Errors
    /// When the request has an attribute that nothing here names.
    pub fn shield(&self, request: &mut PriceRequest) -> Result<Option<String>, Refusal> {
        for name in &self.config.law.protected {
            request.attributes.remove(name);
            let context = &mut request.context;
            match name.as_str() {
                "user" => request.user = None,
                "basket_lines_mean" => context.basket_lines_mean = None,
                "spend_mean_minor" => context.spend_mean_minor = None,
                "recency_days" => context.recency_days = None,
                "visits_56d" => context.visits_56d = None,
                _ => {}
            }
        }
        let segment = self
            .segment_by
            .as_ref()
            .and_then(|name| request.attributes.get(name))
            .cloned();
        let unknown = request
            .attributes
            .keys()
            .find(|name| self.segment_by.as_ref() != Some(name));
        match unknown {
            Some(name) => Err(Refusal::new(
                Code::BadRequest,
                format!("attribute `{name}` is neither protected nor what segments are told apart by"),
            )),
            None => Ok(segment),
        }
    }

    /// The reward terms of a policy's decisions.
    #[must_use]
    pub fn terms(&self, policy: Digest) -> RewardTerms {
        if self.config.policy.is_empty() {
            return self.config.rewards.terms;
        }
        let own = self.config.policy.get(&policy.short());
        own.copied().unwrap_or(self.config.rewards.terms)
    }
}

impl DaemonConfig {
    fn check(&self) -> Result<(), String> {
        let (low, high) = (RewardTerms::WINDOW_S.start(), RewardTerms::WINDOW_S.end());
        let of_rewards = ("rewards.terms".to_owned(), &self.rewards.terms);
        let of_policies = self
            .policy
            .iter()
            .map(|(name, terms)| (format!("policy.{name}"), terms));
        for (place, terms) in std::iter::once(of_rewards).chain(of_policies) {
            if !RewardTerms::WINDOW_S.contains(&terms.window_s) {
                return Err(format!(
                    "{place}.window_s is {}; allowed are {low} to {high}",
                    terms.window_s
                ));
            }
            let (got, most) = (terms.default_minor, VALUE_MINOR_MAX);
            if !(-most..=most).contains(&got) {
                return Err(format!(
                    "{place}.default_minor is {got}; allowed are -{most} to {most}, as for a reward"
                ));
            }
        }
        for name in self.policy.keys() {
            if name.len() != 12 || !name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(format!(
                    "policy.{name}: the first 12 digits of a bundle's digest are expected"
                ));
            }
        }
        if self.rewards.backward_window_s > *high {
            let got = self.rewards.backward_window_s;
            return Err(format!(
                "rewards.backward_window_s is {got}; allowed are 0 to {high}"
            ));
        }
        if self.store.checkpoint_records == 0 {
            return Err("store.checkpoint_records is 0; at least 1 is expected".to_owned());
        }
        if self.store.keep_days == Some(0) {
            return Err(
                "store.keep_days is 0; at least 1 is expected, or leave it out to keep everything".to_owned(),
            );
        }
        match self.prices.deadline_ms {
            Some(0) => Err("prices.deadline_ms is 0; leave it out for no deadline".to_owned()),
            _ => Ok(()),
        }
    }
}

fn parse<T: DeserializeOwned>(path: &Path) -> Result<T, ServeError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| unusable(path, format!("it cannot be read: {error}")))?;
    toml::from_str(&text).map_err(|error| {
        let ends = |until: usize| text[..until].matches('\n').count();
        let line = 1 + error.span().map_or(0, |span| ends(span.start));
        unusable(path, format!("line {line}: {}", error.message()))
    })
}

fn unusable(path: &Path, what: String) -> ServeError {
    ServeError::Config {
        path: path.to_owned(),
        what,
    }
}
