//! `haggle bench`.

use clap::{Args, Subcommand};
use haggle_learn::{DeviceChoice, EngineChoice};
use serde::de::{DeserializeOwned, IntoDeserializer};
use std::ffi::OsString;
use std::path::PathBuf;

/// What can be measured.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// The speed of training, by engine, beside other programs that are run in turn in the same minutes.
    Train(BenchTrain),
    /// The time to a market's optimum: whole training runs, process start included, and how near their last policies come.
    Quality(BenchQuality),
    /// The bandits on markets whose optimum is known, beside their targets.
    Bandits(BenchBandits),
    /// The daemon: `haggled bench`, of the `haggled` that lies beside this program.
    #[command(disable_help_flag = true)]
    Serve(BenchServe),
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

/// Arguments of `haggle bench serve`.
#[derive(Debug, Args)]
pub struct BenchServe {
    /// What `haggled bench` takes, e.g. --seconds 2, or --help to see it.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub args: Vec<OsString>,
}
