use super::BanditError;
use haggle_core::LADDER_RUNGS_MAX;
use serde::{Deserialize, Serialize};

/// Most coefficients of one model: the square of it is the size of the state, its cube the price of a refit.
pub const COEFFICIENTS_MAX: usize = 1024;

/// Everything that makes a bandit but what it has learnt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BanditConfig {
    /// The price of each rung, at least 0, in any unit of money.
    pub prices: Vec<f64>,
    /// What a unit costs, in the same unit; rewards are margins.
    #[serde(default)]
    pub cost: f64,
    /// How many numbers a context has; 0 is allowed.
    pub contexts: usize,
    /// What an outcome is and how it depends on context and price.
    pub demand: DemandModel,
    /// How prices are drawn from what is known.
    pub rule: Rule,
    /// What segments share.
    #[serde(default)]
    pub pooling: Pooling,
    /// Share of pure exploration in [0, 1): each allowed rung has at least `floor / allowed`.
    pub floor: f64,
    /// Knots of a free demand curve over the ladder beside the straight line; below 2: the line alone.
    #[serde(default = "knots_default")]
    pub knots: usize,
    /// How fast the past fades; absent: never, but for the level of demand where forecasts are seen to fail.
    #[serde(default)]
    pub forgetting: Option<Forgetting>,
    /// Root of every random number.
    pub seed: u64,
}

/// What an outcome is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DemandModel {
    /// Bought (1) or not (0), with a probability whose log odds are linear in the features.
    Logit,
    /// Any number of units (or 0 and 1), whose mean is linear in the features.
    Linear,
}

/// How prices are drawn from what is known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Rule {
    /// Each posterior draw votes for the rung with the largest expected reward; the votes are the pmf.
    Thompson {
        /// Number of draws, even.
        draws: usize,
        /// Deviation of the draws, in deviations of the posterior.
        width: f64,
    },
    /// The best rung, but with probability `epsilon / sqrt(1 + rounds / 100)` any.
    EpsilonGreedy {
        /// Share of exploration at the start, in [0, 1].
        epsilon: f64,
    },
    /// Inverse gap weighting (Foster and Rakhlin 2020): `1 / (allowed + gamma gap)`, gaps in shares of the best expected
    /// reward, `gamma = scale sqrt(allowed (1 + units sold))`.
    SquareCb {
        /// `scale`.
        scale: f64,
    },
    /// The rung with the largest upper bound of demand (Li et al. 2010).
    UpperBound {
        /// How many posterior deviations the bound is above the mean.
        width: f64,
    },
}

/// What segments share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Pooling {
    /// One model for all.
    #[default]
    Pooled,
    /// A model for each of so many segments, which learn nothing of each other.
    Separate(usize),
    /// One model with a common part and a deviation for each of so many segments. How large deviations are is learnt too:
    /// a segment with little data is close to the others.
    Partial(usize),
}

impl Pooling {
    /// How many segments there are.
    #[must_use]
    pub fn segments(self) -> usize {
        match self {
            Self::Pooled => 1,
            Self::Separate(segments) | Self::Partial(segments) => segments,
        }
    }
}

/// Exponential forgetting: after each outcome the posterior's information counts a little less and the prior's a little
/// more.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forgetting {
    /// Outcomes after which what is known of the level of demand counts 1/e.
    pub level: f64,
    /// Outcomes after which what is known of everything else (slopes, segments, curve) counts 1/e.
    pub slope: f64,
}

fn knots_default() -> usize {
    12
}

impl BanditConfig {
    /// Logit-demand Thompson sampling: the one to begin with. Draws are half as wide as the posterior, which over finite
    /// seasons earned most on streams of many kinds (`haggle bench bandits --streams`).
    #[must_use]
    pub fn logit_thompson(prices: Vec<f64>, contexts: usize, seed: u64) -> Self {
        let rule = Rule::Thompson {
            draws: 16,
            width: 0.5,
        };
        Self::with(prices, contexts, DemandModel::Logit, rule, seed)
    }

    /// Epsilon-greedy on the logit model.
    #[must_use]
    pub fn logit_epsilon_greedy(prices: Vec<f64>, contexts: usize, seed: u64) -> Self {
        let rule = Rule::EpsilonGreedy { epsilon: 0.2 };
        Self::with(prices, contexts, DemandModel::Logit, rule, seed)
    }

