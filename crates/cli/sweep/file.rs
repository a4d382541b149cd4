//! What a sweep tries: a training file, a space of values for its keys, and a way to search it.

use crate::seed_list::SeedList;
use haggle_config::{Fault, Source};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// As many trials as one sweep may have.
const TRIALS_MAX: usize = 10_000;

/// A sweep file, as in `configs/sweep/`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SweepFile {
    /// The training file whose keys are varied.
    pub train: PathBuf,
    /// Root of the random numbers of the search.
    #[serde(default = "one")]
    pub seed: u64,
    /// Seeds of the runs of each trial: `1-3` or `1,2,7`.
    pub seeds: SeedList,
    /// The tag of `metrics.jsonl` that ranks trials: its last value in a run, its interquartile mean over seeds.
    pub metric: String,
    /// Whether more of it is better.
    #[serde(default)]
    pub goal: Goal,
    /// How the space is searched.
    pub search: Search,
    /// Keys of the training file (`env.` before those of its environment file) with the values to try.
    pub space: BTreeMap<String, Range>,
}

fn one() -> u64 {
    1
}

/// Which end of the metric is better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Goal {
    /// The most.
    #[default]
    Maximise,
    /// The least.
    Minimise,
}

/// How a space is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Search {
    /// Every combination of the choices.
    Grid,
    /// Independent draws.
    Random {
        /// How many, at least 1.
        trials: usize,
    },
    /// Successive halving: all trials are run for `steps_min` steps, the best `1 / reduction` of them for `reduction` times
    /// as many, and so on up to the training file's own number. Every round trains from the start, so that schedules over a
    /// run mean the same in each.
    Halving {
        /// Trials of the first round, at least 2.
        trials: usize,
        /// Steps of the first round, at least 1 and below the training file's.
        steps_min: u64,
        /// How much harder each round is, at least 2.
        reduction: u64,
    },
}

/// Values of one key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Range {
    /// A number between two, all equally likely.
    Uniform([f64; 2]),
    /// A number between two above 0, its logarithm equally likely.
    LogUniform([f64; 2]),
    /// One of these, all equally likely.
    Choice(#[schemars(with = "Vec<serde_json::Value>")] Vec<toml::Value>),
}

impl SweepFile {
    /// Checks every range.
    pub fn check(&self, source: &Source) -> Result<(), Fault> {
        let refuse = |field: &str, sentence: &str| Err(source.fault(field, format!("{field}: {sentence}")));
        if self.space.is_empty() {
            return refuse("space", "at least one key with values is needed");
        }
        for (key, range) in &self.space {
            let path = ["space", key];
            let refuse = |sentence: &str| Err(source.fault_at(&path, format!("space.\"{key}\": {sentence}")));
            match range {
                Range::Choice(values) if values.is_empty() => {
                    return refuse("a choice of at least one value is needed");
                }
                Range::Uniform([low, high]) if !(low < high && low.is_finite() && high.is_finite()) => {
                    return refuse("two finite numbers are needed, the first below the second");
                }
                Range::LogUniform([low, high]) if !(0.0 < *low && low < high && high.is_finite()) => {
                    return refuse("two finite numbers above 0 are needed, the first below the second");
                }
                Range::Uniform(_) | Range::LogUniform(_) if self.search == Search::Grid => {
                    return refuse("a grid needs choices; use search.kind = \"random\" for ranges");
                }
                _ => {}
            }
            if key == "learner.seed" || key == "learner.steps" {
                return refuse(
                    "seeds and steps are the sweep's own business; set seeds and search.steps_min",
                );
            }
        }
        match self.search {
            Search::Grid if self.grid_size() > TRIALS_MAX => refuse(
                "space",
                &format!(
                    "{} combinations; at most {TRIALS_MAX} are tried",
                    self.grid_size()
                ),
            ),
            Search::Random { trials } if !(1..=TRIALS_MAX).contains(&trials) => {
                refuse("search.trials", &format!("{trials}: 1 to {TRIALS_MAX} expected"))
            }
            Search::Halving { trials, .. } if !(2..=TRIALS_MAX).contains(&trials) => {
                refuse("search.trials", &format!("{trials}: 2 to {TRIALS_MAX} expected"))
            }
            Search::Halving { reduction, .. } if reduction < 2 => {
                refuse("search.reduction", &format!("{reduction}: at least 2 expected"))
            }
            Search::Halving { steps_min: 0, .. } => refuse("search.steps_min", "0: at least 1 expected"),
            _ => Ok(()),
        }
    }

    pub(super) fn grid_size(&self) -> usize {
        let sizes = self.space.values().map(|range| match range {
            Range::Choice(values) => values.len(),
            _ => 1,
        });
        sizes.fold(1, usize::saturating_mul)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn sweep(search: &str, space: &str) -> Result<SweepFile, Fault> {
        let text = format!(
            "train = \"configs/train/a4.toml\"\nseeds = \"1-2\"\nmetric = \"m\"\nsearch = {search}\n[space]\n{space}"
        );
        let source = Source::parse("s.toml", &text, &[], "")?;
        let file: SweepFile = source.read()?;
        file.check(&source)?;
        Ok(file)
    }

    pub const SPACE: &str = "\"a.x\" = { choice = [1, 2, 3] }\n\"a.y\" = { choice = [\"p\", \"q\"] }\n";

    #[test]
    fn faults_name_their_line() {
        let fault = |search: &str, space: &str| sweep(search, space).expect_err("refused").to_string();
        let random = "{ kind = \"random\", trials = 2 }";
        assert!(fault(random, "").starts_with("s.toml:5:2: space: "));
        assert!(
            fault(random, "\"a\" = { log-uniform = [0.0, 1.0] }")
                .starts_with("s.toml:6:7: space.\"a\": two finite")
        );
        assert!(
            fault("{ kind = \"grid\" }", "\"a\" = { uniform = [0.0, 1.0] }").contains("a grid needs choices")
        );
        assert!(fault(random, "\"a\" = { chioce = [1] }").contains("did you mean `choice`?"));
        assert!(fault("{ kind = \"random\", trials = 0 }", SPACE).contains("search.trials: 0: 1 to"));
        assert!(fault(random, "\"learner.seed\" = { choice = [1] }").contains("the sweep's own business"));
    }
}
