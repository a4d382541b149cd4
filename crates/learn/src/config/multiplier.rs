use super::ConfigError;
use super::error::not_negative;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How fast constraints find their price.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MultiplierConfig {
    /// Where each multiplier begins, in [0, max].
    pub start: f64,
    /// Learning rate of the multipliers' own Adam: about the largest change per roll-out. 0: they stay at `start`.
    pub learning_rate: f64,
    /// Largest value, not negative.
    pub max: f64,
}

impl Default for MultiplierConfig {
    fn default() -> Self {
        Self {
            start: 0.0,
            learning_rate: 0.02,
            max: 10.0,
        }
    }
}

impl MultiplierConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        not_negative("multiplier.max", self.max)?;
        not_negative("multiplier.start", self.start)?;
        not_negative("multiplier.learning_rate", self.learning_rate)?;
        if self.start > self.max {
            return Err(ConfigError::Disagree {
                first: format!("multiplier.start = {}", self.start),
                second: format!("multiplier.max = {}", self.max),
                why: "a multiplier begins inside its limits",
            });
        }
        Ok(())
    }
}
