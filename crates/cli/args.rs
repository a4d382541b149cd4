use crate::seat::Existing;
use crate::seed_list::SeedList;
use crate::weeks::Weeks;
use clap::{Args, Parser, Subcommand, ValueEnum};
use haggle_learn::{DeviceChoice, EngineChoice};
use serde::Serialize;
use serde::de::{DeserializeOwned, IntoDeserializer};
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

/// What can be imported.
#[derive(Debug, Subcommand)]
pub enum Import {
    /// The Complete Journey: sessions, lines, catalog and promotions as CSV, plain or gzipped.
    CompleteJourney(ImportFrom),
    /// Segments that a daemon exported.
    Segments(ImportFrom),
}

/// From where to where.
#[derive(Debug, Args)]
pub struct ImportFrom {
    /// The folder with the files.
    pub folder: PathBuf,
    /// The session store to create: a folder.
    #[arg(long)]
    pub out: PathBuf,
    /// Replace a session store that stands there already.
    #[arg(long)]
    pub overwrite: bool,
}

/// Arguments of `haggle fit`.
#[derive(Debug, Args)]
pub struct Fit {
    /// The session store.
    pub store: PathBuf,
    /// The demand model to write: a file.
    #[arg(long)]
    pub out: PathBuf,
    /// Weeks to fit on.
    #[arg(long, default_value = "1-30")]
    pub train_weeks: Weeks,
    /// Weeks to judge on; later than the weeks to fit on.
    #[arg(long, default_value = "31-40")]
    pub test_weeks: Weeks,
    /// Members of the ensemble besides the point estimate, 8 or more.
    #[arg(long, default_value_t = 8)]
    pub members: usize,
    /// Root of every random number.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
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
    /// Go on from another checkpoint than the last one: `best`, a number of environment steps, or its path.
    #[arg(long, value_name = "CHECKPOINT", requires = "resume")]
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
    /// Override one value of that file, e.g. --set stock=25. Repeatable.
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

/// Arguments of `haggle segments`.
#[derive(Debug, Args)]
pub struct Segments {
    /// The session store.
    pub store: PathBuf,
    /// The weeks whose purchases to write.
    #[arg(long, default_value = "1-30")]
    pub weeks: Weeks,
    /// The folder to create.
    #[arg(long)]
    pub out: PathBuf,
}

/// Arguments of `haggle bench train`.
#[derive(Debug, Args)]
pub struct BenchTrain {
    /// The market: a file.
    #[arg(long, default_value = "envs/a4.toml")]
    pub market: PathBuf,
    /// Override one value of the market. Repeatable.
    #[arg(long = "set", value_name = "A.B=VALUE")]
    pub sets: Vec<String>,
    /// Environment steps of each run.
    #[arg(long, default_value_t = 524_288)]
    pub steps: u64,
    /// Copies of the market.
    #[arg(long, default_value_t = 256)]
    pub copies: usize,
    /// Steps of a roll-out.
    #[arg(long, default_value_t = 128)]
    pub horizon: usize,
    /// Rows of a minibatch; several with commas.
    #[arg(long, value_delimiter = ',', default_values_t = [8192, 1024])]
    pub minibatch: Vec<usize>,
    /// Threads of each program.
    #[arg(long, default_value_t = 2)]
    pub threads: usize,
    /// How often each program runs.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pub rounds: u16,
    /// Our engines: torch, fused or both with a comma.
    #[arg(long, value_delimiter = ',', default_value = "torch,fused", value_parser = word::<EngineChoice>)]
    pub engine: Vec<EngineChoice>,
    /// Where gradient steps run: auto, cpu or cuda.
    #[arg(long, default_value = "cpu", value_parser = word::<DeviceChoice>)]
    pub device: DeviceChoice,
    /// The folder with the programs of others.
    #[arg(long, value_name = "DIR")]
    pub peers: Option<PathBuf>,
    /// The Python that runs them.
    #[arg(long, default_value = ".peers/bin/python")]
    pub python: PathBuf,
}

/// Arguments of `haggle bench quality`.
#[derive(Debug, Args)]
pub struct BenchQuality {
    /// The training config of a market with an exact optimum.
    #[arg(default_value = "configs/train/a4.toml")]
    pub config: PathBuf,
    /// Override one value. Repeatable.
    #[arg(long = "set", value_name = "A.B=VALUE")]
    pub sets: Vec<String>,
    /// Seeds 1 to this one are trained, one after another.
    #[arg(long, default_value_t = 5)]
    pub seeds: u64,
}

/// One of the words that a training config has for a choice.
fn word<T: DeserializeOwned>(word: &str) -> Result<T, serde::de::value::Error> {
    T::deserialize(word.into_deserializer())
}

/// Arguments of `haggle runs`.
#[derive(Debug, Args)]
pub struct Runs {
    /// The folder that holds the runs.
    #[arg(default_value = "runs")]
    pub folder: PathBuf,
}

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

/// What can be measured.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// The speed of training, by engine, beside other programs that are run in turn in the same minutes.
    Train(BenchTrain),
    /// The time to a market's optimum: whole training runs, process start included, and how near their last policies come.
    Quality(BenchQuality),
    /// The bandits on markets whose optimum is known, beside their targets.
    Bandits(BenchBandits),
}

/// Arguments of `haggle bench bandits`.
#[derive(Debug, Args)]
pub struct BenchBandits {
    /// Seeds per market or stream.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: u64,
    /// Instead: all bandits on made-up streams of so many visits, as shares of what a clairvoyant earns.
    #[arg(long, value_name = "VISITS", value_parser = clap::value_parser!(u32).range(1..))]
    pub streams: Option<u32>,
}

/// What can be done with configs.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print each value of a config file and where it came from.
    Show(Show),
    /// Print the JSON schema of a kind of config file, for editors and checkers.
    Schema(Schema),
}

/// Arguments of `haggle config show`.
#[derive(Debug, Args)]
pub struct Show {
    /// The config file.
    pub config: PathBuf,
    /// Override one value. Repeatable.
    #[arg(long = "set", value_name = "A.B=VALUE")]
    pub sets: Vec<String>,
    /// What the file is about, where its names do not say.
    #[arg(long = "as", value_name = "KIND")]
    pub kind: Option<ConfigKind>,
}

/// The kinds of config files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ConfigKind {
    /// How a policy is learnt, with the environment that it names.
    Train,
    /// An environment: a market, a probe, or replayed sessions.
    Env,
    /// How a policy is improved on its log.
    Tune,
    /// What a candidate must show.
    Gate,
    /// Which settings are tried.
    Sweep,
}

/// Arguments of `haggle config schema`.
#[derive(Debug, Args)]
pub struct Schema {
    /// The kind of config file; without it all of them, by name.
    pub kind: Option<ConfigKind>,
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
