use crate::args::bandit::{BanditCommand, BanditPolicy, BanditRun};
use crate::bandit_bundle;
use crate::failure::{Failure, Kind, OrFail};
use crate::output::Output;
use crate::stream::Stream;
use haggle_core::{LADDER_RUNGS_MAX, Mask, Seeds};
use haggle_policy::bandit::{Bandit, BanditConfig, BanditError, Context};
use rand::RngExt;
use serde::Serialize;
use std::time::Instant;

/// What a bandit earned on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Earned {
    /// Mean over all rounds of price x purchase probability at the drawn rung.
    pub mean_expected_reward: f64,
    /// Rounds (a distribution, a draw, an update) per second of wall time, reading the files not counted.
    pub rounds_per_second: f64,
}

/// `haggle bandit`.
pub fn run(command: &BanditCommand, output: Output) -> Result<(), Failure> {
    let args = match command {
        BanditCommand::Run(args) => args,
        BanditCommand::Bundle(args) => return bandit_bundle::run(args, output),
    };
    let earned = earn(args, output)?;
    let people = format!(
        "mean_expected_reward  {:.6}\nrounds_per_second     {:.0}",
        earned.mean_expected_reward, earned.rounds_per_second
    );
    output.result(people, &earned);
    Ok(())
}

fn earn(args: &BanditRun, output: Output) -> Result<Earned, Failure> {
    let stream = Stream::read(&args.stream, &args.prices)?;
    if stream.prices.len() > LADDER_RUNGS_MAX {
        output.progress(format_args!(
            "haggle: {} has {} prices; a ladder has at most {LADDER_RUNGS_MAX}: that many of them are used, evenly spread",
            args.prices.display(),
            stream.prices.len()
        ));
    }
    play(&stream, args.policy, args.seed).or_fail(Kind::Data)
}

/// Lets a policy price a stream: it sees contexts, and whether each visit bought.
pub fn play(stream: &Stream, policy: BanditPolicy, seed: u64) -> Result<Earned, BanditError> {
    let columns = ladder(&stream.prices);
    let prices: Vec<f64> = columns.iter().map(|column| stream.prices[*column]).collect();
    let allowed = Mask::all(prices.len());
    let mut bandit = Bandit::new(policy.config(prices.clone(), stream.width, seed))?;
    let mut rng = Seeds::new(seed).named("rungs").rng();
    let start = Instant::now();
    let mut earned = 0.0;
    for visit in 0..stream.visits() {
        let context = Context {
            segment: 0,
            x: stream.context(visit),
        };
        let rung = bandit.pmf(context, allowed)?.draw(rng.random()).rung;
        let probability = stream.probabilities(visit)[columns[rung]];
        earned += prices[rung] * probability;
        bandit.update(context, rung, f64::from(stream.uniforms[visit] < probability))?;
    }
    let rounds = stream.visits() as f64;
    Ok(Earned {
        mean_expected_reward: earned / rounds,
        rounds_per_second: rounds / start.elapsed().as_secs_f64(),
    })
}

/// The columns of a stream that a policy may choose from: all, or as many as a ladder may have, evenly spread by price.
fn ladder(prices: &[f64]) -> Vec<usize> {
    let mut columns: Vec<usize> = (0..prices.len()).collect();
    columns.sort_by(|a, b| prices[*a].total_cmp(&prices[*b]));
    let count = columns.len().min(LADDER_RUNGS_MAX);
    (0..count)
        .map(|n| columns[n * (columns.len() - 1) / (count - 1).max(1)])
        .collect()
}

impl BanditPolicy {
    /// Its settings: the defaults of `docs/bandits.md`.
    pub fn config(self, prices: Vec<f64>, contexts: usize, seed: u64) -> BanditConfig {
        match self {
            Self::LogitTs => BanditConfig::logit_thompson(prices, contexts, seed),
            Self::LogitEps => BanditConfig::logit_epsilon_greedy(prices, contexts, seed),
            Self::Squarecb => BanditConfig::square_cb(prices, contexts, seed),
            Self::Linucb => BanditConfig::linear_upper_bound(prices, contexts, seed),
            Self::Lints => BanditConfig::linear_thompson(prices, contexts, seed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_price_list_is_thinned_from_end_to_end() {
        let prices: Vec<f64> = (0..200).rev().map(f64::from).collect();
        let columns = ladder(&prices);
        assert_eq!((columns.len(), columns[0], columns[63]), (64, 199, 0));
        assert_eq!(ladder(&[3.0, 1.0, 2.0]), [1, 2, 0]);
        assert_eq!(ladder(&[3.0]), [0]);
    }
}
