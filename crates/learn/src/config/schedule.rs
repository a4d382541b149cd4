use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A value that moves on a straight line over the run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// At the first step; not negative.
    pub start: f64,
    /// At the last step; not negative.
    pub end: f64,
}

impl Schedule {
    /// One value from the first step to the last.
    #[must_use]
    pub fn constant(value: f64) -> Self {
        Self {
            start: value,
            end: value,
        }
    }

    /// The value after `done` of the run, in [0, 1].
    #[must_use]
    pub fn at(&self, done: f64) -> f64 {
        self.start + (self.end - self.start) * done.clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_a_straight_line() {
        let schedule = Schedule { start: 4.0, end: 2.0 };
        assert_eq!(
            [schedule.at(0.0), schedule.at(0.5), schedule.at(1.0)],
            [4.0, 3.0, 2.0]
        );
    }
}
