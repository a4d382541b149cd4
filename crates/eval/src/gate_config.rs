//! What the gate asks of a candidate.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a candidate must show.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GateConfig {
    /// Probability, in (0.5, 1), with which the candidate must be better: one-sided, for all looks together.
    pub confidence: f64,
    /// How often this candidate will be judged on a growing log, this time included; each look gets its part of the
    /// error probability (Bonferroni). 1 = decide once, at the planned size.
    pub looks_planned: u32,
    /// The planned size: occasions (a session in front of a category) that the log must hold.
    pub occasions_min: usize,
    /// Least effective sample size of the candidate as a share of the occasions, in [0, 1].
    pub effective_share_min: f64,
    /// Largest share of all weight that one occasion may have, in [0, 1].
    pub weight_share_max: f64,
    /// How far from 1 the candidate's mean weight may be.
    pub weight_mean_apart_max: f64,
    /// Least p-value of the test that prices were drawn with the logged probabilities, in [0, 1].
    pub calibration_p_min: f64,
    /// Largest price index (logged baskets at the candidate's prices / at the posted prices). Default: the limit in the
    /// candidate's own terms.
    pub price_index_max: Option<f64>,
    /// By how much the estimated index may exceed that: a candidate trained to the limit lies on it, give or take the
    /// sampling error.
    pub price_index_tolerance: f64,
    /// Probability, in (0, 1), with which the log that is asked for should suffice if the seen difference is the true one.
    pub power: f64,
}

impl Default for GateConfig {
    fn default() -> Self {
        Self {
            confidence: 0.95,
            looks_planned: 1,
            occasions_min: 5_000,
            effective_share_min: 0.05,
            weight_share_max: 0.10,
            weight_mean_apart_max: 0.10,
            calibration_p_min: 0.001,
            price_index_max: None,
            price_index_tolerance: 0.01,
            power: 0.8,
        }
    }
}

/// A threshold out of its range.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("gate: {field} is {got}, expected {expected}")]
pub struct GateConfigError {
    /// The field.
    pub field: &'static str,
    /// Its value.
    pub got: f64,
    /// Its range.
    pub expected: &'static str,
}

impl GateConfig {
    /// Checks every threshold.
    ///
    /// # Errors
    /// Names the first one that is out of its range.
    pub fn validate(&self) -> Result<(), GateConfigError> {
        let check = |field, got: f64, sound: bool, expected| match sound {
            true => Ok(()),
            false => Err(GateConfigError { field, got, expected }),
        };
        let share = |field, got| check(field, got, (0.0..=1.0).contains(&got), "0 to 1");
        let positive = |field, got: f64| check(field, got, got.is_finite() && got > 0.0, "a positive number");
        let inside = |least: f64, got: f64| got > least && got < 1.0;
        let looks = f64::from(self.looks_planned);
        check(
            "confidence",
            self.confidence,
            inside(0.5, self.confidence),
            "above 0.5, below 1",
        )?;
        check("looks_planned", looks, looks >= 1.0, "1 or more")?;
        share("effective_share_min", self.effective_share_min)?;
        share("weight_share_max", self.weight_share_max)?;
        positive("weight_mean_apart_max", self.weight_mean_apart_max)?;
        share("calibration_p_min", self.calibration_p_min)?;
        positive("price_index_max", self.price_index_max.unwrap_or(1.0))?;
        share("price_index_tolerance", self.price_index_tolerance)?;
        check("power", self.power, inside(0.0, self.power), "above 0, below 1")
    }

    /// The confidence that this one look must reach.
    #[must_use]
    pub fn confidence_per_look(&self) -> f64 {
        1.0 - (1.0 - self.confidence) / f64::from(self.looks_planned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_out_of_range_are_named() {
        let config = GateConfig {
            confidence: 95.0,
            ..GateConfig::default()
        };
        let error = config.validate().expect_err("out of range");
        assert_eq!(
            error.to_string(),
            "gate: confidence is 95, expected above 0.5, below 1"
        );
        assert_eq!(GateConfig::default().validate(), Ok(()));
        assert!(serde_json::from_str::<GateConfig>(r#"{"confidense":0.9}"#).is_err());
    }

    #[test]
    fn looks_share_the_error() {
        let config = GateConfig {
            looks_planned: 5,
            ..GateConfig::default()
        };
        assert!((config.confidence_per_look() - 0.99).abs() < 1e-12);
    }
}
