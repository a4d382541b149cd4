use crate::daemon_config::DaemonConfig;
use crate::error::ServeError;
use crate::price_request::PriceRequest;
use crate::protocol::{NAME_BYTES_MAX, name};
use crate::refusal::{Code, Refusal};
use haggle_config::{ConfigError, Fault, Loaded, Source, did_you_mean, load};
use haggle_core::{
    Bounds, Catalog, Digest, GuardrailError, Item, ItemRules, Past, RewardTerms, Rulebook, RulebookError,
    Ruling,
};
use haggle_policy::Terms;
use std::path::{Path, PathBuf};

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

impl SettingsFiles {
    /// Reads and checks both files; without one, its defaults hold.
    ///
    /// # Errors
    /// When a file cannot be read, says something unknown, out of range or contradictory, names what is not in the
    /// catalogue, or leaves an item no price at all under these terms.
    pub fn read(&self, terms: &Terms) -> Result<Settings, ServeError> {
        let (config, book) = self.parse()?;
        let mut settings = Settings {
            rules: vec![ItemRules::default(); terms.catalog.items().len()],
            config,
            governed: book.is_some(),
            segment_by: None,
        };
        if let Some(book) = book {
            settings.govern(&book, terms).map_err(ConfigError::from)?;
        }
        Ok(settings)
    }

    /// Reads both files, and checks what can be checked without a catalogue.
    ///
    /// # Errors
    /// When a file cannot be read, or says something unknown or out of range.
    pub fn parse(&self) -> Result<(DaemonConfig, Option<Loaded<Rulebook>>), ServeError> {
        let config = self.config.as_deref().map(DaemonConfig::load).transpose()?;
        let book = self.guardrails.as_deref().map(load_rulebook).transpose()?;
        Ok((config.map(|loaded| loaded.value).unwrap_or_default(), book))
    }
}

/// Reads a rulebook, and checks what can be checked without a catalogue.
///
/// # Errors
/// When it cannot be read, or says something unknown, out of range or contradictory.
pub fn load_rulebook(path: &Path) -> Result<Loaded<Rulebook>, ConfigError> {
    let book: Loaded<Rulebook> = load(path, &[])?;
    let sound = book.value.check_alone();
    sound.map_err(|error| unsound(&book.source, &error, ""))?;
    if let Some(attribute) = &book.value.segment_by {
        let fits = name("segment_by", attribute, NAME_BYTES_MAX);
        fits.map_err(|refusal| book.source.fault("segment_by", refusal.message))?;
    }
    Ok(book)
}

/// What is wrong with a rulebook, and where it stands.
fn unsound(source: &Source, error: &RulebookError, hint: &str) -> Fault {
    let sentence = format!("{error}{hint}");
    match error {
        RulebookError::Unsound { keys, .. } => {
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            source.fault_at(&keys, sentence)
        }
        RulebookError::Unknown { kind, name } => source.fault_at(&[kind, name], sentence),
    }
}

/// The nearest name that the catalogue has.
fn nearest(error: &RulebookError, catalog: &Catalog) -> String {
    let items = catalog.items().iter().map(|item| item.id.as_str());
    let categories = catalog.categories().iter().map(|category| category.name.as_str());
    match error {
        RulebookError::Unknown { kind: "item", name } => did_you_mean(name, items),
        RulebookError::Unknown { name, .. } => did_you_mean(name, categories),
        RulebookError::Unsound { .. } => String::new(),
    }
}

impl Settings {
    /// Takes the rules of a rulebook over, if prices can be set by them.
    fn govern(&mut self, book: &Loaded<Rulebook>, terms: &Terms) -> Result<(), Fault> {
        let Loaded { value: book, source } = book;
        let catalog = &*terms.catalog;
        book.check(catalog)
            .map_err(|error| unsound(source, &error, &nearest(&error, catalog)))?;
        let protected = &self.config.law.protected;
        if let Some(name) = book.segment_by.iter().find(|name| protected.contains(name)) {
            let what = format!(
                "segment_by names `{name}`, which the configuration protects: it may not move a price"
            );
            return Err(source.fault("segment_by", what));
        }
        self.rules = (0..catalog.items().len())
            .map(|item| book.of(catalog, item))
            .collect();
        self.check_prices(terms)
            .map_err(|(item, error)| source.fault_at(&["item", &item.id], error.to_string()))?;
        self.segment_by.clone_from(&book.segment_by);
        Ok(())
    }

    /// Says in the log where the rulebook leaves nothing to any policy: a daemon at work looks the same otherwise.
    pub(crate) fn warn_of_no_bounds(&self) {
        let bounded = |rules: &ItemRules| rules.floor_minor.is_some() && rules.ceiling_minor.is_some();
        if self.governed && !self.rules.iter().any(bounded) {
            tracing::warn!(
                "nothing is automated: the rulebook gives no item both a floor and a ceiling, so that each keeps its base price unless a request brings bounds of its own; set floor_minor and ceiling_minor in [all], [category.<name>] or [item.<name>]"
            );
        }
    }

    /// Whether each item keeps a price under these terms: a bundle may have other costs and margins than the one before.
    ///
    /// # Errors
    /// The first item that does not, and why.
    pub(crate) fn check_prices<'a>(&self, terms: &'a Terms) -> Result<(), (&'a Item, GuardrailError)> {
        let (past, bounds) = (Past::default(), Bounds::default());
        let sound = |(item, rules): (&'a Item, &ItemRules)| match Ruling::of(
            item,
            &terms.guardrails,
            rules,
            &past,
            &bounds,
        ) {
            Ok(_) => Ok(()),
            Err(error) => Err((item, error)),
        };
        terms.catalog.items().iter().zip(&self.rules).try_for_each(sound)
    }

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