    /// SquareCB on the logit model.
    #[must_use]
    pub fn square_cb(prices: Vec<f64>, contexts: usize, seed: u64) -> Self {
        Self::with(
            prices,
            contexts,
            DemandModel::Logit,
            Rule::SquareCb { scale: 20.0 },
            seed,
        )
    }

    /// LinUCB on linear demand.
    #[must_use]
    pub fn linear_upper_bound(prices: Vec<f64>, contexts: usize, seed: u64) -> Self {
        Self::with(
            prices,
            contexts,
            DemandModel::Linear,
            Rule::UpperBound { width: 1.0 },
            seed,
        )
    }

    /// Thompson sampling on linear demand.
    #[must_use]
    pub fn linear_thompson(prices: Vec<f64>, contexts: usize, seed: u64) -> Self {
        let rule = Rule::Thompson {
            draws: 16,
            width: 0.4,
        };
        Self::with(prices, contexts, DemandModel::Linear, rule, seed)
    }

    fn with(prices: Vec<f64>, contexts: usize, demand: DemandModel, rule: Rule, seed: u64) -> Self {
        Self {
            prices,
            cost: 0.0,
            contexts,
            demand,
            rule,
            pooling: Pooling::default(),
            floor: 0.002,
            knots: knots_default(),
            forgetting: None,
            seed,
        }
    }

    /// Checks every range.
    ///
    /// # Errors
    /// When a setting is out of its range.
    pub fn check(&self) -> Result<(), BanditError> {
        let rungs = self.prices.len();
        setting(
            "prices",
            rungs,
            (1..=LADDER_RUNGS_MAX).contains(&rungs),
            "1 to 64 prices",
        )?;
        for price in &self.prices {
            setting(
                "prices",
                price,
                price.is_finite() && *price >= 0.0,
                "finite prices, at least 0",
            )?;
        }
        setting(
            "cost",
            self.cost,
            self.cost.is_finite() && self.cost >= 0.0,
            "a finite number, at least 0",
        )?;
        setting(
            "floor",
            self.floor,
            (0.0..1.0).contains(&self.floor),
            "a share in [0, 1)",
        )?;
        setting(
            "pooling",
            self.pooling.segments(),
            self.pooling.segments() > 0,
            "at least 1 segment",
        )?;
        let layers = match self.pooling {
            Pooling::Partial(segments) => segments.saturating_add(1),
            Pooling::Pooled | Pooling::Separate(_) => 1,
        };
        let layer = self
            .contexts
            .saturating_add(1)
            .saturating_mul(2)
            .saturating_add(self.knots);
        let coefficients = layers.saturating_mul(layer);
        if coefficients > COEFFICIENTS_MAX {
            return Err(BanditError::Coefficients {
                contexts: self.contexts,
                layers,
                knots: self.knots,
                coefficients,
            });
        }
        if let Some(forgetting) = self.forgetting {
            let sound = |outcomes: f64| outcomes >= 1.0;
            setting(
                "forgetting.level",
                forgetting.level,
                sound(forgetting.level),
                "at least 1 outcome",
            )?;
            setting(
                "forgetting.slope",
                forgetting.slope,
                sound(forgetting.slope),
                "at least 1 outcome",
            )?;
        }
        let positive =
            |name, value: f64| setting(name, value, value.is_finite() && value > 0.0, "a number above 0");
        match self.rule {
            Rule::Thompson { draws, width } => {
                let sound = (2..=256).contains(&draws) && draws % 2 == 0;
                setting(
                    "rule.thompson.draws",
                    draws,
                    sound,
                    "an even number from 2 to 256",
                )?;
                positive("rule.thompson.width", width)
            }
            Rule::EpsilonGreedy { epsilon } => setting(
                "rule.epsilon-greedy.epsilon",
                epsilon,
                (0.0..=1.0).contains(&epsilon),
                "a share in [0, 1]",
            ),
            Rule::SquareCb { scale } => positive("rule.square-cb.scale", scale),
            Rule::UpperBound { width } => positive("rule.upper-bound.width", width),
        }
    }
}

/// An error unless `sound`.
pub(super) fn setting(
    name: &'static str,
    got: impl std::fmt::Display,
    sound: bool,
    expected: &'static str,
) -> Result<(), BanditError> {
    if sound {
        return Ok(());
    }
    let got = got.to_string();
    Err(BanditError::Setting { name, got, expected })
}
