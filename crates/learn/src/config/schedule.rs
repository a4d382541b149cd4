use super::ConfigError;
use super::error::{in_range, not_negative};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A value that moves from `start` to `end` over the first `until` of the run, and stays there.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// At the first step; not negative, above 0 where the way is geometric.
    pub start: f64,
    /// From `until` on; as `start`.
    pub end: f64,
    /// How the value goes from the one to the other.
    #[serde(default)]
    pub way: Way,
    /// The share of the run after which `end` is reached; above 0, at most 1.
    #[serde(default = "whole_run")]
    pub until: f64,
}

/// The way of a [`Schedule`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// A straight line.
    #[default]
    Linear,
    /// By the same factor in each step. An entropy weight is a temperature, and what it decides between differs by
    /// orders of magnitude from state to state: this way spends as long on each of them.
    Geometric,
}

fn whole_run() -> f64 {
    1.0
}

impl Schedule {
    /// A straight line over the whole run.
    #[must_use]
    pub fn linear(start: f64, end: f64) -> Self {
        Self {
            start,
            end,
            way: Way::Linear,
            until: whole_run(),
        }
    }

    /// One value from the first step to the last.
    #[must_use]
    pub fn constant(value: f64) -> Self {
        Self::linear(value, value)
    }

    /// The value after `done` of the run, in [0, 1].
    #[must_use]
    pub fn at(&self, done: f64) -> f64 {
        let way = (done / self.until).clamp(0.0, 1.0);
        match self.way {
            Way::Linear => self.start + (self.end - self.start) * way,
            Way::Geometric => self.start * (self.end / self.start).powf(way),
        }
    }

    /// Checks the ranges; `fields` are the full names of `start`, `end` and `until`.
    pub(super) fn validate(&self, [start, end, until]: [&'static str; 3]) -> Result<(), ConfigError> {
        for (field, value) in [(start, self.start), (end, self.end)] {
            not_negative(field, value)?;
            let reached = self.way == Way::Linear || value > 0.0;
            in_range(field, value, reached, "above 0, as no factor leads from or to 0,")?;
        }
        let sound = self.until > 0.0 && self.until <= 1.0;
        in_range(until, self.until, sound, "above 0, at most 1")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_a_straight_line_or_falls_by_factors() {
        let line = Schedule::linear(4.0, 2.0);
        assert_eq!([line.at(0.0), line.at(0.5), line.at(1.0)], [4.0, 3.0, 2.0]);
        let factors = Schedule {
            way: Way::Geometric,
            until: 0.5,
            ..Schedule::linear(4.0, 1.0)
        };
        assert_eq!(
            [
                factors.at(0.0),
                factors.at(0.25),
                factors.at(0.5),
                factors.at(1.0)
            ],
            [4.0, 2.0, 1.0, 1.0]
        );
    }
}
