use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Within a period a price stays within `share_max` of the price that stood when the period began.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeLimit {
    /// Largest change up or down, as a share of that price, in [0, 1].
    pub share_max: f64,
    /// The period.
    pub period: Period,
}

/// A period of the daemon's clock (UTC).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// From full hour to full hour.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From Thursday to Thursday, as weeks count from 1970-01-01.
    Week,
}

impl Period {
    /// All periods.
    pub const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Week];

    /// Its length.
    #[must_use]
    pub fn seconds(self) -> i64 {
        match self {
            Self::Hour => 3_600,
            Self::Day => 86_400,
            Self::Week => 604_800,
        }
    }
}
