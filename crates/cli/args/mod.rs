//! The command line.

pub mod bandit;
pub mod bench;
pub mod config;
pub mod history;

use crate::seat::Existing;
use crate::seed_list::SeedList;
use bandit::BanditCommand;
use bench::BenchCommand;
use clap::{Args, Parser, Subcommand};
use config::ConfigCommand;
use history::{Fit, Import, Segments};
use std::path::PathBuf;

/// Learn prices from session history, judge them, and improve them on evidence.
///
/// Exit codes: 0 ok, 2 command line or config, 3 data, 4 device, 5 diverged, 6 a criterion was not met, 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "haggle", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Print one JSON object as the last line of standard output.
    #[arg(long, global = true)]
    pub json: bool,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read a shop's history into a session store.
    #[command(subcommand)]
    Import(Import),
    /// Fit a demand model on a session store and print how honest it is.
    Fit(Fit),
    /// Train a pricing policy in the environment of a config file: replayed sessions, a market, a probe.
    Train(Train),
    /// Make a bundle of any checkpoint of a run: the best one, a milestone, the last.
    Bundle(BundleOf),
    /// Try many settings of a training file, rank them, and go on where it was stopped.
    Sweep(Sweep),
    /// Value a trained policy: in a market beside its optimum, in a shop on weeks that it has not seen.
    Evaluate(Evaluate),
    /// Compare groups of runs, several seeds each.
    Compare(Compare),
    /// Write runs as one HTML file with plots.
    Report(Report),
    /// Solve a market of envs/ exactly: the optimum, the best fixed price, reference policies, the first optimal action.
    Oracle(Oracle),
    /// Let sellers learn in tables, as Calvano et al. 2020: the reference for what happens in envs/c.toml.
    QLearning(QLearning),
    /// Make a candidate bundle from a bundle and the segments that a daemon exported.
    Tune(Tune),
    /// Judge a candidate against the incumbent on logged evidence; exit code 6 when refused.
    Gate(Gate),
    /// Write the purchases of a store's weeks as segments, to prime a daemon.
    Segments(Segments),
    /// List the runs of a folder.
    Runs(Runs),
    /// Let bandits price a stream of visits.
    #[command(subcommand)]
    Bandit(BanditCommand),
    /// Measure a part of haggle against its targets.
    #[command(subcommand)]
    Bench(BenchCommand),
    /// Look at config files.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Is this machine ready? Each thing that matters with what to do about it; exit code 4 when something fails.
    Doctor(Doctor),
    /// The whole way on the bundled sessions: import, fit, train, serve, tune, gate.
    Demo(Demo),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Arguments of `haggle train`.
#[derive(Debug, Args)]
pub struct Train {
    /// The config file, e.g. configs/train/replay-mappo.toml.
    pub config: PathBuf,
    /// Override one value, e.g. --set learner.steps=100000. Repeatable.
    #[arg(long = "set", value_name = "A.B=VALUE")]
    pub sets: Vec<String>,
    /// Go on from the last checkpoint of a run folder.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["seeds", "out", "restart"])]
    pub resume: Option<PathBuf>,
    /// With --resume or --restart resume: go on from another checkpoint than the last one: `best`, a number of environment steps,
    /// or its path.
    #[arg(long, value_name = "CHECKPOINT", conflicts_with = "seeds")]
    pub from: Option<String>,
    /// Train from several seeds, e.g. 1-5 or 1,2,7: a run each in one folder, with a summary.
    #[arg(long, value_name = "LIST")]
    pub seeds: Option<SeedList>,
    /// How many of the seeds train at a time; default: as many as the processor has room for.
    #[arg(long, value_name = "N", requires = "seeds", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// The run's folder (with --seeds: the folder of all runs); default: a new name in the runs folder.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// What to do where the folder of --out holds a run already.
    #[arg(long, requires = "out")]
    pub restart: Option<Existing>,
}

