//! Every bandit on every made-up stream.

use super::made;
use super::shop::SHOPS;
use crate::args::bandit::BanditPolicy;
use crate::bandit::play;
use clap::ValueEnum;
use haggle_policy::bandit::BanditError;
use serde::Serialize;
use std::fmt::Write;

/// One stream: what each bandit earned, as a share of what a clairvoyant earns.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StreamRow {
    stream: &'static str,
    best_fixed: f64,
    uniform: f64,
    bandits: Vec<(String, f64)>,
}

pub fn rows(visits: usize, seeds: u64) -> Result<Vec<StreamRow>, BanditError> {
    let mut rows = Vec::new();
    for (stream, draw) in SHOPS {
        let policies = BanditPolicy::value_variants();
        let (mut best_fixed, mut uniform, mut earned) = (0.0, 0.0, vec![0.0; policies.len()]);
        for seed in 0..seeds {
            let visits = made::make((stream, draw), visits, seed);
            let known = made::known(&visits);
            best_fixed += known.best_fixed / known.clairvoyant / seeds as f64;
            uniform += known.uniform / known.clairvoyant / seeds as f64;
            for (earned, policy) in earned.iter_mut().zip(policies) {
                *earned +=
                    play(&visits, *policy, seed)?.mean_expected_reward / known.clairvoyant / seeds as f64;
            }
        }
        let name = |policy: &BanditPolicy| {
            policy
                .to_possible_value()
                .map_or(String::new(), |value| value.get_name().to_owned())
        };
        let bandits = policies.iter().map(name).zip(earned).collect();
        rows.push(StreamRow {
            stream,
            best_fixed,
            uniform,
            bandits,
        });
    }
    Ok(rows)
}

pub fn table(rows: &[StreamRow]) -> String {
    let mut text = format!("{:<16}{:>11}{:>9}", "stream", "best fixed", "uniform");
    for (name, _) in rows.iter().take(1).flat_map(|row| &row.bandits) {
        let _ = write!(text, "{name:>11}");
    }
    for row in rows {
        let _ = write!(
            text,
            "\n{:<16}{:>11.4}{:>9.4}",
            row.stream, row.best_fixed, row.uniform
        );
        for (_, share) in &row.bandits {
            let _ = write!(text, "{share:>11.4}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[ignore = "proof: minutes"]
    fn logit_thompson_is_near_the_best_bandit_on_every_stream() {
        for row in rows(5000, 3).expect("rows") {
            let best = row.bandits.iter().map(|(_, share)| *share).fold(0.0, f64::max);
            let thompson = row.bandits[0].1;
            assert!(thompson > best - 0.03, "{row:?}");
        }
    }
}
