use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A price in whole minor units of the shop's currency (cents, pence). No floats cross a border of the system.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct PriceMinor(pub u32);

impl PriceMinor {
    /// The nearest whole minor unit to `minor`, halves away from zero; negative and NaN become 0.
    #[must_use]
    pub fn rounded(minor: f64) -> Self {
        Self(minor.round() as u32) // `as` saturates: NaN and negatives are 0
    }

    /// The price as a float, for models.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        f64::from(self.0)
    }
}

impl fmt::Display for PriceMinor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}
