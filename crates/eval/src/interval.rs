use serde::{Deserialize, Serialize};
use std::fmt;

/// Half the width of a 95 % interval, in standard errors.
pub(crate) const Z95: f64 = 1.959_963_984_540_054;

/// A number with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The estimate.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// The normal interval around an estimate.
    #[must_use]
    pub fn normal(value: f64, std_error: f64) -> Self {
        Self {
            value,
            low: value - Z95 * std_error,
            high: value + Z95 * std_error,
        }
    }

    /// The normal interval around an estimate whose error is the root mean square distance of its replicates.
    pub(crate) fn of_replicates(value: f64, replicates: &[f64]) -> Self {
        let square: f64 = replicates
            .iter()
            .map(|replicate| (replicate - value).powi(2))
            .sum();
        Self::normal(value, (square / replicates.len().max(1) as f64).sqrt())
    }

    /// Whether a number lies inside.
    #[must_use]
    pub fn contains(&self, number: f64) -> bool {
        (self.low..=self.high).contains(&number)
    }
}

/// `value [low, high]`, with the formatter's precision, right-aligned in its width.
impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        let Self { value, low, high } = self;
        let text = format!("{value:.digits$} [{low:.digits$}, {high:.digits$}]");
        write!(f, "{text:>width$}", width = f.width().unwrap_or(0)) // `pad` would cut the text at the precision
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_prints_whole_at_any_precision() {
        let interval = Interval {
            value: 1234.5,
            low: -1.25,
            high: 2000.0,
        };
        assert_eq!(format!("{interval:>22.0}"), "       1234 [-1, 2000]");
        assert_eq!(format!("{interval:.2}"), "1234.50 [-1.25, 2000.00]");
    }
}
