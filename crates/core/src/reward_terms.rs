use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long a decision waits for its rewards, and what they come to. Part of the decision: a later change of the
/// configuration changes no decision that is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RewardTerms {
    /// How long rewards are waited for, in seconds: 5 to 2,592,000 (30 days).
    pub window_s: u32,
    /// What a decision earned that got no reward, in minor units.
    pub default_minor: i64,
    /// What several rewards come to.
    pub aggregation: Aggregation,
}

/// What several rewards of one decision come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// The one that arrived first.
    First,
    /// The one that arrived last.
    Last,
    /// All of them together; a sum beyond the range of its type stays at the range's end.
    #[default]
    Sum,
    /// Their mean, rounded to the nearest minor unit and unit, halves away from zero.
    Mean,
    /// The one of the largest value; the first of several.
    Max,
}

impl Default for RewardTerms {
    fn default() -> Self {
        Self {
            window_s: 600,
            default_minor: 0,
            aggregation: Aggregation::Sum,
        }
    }
}

impl RewardTerms {
    /// Shortest and longest window, in seconds.
    pub const WINDOW_S: std::ops::RangeInclusive<u32> = 5..=2_592_000;

    /// What rewards (value in minor units, and units; in the order of arrival) come to.
    pub fn join(&self, parts: impl IntoIterator<Item = (i64, u32)>) -> (i64, u32) {
        let mut parts = parts.into_iter();
        let Some(first) = parts.next() else {
            return (self.default_minor, 0);
        };
        match self.aggregation {
            Aggregation::First => first,
            Aggregation::Last => parts.last().unwrap_or(first),
            Aggregation::Max => parts.fold(first, |best, part| if part.0 > best.0 { part } else { best }),
            Aggregation::Sum => parts.fold(first, |(value, units), part| {
                (value.saturating_add(part.0), units.saturating_add(part.1))
            }),
            Aggregation::Mean => {
                let start = (1, i128::from(first.0), i128::from(first.1));
                let (count, value, units) = parts.fold(start, |(count, value, units), part| {
                    (count + 1, value + i128::from(part.0), units + i128::from(part.1))
                });
                // A mean lies between the smallest and the largest part.
                (rounded(value, count) as i64, rounded(units, count) as u32)
            }
        }
    }
}

fn rounded(sum: i128, count: i128) -> i128 {
    let half = count / 2 * sum.signum();
    (sum + half) / count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rewards_come_to_what_their_aggregation_says() {
        let of = |aggregation, parts: &[(i64, u32)]| {
            let terms = RewardTerms {
                default_minor: -7,
                aggregation,
                ..RewardTerms::default()
            };
            terms.join(parts.iter().copied())
        };
        let parts = [(10, 1), (40, 2), (-5, 0), (40, 9)];
        assert_eq!(of(Aggregation::First, &parts), (10, 1));
        assert_eq!(of(Aggregation::Last, &parts), (40, 9));
        assert_eq!(of(Aggregation::Sum, &parts), (85, 12));
        assert_eq!(of(Aggregation::Mean, &parts), (21, 3));
        assert_eq!(of(Aggregation::Max, &parts), (40, 2));
        assert_eq!(
            of(Aggregation::Mean, &[(-1, 0), (-2, 1)]),
            (-2, 1),
            "-1.5 and 0.5"
        );
        assert_eq!(
            of(Aggregation::Sum, &[(i64::MAX, u32::MAX), (1, 1)]),
            (i64::MAX, u32::MAX)
        );
        assert_eq!(
            of(Aggregation::Mean, &[(i64::MIN, 0), (i64::MIN, 0)]),
            (i64::MIN, 0)
        );
        assert_eq!(of(Aggregation::Max, &[]), (-7, 0));
    }
}
