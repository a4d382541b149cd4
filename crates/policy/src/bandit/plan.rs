use super::config::setting;
use super::{BanditConfig, BanditError, DemandModel, Forgetting, Pooling, Rule};
use haggle_core::{Digest, FEATURE_NAMES, Item};
use serde::{Deserialize, Serialize};

/// What makes the bandits of a bundle, beside its terms: one for each item, over the item's ladder and its unit cost, where
/// the catalogue states one. Rewards are then margins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BanditPlan {
    /// What an outcome is and how it depends on context and price.
    pub demand: DemandModel,
    /// How prices are drawn from what is known.
    pub rule: Rule,
    /// The features of a visit that are looked at, by name ([`FEATURE_NAMES`]): few, since the state grows with the square of
    /// their number.
    pub features: Vec<String>,
    /// The segments that are told apart, by name; everyone else is one more, the first.
    pub segments: Vec<String>,
    /// What segments share; it counts one more than there are names.
    pub pooling: Pooling,
    /// As in [`BanditConfig`].
    pub knots: usize,
    /// As in [`BanditConfig`].
    pub forgetting: Option<Forgetting>,
}

impl BanditPlan {
    /// The settings of a bandit as a plan for a whole catalogue; its prices, cost, floor and seed come from a bundle's terms.
    ///
    /// # Errors
    /// When a name is no feature or stands there twice, or segments and pooling do not fit each other.
    pub fn of(
        like: &BanditConfig,
        features: Vec<String>,
        segments: Vec<String>,
    ) -> Result<Self, BanditError> {
        let plan = Self {
            demand: like.demand,
            rule: like.rule,
            features,
            segments,
            pooling: like.pooling,
            knots: like.knots,
            forgetting: like.forgetting,
        };
        plan.columns()?;
        plan.check_segments()?;
        Ok(plan)
    }

    /// Whether a visit's personal data can move a price: what is known of the user or of his choices.
    pub(super) fn is_personal(&self) -> bool {
        let clock = ["session.hour_", "session.season_"];
        self.features.iter().any(|name| {
            let of_user = name.starts_with("session.") || name.starts_with("loyalty.");
            of_user && !clock.iter().any(|prefix| name.starts_with(prefix))
        })
    }

    /// Places of its features in an observation.
    pub(super) fn columns(&self) -> Result<Vec<usize>, BanditError> {
        once("features", &self.features)?;
        let column = |name: &String| {
            let column = FEATURE_NAMES.iter().position(|feature| feature == name);
            column.ok_or_else(|| BanditError::Setting {
                name: "features",
                got: name.clone(),
                expected: "names of a visit's features, such as `session.known_user` or `shelf.posted_log`",
            })
        };
        self.features.iter().map(column).collect()
    }

    pub(super) fn check_segments(&self) -> Result<(), BanditError> {
        once("segments", &self.segments)?;
        let expected = if self.segments.is_empty() {
            "as many as there are names of segments, and one for everyone else: 1, pooled, without names"
        } else {
            "as many as there are names of segments, and one for everyone else"
        };
        let segments = self.pooling.segments();
        setting("pooling", segments, segments == self.segments.len() + 1, expected)
    }

    /// The settings of one item's bandit. `seed` is that of the bundle.
    pub(super) fn config(&self, item: &Item, floor: f64, seed: u64) -> BanditConfig {
        let rungs = 0..item.ladder.rungs();
        BanditConfig {
            prices: rungs.map(|rung| item.ladder.price(rung).as_f64()).collect(),
            cost: item.cost_minor.map_or(0.0, haggle_core::PriceMinor::as_f64),
            contexts: self.features.len(),
            demand: self.demand,
            rule: self.rule,
            pooling: self.pooling,
            floor,
            knots: self.knots,
            forgetting: self.forgetting,
            seed: seed_of(seed, &item.id),
        }
    }
}

/// Two items draw differently.
fn seed_of(seed: u64, item: &str) -> u64 {
    let digest = Digest::of_parts(&[&seed.to_le_bytes(), item.as_bytes()]);
    let mut first = [0; 8];
    first.copy_from_slice(&digest.as_bytes()[..8]);
    u64::from_le_bytes(first)
}

fn once(name: &'static str, names: &[String]) -> Result<(), BanditError> {
    let again = (1..names.len()).find(|at| names[..*at].contains(&names[*at]));
    again.map_or(Ok(()), |at| setting(name, &names[at], false, "each name once"))
}