/// Arguments of `haggle bundle`.
#[derive(Debug, Args)]
pub struct BundleOf {
    /// The run's folder.
    pub run: PathBuf,
    /// Which checkpoint: `last`, `best`, a number of environment steps, or its path.
    #[arg(long, default_value = "last")]
    pub checkpoint: String,
    /// The folder that the bundle's own folder is created in.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Arguments of `haggle sweep`.
#[derive(Debug, Args)]
pub struct Sweep {
    /// The sweep file, e.g. configs/sweep/one-price.toml.
    pub config: PathBuf,
    /// Override one value of the sweep file. Repeatable.
    #[arg(long = "set", value_name = "A.B=VALUE")]
    pub sets: Vec<String>,
    /// How many runs train at a time; default: as many as the processor has room for.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// The sweep's folder; default: `sweep__<name of the file>` in the runs folder. A sweep that stands there goes on.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Begin again where a sweep stands already.
    #[arg(long)]
    pub restart: Option<Existing>,
}

/// Arguments of `haggle evaluate`.
#[derive(Debug, Args)]
pub struct Evaluate {
    /// A run folder, e.g. runs/latest, or the folder of a bundle that prices a market.
    pub path: PathBuf,
    /// The market: a file, e.g. envs/a2.toml; default: the one that the policy was trained on.
    #[arg(long)]
    pub env: Option<PathBuf>,
    /// Override one value of the market, e.g. --set stock=25. Repeatable.
    #[arg(long = "set", value_name = "A.B=VALUE")]
    pub sets: Vec<String>,
    /// The policy of this checkpoint instead of the run's last bundle: `last`, `best`, a number of environment steps, or a path.
    #[arg(long)]
    pub checkpoint: Option<String>,
}

/// Arguments of `haggle compare`.
#[derive(Debug, Args)]
pub struct Compare {
    /// A group each: a run folder, a folder of runs, or several joined by commas.
    #[arg(required = true)]
    pub groups: Vec<PathBuf>,
    /// The policies of these checkpoints instead of the runs' last bundles: `last`, `best` or a number of environment steps.
    #[arg(long)]
    pub checkpoint: Option<String>,
}

/// Arguments of `haggle report`.
#[derive(Debug, Args)]
pub struct Report {
    /// A group each: a run folder, a folder of runs, or several joined by commas.
    #[arg(required = true)]
    pub groups: Vec<PathBuf>,
    /// The file; default: report.html in the folder of a single run.
    #[arg(long)]
    pub out: Option<PathBuf>,
}

/// Arguments of `haggle oracle`.
#[derive(Debug, Args)]
pub struct Oracle {
    /// The market: a file, e.g. envs/a2.toml.
    pub market: PathBuf,
    /// Override one value, e.g. --set stock=25. Repeatable.
    #[arg(long = "set", value_name = "A.B=VALUE")]
    pub sets: Vec<String>,
}

/// Arguments of `haggle q-learning`.
#[derive(Debug, Args)]
pub struct QLearning {
    /// The market: a file of kind logit-oligopoly, e.g. envs/c.toml.
    pub market: PathBuf,
    /// Override one value of the market, e.g. --set discount=0. Repeatable.
    #[arg(long = "set", value_name = "A.B=VALUE")]
    pub sets: Vec<String>,
    /// Independent runs.
    #[arg(long, default_value_t = 200)]
    pub runs: usize,
    /// Learning rate.
    #[arg(long, default_value_t = 0.15)]
    pub alpha: f64,
    /// Decay of exploration per period.
    #[arg(long, default_value_t = 4e-6)]
    pub beta: f64,
    /// Root of every random number.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Arguments of `haggle tune`.
#[derive(Debug, Args)]
pub struct Tune {
    /// The bundle to start from: a folder.
    #[arg(long)]
    pub bundle: PathBuf,
    /// The folder with the segments.
    #[arg(long)]
    pub segments: PathBuf,
    /// The folder in which the candidate's own folder is created.
    #[arg(long)]
    pub out: PathBuf,
    /// The config file.
    #[arg(long, default_value = "configs/tune.toml")]
    pub config: PathBuf,
    /// Override one value. Repeatable.
    #[arg(long = "set", value_name = "A.B=VALUE")]
    pub sets: Vec<String>,
}

/// Arguments of `haggle gate`.
#[derive(Debug, Args)]
pub struct Gate {
    /// The bundle that wants to be served: a folder. `gate.json` is written into it.
    #[arg(long)]
    pub candidate: PathBuf,
    /// The bundle that is served now: a folder.
    #[arg(long)]
    pub incumbent: PathBuf,
    /// The folder with the segments.
    #[arg(long)]
    pub segments: PathBuf,
    /// The config file.
    #[arg(long, default_value = "configs/gate.toml")]
    pub config: PathBuf,
    /// Override one value. Repeatable.
    #[arg(long = "set", value_name = "A.B=VALUE")]
    pub sets: Vec<String>,
}

/// Arguments of `haggle runs`.
#[derive(Debug, Args)]
pub struct Runs {
    /// The folder that holds the runs.
    #[arg(default_value = "runs")]
    pub folder: PathBuf,
}

/// Arguments of `haggle doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// The folder that will hold the runs.
    #[arg(long, default_value = "runs")]
    pub runs: PathBuf,
    /// The socket that the daemon will listen on; default: haggled.sock in the user's runtime folder.
    #[arg(long)]
    pub socket: Option<PathBuf>,
}

/// Arguments of `haggle demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Where everything is written: a folder, replaced by each demo.
    #[arg(long, default_value = "runs/demo")]
    pub out: PathBuf,
    /// The training config.
    #[arg(long, default_value = "configs/train/replay-mappo.toml")]
    pub config: PathBuf,
    /// Override one value of the training config. Repeatable.
    #[arg(long = "set", value_name = "A.B=VALUE")]
    pub sets: Vec<String>,
}
