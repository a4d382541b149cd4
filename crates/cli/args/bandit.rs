//! `haggle bandit`.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// What can be done with bandits.
#[derive(Debug, Subcommand)]
pub enum BanditCommand {
    /// Price a stream of visits and say what was earned.
    Run(BanditRun),
    /// Make a bundle of bandits, one per item, for a daemon to serve: they learn there.
    Bundle(BanditBundle),
}

/// Arguments of `haggle bandit bundle`.
#[derive(Debug, Args)]
pub struct BanditBundle {
    /// Take items, ladders and memory rates from this bundle, so that a daemon can swap the two.
    #[arg(long, value_name = "BUNDLE", conflicts_with = "price_list")]
    pub like: Option<PathBuf>,
    /// Take the items from a CSV file with the columns category, item, base_minor, low_minor, high_minor and, where it is
    /// known, cost_minor.
    #[arg(long, value_name = "FILE")]
    pub price_list: Option<PathBuf>,
    /// With a price list: prices of a ladder, evenly from the lowest to the highest.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u8).range(2..=64))]
    pub rungs: u8,
    /// Which bandit.
    #[arg(long, value_enum)]
    pub policy: BanditPolicy,
    /// The features of a visit that the bandits look at, by name, comma between: few, the state grows with the square.
    #[arg(long, value_delimiter = ',')]
    pub features: Vec<String>,
    /// The segments that are told apart, by their values of the rulebook's `segment_by`, comma between; everyone else is
    /// one more.
    #[arg(long, value_delimiter = ',')]
    pub segments: Vec<String>,
    /// Segments learn nothing of each other; else they share what they have in common.
    #[arg(long)]
    pub separate: bool,
    /// Forget: outcomes after which the level of demand, and everything else, counts 1/e.
    #[arg(long, value_names = ["LEVEL", "SLOPE"], num_args = 2)]
    pub forgetting: Option<Vec<f64>>,
    /// Knots of a free demand curve over the ladder; 0 for the plain line.
    #[arg(long, default_value_t = 12)]
    pub knots: usize,
    /// Share of pure exploration in every distribution.
    #[arg(long, default_value_t = 0.002)]
    pub floor: f64,
    /// Root of every random number.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The folder to write the bundle into: a folder in it, named by its digest.
    #[arg(long)]
    pub out: PathBuf,
}

/// Arguments of `haggle bandit run`.
#[derive(Debug, Args)]
pub struct BanditRun {
    /// The visits: a CSV file with the columns x0.. (context, or none), u (one uniform number) and p0.. (purchase probability
    /// at each price). A visit buys when u is below the probability of its price; the bandit sees only that.
    #[arg(long)]
    pub stream: PathBuf,
    /// The prices: a CSV file with the one column `price`.
    #[arg(long)]
    pub prices: PathBuf,
    /// Which bandit.
    #[arg(long, value_enum)]
    pub policy: BanditPolicy,
    /// Root of every random number.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// The bandits by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BanditPolicy {
    /// Logit-demand Thompson sampling.
    LogitTs,
    /// Epsilon-greedy on logit demand.
    LogitEps,
    /// Inverse gap weighting on logit demand.
    Squarecb,
    /// Upper bounds on linear demand.
    Linucb,
    /// Thompson sampling on linear demand.
    Lints,
}
