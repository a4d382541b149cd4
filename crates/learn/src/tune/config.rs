use crate::{ConfigError, DeviceChoice};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a policy is improved on its own log. A field left out takes the value of [`TuneConfig::default`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TuneConfig {
    /// Root of every random number.
    pub seed: u64,
    /// Weight of the occasion's whole value beside the item's own, as in training, in [0, 1].
    pub common_share: f64,
    /// Gradient steps, at least 1.
    pub steps: usize,
    /// Offers of one gradient step, at least 1.
    pub minibatch_rows: usize,
    /// Adam's learning rate, above 0.
    pub learning_rate: f64,
    /// Largest mean divergence from the incumbent, in nats, above 0. Never exceeded.
    pub kl_max: f64,
    /// Largest importance weight of a logged offer, at least 1.
    pub weight_max: f64,
    /// Learning rate of the price index's multiplier, not negative.
    pub multiplier_rate: f64,
    /// Where it runs.
    pub device: DeviceChoice,
    /// Threads of libtorch; 0: one per processor. A second thread gains little on small networks, and where it has to
    /// share its processor with other programs, both stall.
    pub threads: usize,
}

impl Default for TuneConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            common_share: 0.5,
            steps: 400,
            minibatch_rows: 4096,
            learning_rate: 1e-3,
            kl_max: 0.03,
            weight_max: 10.0,
            multiplier_rate: 0.01,
            device: DeviceChoice::Auto,
            threads: 1,
        }
    }
}

impl TuneConfig {
    /// Checks every range.
    ///
    /// # Errors
    /// The first value out of its range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let check = |field, value: f64, sound: bool, allowed| {
            let value = value.to_string();
            if sound {
                Ok(())
            } else {
                Err(ConfigError::Range {
                    field,
                    value,
                    allowed,
                })
            }
        };
        let share = self.common_share;
        check("common_share", share, (0.0..=1.0).contains(&share), "0 to 1")?;
        check("steps", self.steps as f64, self.steps >= 1, "at least 1")?;
        check(
            "minibatch_rows",
            self.minibatch_rows as f64,
            self.minibatch_rows >= 1,
            "at least 1",
        )?;
        let positive = |value: f64| value > 0.0 && value.is_finite();
        check(
            "learning_rate",
            self.learning_rate,
            positive(self.learning_rate),
            "above 0",
        )?;
        check("kl_max", self.kl_max, positive(self.kl_max), "above 0")?;
        check(
            "weight_max",
            self.weight_max,
            self.weight_max >= 1.0 && self.weight_max.is_finite(),
            "at least 1",
        )?;
        let rate = self.multiplier_rate;
        check(
            "multiplier_rate",
            rate,
            rate >= 0.0 && rate.is_finite(),
            "not negative",
        )
    }
}
