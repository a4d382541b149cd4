//! What a sweep file comes to: its trials, and the rounds in which they are run.

use super::file::{Range, Search, SweepFile};
use haggle_core::Seeds;
use rand::RngExt;
use serde::Serialize;
use std::collections::BTreeMap;

/// One point of the space.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trial {
    /// Its number, from 0.
    pub trial: usize,
    /// The value of each key.
    pub values: BTreeMap<String, toml::Value>,
}

impl Trial {
    /// As overrides of the training file.
    pub fn sets(&self) -> Vec<String> {
        self.values
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect()
    }
}

/// One round of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    /// Trials that take part.
    pub trials: usize,
    /// Environment steps of each of their runs.
    pub steps: u64,
}

impl SweepFile {
    /// All trials: the same for the same file.
    pub fn trials(&self) -> Vec<Trial> {
        let count = match self.search {
            Search::Grid => self.grid_size(),
            Search::Random { trials } | Search::Halving { trials, .. } => trials,
        };
        (0..count)
            .map(|trial| Trial {
                trial,
                values: match self.search {
                    Search::Grid => self.grid_point(trial),
                    _ => self.draw(trial),
                },
            })
            .collect()
    }

    /// The last key varies fastest.
    fn grid_point(&self, trial: usize) -> BTreeMap<String, toml::Value> {
        let mut rest = trial;
        let mut values = BTreeMap::new();
        for (key, range) in self.space.iter().rev() {
            if let Range::Choice(choices) = range {
                values.insert(key.clone(), choices[rest % choices.len()].clone());
                rest /= choices.len();
            }
        }
        values
    }

    fn draw(&self, trial: usize) -> BTreeMap<String, toml::Value> {
        let seeds = Seeds::new(self.seed).named("sweep").indexed(trial as u64);
        let value = |key: &str, range: &Range| {
            let share: f64 = seeds.named(key).rng().random();
            match range {
                Range::Uniform([low, high]) => toml::Value::Float(short(low + share * (high - low))),
                Range::LogUniform([low, high]) => {
                    let log = low.ln() + share * (high.ln() - low.ln());
                    toml::Value::Float(short(log.exp()))
                }
                Range::Choice(values) => {
                    values[((share * values.len() as f64) as usize).min(values.len() - 1)].clone()
                }
            }
        };
        self.space
            .iter()
            .map(|(key, range)| (key.clone(), value(key, range)))
            .collect()
    }

    /// How many trials go on in each round, and for how many steps; `steps` is the training file's own number.
    pub fn rounds(&self, steps: u64) -> Vec<Round> {
        let Search::Halving {
            trials,
            steps_min,
            reduction,
        } = self.search
        else {
            return vec![Round {
                trials: self.trials().len(),
                steps,
            }];
        };
        let mut rounds = Vec::new();
        let (mut trials, mut budget) = (trials, steps_min);
        while budget < steps && trials > 1 {
            rounds.push(Round {
                trials,
                steps: budget,
            });
            trials = trials.div_ceil(usize::try_from(reduction).unwrap_or(usize::MAX));
            budget = budget.saturating_mul(reduction);
        }
        rounds.push(Round { trials, steps });
        rounds
    }
}

/// Six digits are enough for a setting, and can be typed again.
fn short(number: f64) -> f64 {
    format!("{number:.5e}").parse().unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use super::super::file::tests::{SPACE, sweep};
    use super::*;

    #[test]
    fn a_grid_has_every_combination_once() {
        let trials = sweep("{ kind = \"grid\" }", SPACE).expect("sound").trials();
        let sets: Vec<String> = trials.iter().map(|trial| trial.sets().join(" ")).collect();
        assert_eq!(sets.len(), 6);
        assert_eq!(sets[0], "a.x=1 a.y=\"p\"");
        assert_eq!(sets[1], "a.x=1 a.y=\"q\"");
        assert_eq!(sets[5], "a.x=3 a.y=\"q\"");
    }

    #[test]
    fn draws_stay_in_range_repeat_and_do_not_depend_on_other_keys() {
        let space = "\"a\" = { uniform = [2.0, 3.0] }\n\"b\" = { log-uniform = [1e-4, 1e-2] }\n";
        let file = sweep("{ kind = \"random\", trials = 200 }", space).expect("sound");
        let trials = file.trials();
        let number = |trial: &Trial, key: &str| trial.values[key].as_float().expect("a number");
        assert!(
            trials
                .iter()
                .all(|trial| (2.0..=3.0).contains(&number(trial, "a")))
        );
        // Half of a log-uniform draw over two decades lies below the middle decade's edge, 1e-3.
        let low = trials.iter().filter(|trial| number(trial, "b") < 1e-3).count();
        assert!((80..=120).contains(&low), "{low}"); // 100 +- 2.8 standard deviations of 7.1
        assert_eq!(file.trials(), trials);
        let fewer = sweep(
            "{ kind = \"random\", trials = 3 }",
            "\"a\" = { uniform = [2.0, 3.0] }\n",
        )
        .expect("sound");
        assert_eq!(fewer.trials()[2].values["a"], trials[2].values["a"]);
    }

    #[test]
    fn halving_runs_fewer_trials_for_longer() {
        let search = "{ kind = \"halving\", trials = 9, steps_min = 100, reduction = 3 }";
        let file = sweep(search, SPACE).expect("sound");
        let rounds: Vec<(usize, u64)> = file
            .rounds(1000)
            .iter()
            .map(|round| (round.trials, round.steps))
            .collect();
        assert_eq!(rounds, [(9, 100), (3, 300), (1, 1000)]);
        let rounds: Vec<(usize, u64)> = file
            .rounds(250)
            .iter()
            .map(|round| (round.trials, round.steps))
            .collect();
        assert_eq!(rounds, [(9, 100), (3, 250)]);
    }
}
